"""Hide faces in the videos below an S3 prefix, with a SageMaker Batch Transform job.

    python -m scripts.run_transform --wait                  everyone, if there are no photos
    python -m scripts.run_transform --blur listed --keys interview.mp4
    python -m scripts.run_transform --resume JOB --wait     the files without a result
    python -m scripts.run_transform --watch JOB             a job started without --wait

The command prints the name of the job; scripts/collect.py collects its results.
"""

import argparse
import sys
from typing import Any, NamedTuple

from app.errors import UsageError
from scripts.aws.bill import transform_bill
from scripts.aws.cloud import Cloud, JobFailed
from scripts.aws.command import add_job_options, main, make_parser, settings_given
from scripts.aws.images import check_image
from scripts.aws.jobs import (
    KINDS,
    Job,
    check_complete,
    check_ended,
    find_job,
    stop_on_interrupt,
    tags_of,
    unique_name,
    watch,
)
from scripts.aws.objects import (
    Inputs,
    S3Uri,
    data_source,
    list_objects,
    manifest_source,
    read_data_source,
    write_manifest,
)
from scripts.aws.people import (
    People,
    check_choice,
    check_unchanged,
    hides_everyone,
    people_in_archive,
    people_in_prefix,
    whom,
)
from scripts.aws.selection import select_inputs
from scripts.aws.transform import (
    JobOptions,
    PeopleSource,
    environment_of_job,
    environments,
    find_people_archive,
    finished_keys,
    job_request,
    make_model,
    model_request,
    people_of_job,
    resumed_request,
    unfinished_inputs,
)


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    out = make_parser("Hide faces in videos in S3 with a Batch Transform job.")
    what = out.add_mutually_exclusive_group()
    what.add_argument("--keys", nargs="+", metavar="NAME", help="only these files of INPUT_PREFIX")
    what.add_argument(
        "--new", action="store_true", help="only the files without a collected result"
    )
    what.add_argument(
        "--resume",
        metavar="JOB",
        help="process the files that JOB did not finish, with its settings",
    )
    what.add_argument("--watch", metavar="JOB", help="start nothing; wait for JOB to end")
    out.add_argument(
        "--wait", action="store_true", help="wait for the end; Ctrl-C and SIGTERM stop the job"
    )
    out.add_argument("--poll", type=float, default=15, metavar="SECONDS", help="time between polls")
    out.add_argument("--name", help="name of the job (default: a new name)")
    out.add_argument(
        "--people",
        choices=("model", "s3", "none"),
        help="source of photos: the archive next to PEOPLE_PREFIX (default, if it exists), "
        "PEOPLE_PREFIX itself (needs a network), or none",
    )
    out.add_argument(
        "--tickets",
        nargs="?",
        const="",
        metavar="PREFIXES",
        help="inputs are tickets, which may name these s3:// prefixes (default: the three in the "
        "variables)",
    )
    out.add_argument("--plans", action="store_true", help="make plans instead of videos")
    add_job_options(out)
    return out


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Start a job, resume one, or wait for one.

    Raises:
        FaceBlurError: the job could not be started, or did not finish all files.
    """
    if args.watch:
        job, description = find_job(cloud, args.watch)
        _check_kind(job)
        _watch(cloud, job, description, args.poll)
        return
    job = Job(KINDS["transform"], args.name or unique_name(cloud.variables.project))
    planned = _resume(cloud, args, job) if args.resume else _prepare(cloud, args, job)
    request = planned.request
    cloud.say(planned.whom)
    cloud.say(transform_bill(cloud.variables, request, planned.files))
    with stop_on_interrupt(cloud, job):
        cloud.change("sagemaker", "create_transform_job", **request)
        if cloud.dry_run:
            return
        print(job.name, flush=True)
        if args.wait:
            _watch(cloud, job, request, args.poll)
        else:
            cloud.say(f"watch it with: {sys.argv[0]} --watch {job.name}")


class _Planned(NamedTuple):
    """The request that creates a job, its number of files, and whom it hides."""

    request: dict[str, Any]
    files: int
    whom: str


def _prepare(cloud: Cloud, args: argparse.Namespace, job: Job) -> _Planned:
    variables, options, archive = cloud.variables, *_options(cloud, args)
    for_model, for_job = environments(cloud, options)
    inputs = select_inputs(cloud, args)
    model = model_request(cloud, options, archive, for_model)
    if variables.network_isolation and not options.isolated:
        cloud.say("the container gets a network, because it reads S3 itself")
    output = S3Uri(cloud.bucket, f"{variables.output_prefix}{job.name}/")

    request = job_request(
        variables,
        job.name,
        model["ModelName"],
        source=manifest_source(_manifest(cloud, job)),
        output=output,
        count=len(inputs.keys),
        options=options,
        environment=for_job,
    )
    check_image(cloud, model["PrimaryContainer"]["Image"], variables.transform_type)
    # Only now: a refused request creates nothing.
    make_model(cloud, model)
    write_manifest(cloud, inputs, _manifest(cloud, job))
    given = {**variables.options, **options.settings}
    hides = "hides whom each ticket says" if options.tickets else whom(options.whom, given)
    return _Planned(request, len(inputs.keys), hides)


def _options(cloud: Cloud, args: argparse.Namespace) -> tuple[JobOptions, Any]:
    archive, settings = find_people_archive(cloud), settings_given(args)
    environment = cloud.variables.options | settings
    everyone = hides_everyone(environment) and args.people is None
    unused = archive is None or args.tickets is not None or everyone
    source: PeopleSource = args.people or ("none" if unused else "model")
    people = _people(cloud, source, archive)
    if args.tickets is None:
        check_choice(people, environment)
    tickets = ""
    if args.tickets is not None:
        tickets = args.tickets or _own_prefixes(cloud)
    return JobOptions(settings, source, tickets, args.plans, people), archive


def _people(cloud: Cloud, source: PeopleSource, archive: tuple[S3Uri, str] | None) -> People | None:
    if source == "s3":
        return people_in_prefix(cloud)
    if source == "none":
        return None
    if archive is None:
        raise UsageError("there is no archive of photos; create it with scripts/upload.py")
    return people_in_archive(cloud, *archive)


def _own_prefixes(cloud: Cloud) -> str:
    variables = cloud.variables
    prefixes = (variables.input_prefix, variables.output_prefix, variables.people_prefix)
    return ",".join(f"s3://{cloud.bucket}/{prefix}" for prefix in prefixes)


def _resume(cloud: Cloud, args: argparse.Namespace, job: Job) -> _Planned:
    if settings_given(args) or args.people or args.plans or args.tickets is not None:
        raise UsageError("--resume takes settings and people from the job; leave these options out")
    previous, description = find_job(cloud, args.resume)
    _check_kind(previous)
    check_ended(previous, description)
    environment = environment_of_job(cloud, description)
    people = people_of_job(cloud, description, environment)
    check_unchanged(previous.name, tags_of(cloud, previous.kind, description), people)
    remaining = unfinished_inputs(cloud, _inputs(cloud, description), _output(description))
    if not remaining.keys:
        raise UsageError(f"{previous.name}: all files are finished")
    source = data_source(cloud, remaining, _manifest(cloud, job))
    count = len(remaining.keys)
    request = resumed_request(cloud, description, job.name, source, count=count, people=people)
    return _Planned(request, count, whom(people, environment))


def _check_kind(job: Job) -> None:
    if job.kind != KINDS["transform"]:
        raise UsageError(f"{job.name} is not a transform job; see scripts/run_processing.py")


def _manifest(cloud: Cloud, job: Job) -> S3Uri:
    return S3Uri(cloud.bucket, f"{cloud.variables.output_prefix}{job.name}.manifest.json")


def _inputs(cloud: Cloud, description: dict[str, Any]) -> Inputs:
    return read_data_source(cloud, description["TransformInput"]["DataSource"]["S3DataSource"])


def _output(description: dict[str, Any]) -> S3Uri:
    return S3Uri.parse(description["TransformOutput"]["S3OutputPath"])


def _watch(cloud: Cloud, job: Job, description: dict[str, Any], poll: float) -> None:
    inputs, output = _inputs(cloud, description), _output(description)

    def done() -> int:
        return len(finished_keys(inputs, output, list_objects(cloud, output)))

    try:
        with stop_on_interrupt(cloud, job):
            watch(cloud, job, done, len(inputs.keys), poll)
        check_complete(job, done(), len(inputs.keys))
    except JobFailed as error:
        remaining = unfinished_inputs(cloud, inputs, output)
        raise JobFailed(
            f"{error}; without result: {', '.join(remaining.names) or 'none'}"
        ) from error
    cloud.say(f"collect the results with: scripts/collect.py {job.name}")


if __name__ == "__main__":
    sys.exit(main(parser(), run))
