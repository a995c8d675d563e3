"""Hide faces in the videos below an S3 prefix, with a SageMaker Processing job.

    python -m scripts.run_processing --wait
    python -m scripts.run_processing --resume JOB [JOB...]   the files that these jobs left undone
    python -m scripts.run_processing --watch JOB             a job started without --wait

For videos that need more than the hour, or more disk, than a transform job has. The command prints
the name of the job; scripts/collect.py checks its results.
"""

import argparse
import sys
from typing import Any

from app.errors import UsageError
from scripts.aws.bill import processing_bill
from scripts.aws.cloud import Cloud, JobFailed
from scripts.aws.command import add_job_options, main, make_parser, settings_given
from scripts.aws.images import check_image
from scripts.aws.jobs import (
    KINDS,
    Job,
    check_complete,
    check_ended,
    find_job,
    image_uri,
    stop_on_interrupt,
    tags_of,
    unique_name,
    watch,
)
from scripts.aws.objects import (
    S3Uri,
    data_source,
    manifest_source,
    read_data_source,
    write_manifest,
)
from scripts.aws.people import (
    People,
    check_choice,
    check_unchanged,
    hides_everyone,
    people_in_prefix,
    whom,
)
from scripts.aws.processing import (
    exclude,
    finished_keys,
    has_people,
    job_request,
    make_environment,
    output_of_job,
    resumed_environment,
    source_of_job,
)
from scripts.aws.selection import select_inputs


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    out = make_parser("Hide faces in videos in S3 with a Processing job.")
    what = out.add_mutually_exclusive_group()
    what.add_argument("--keys", nargs="+", metavar="NAME", help="only these files of INPUT_PREFIX")
    what.add_argument(
        "--new", action="store_true", help="only the files without a collected result"
    )
    what.add_argument(
        "--resume",
        nargs="+",
        metavar="JOB",
        help="process the files that these jobs did not finish",
    )
    what.add_argument("--watch", metavar="JOB", help="start nothing; wait for JOB to end")
    out.add_argument(
        "--wait", action="store_true", help="wait for the end; Ctrl-C and SIGTERM stop the job"
    )
    out.add_argument("--poll", type=float, default=15, metavar="SECONDS", help="time between polls")
    out.add_argument("--name", help="name of the job (default: a new name)")
    out.add_argument("--no-people", action="store_true", help="do not use the photos of people")
    add_job_options(out)
    return out


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Start a job, resume jobs, or wait for one.

    Raises:
        FaceBlurError: the job could not be started, or did not finish all files.
    """
    if args.watch:
        job, description = find_job(cloud, args.watch)
        _check_kind(job)
        _watch(cloud, job, description, args.poll)
        return
    job = Job(KINDS["processing"], args.name or unique_name(cloud.variables.project))
    plan = _resume if args.resume else _prepare
    request, people = plan(cloud, args, job)
    cloud.say(whom(people, request["Environment"]))
    cloud.say(processing_bill(cloud.variables, request))
    with stop_on_interrupt(cloud, job):
        cloud.change("sagemaker", "create_processing_job", **request)
        if cloud.dry_run:
            return
        print(job.name, flush=True)
        if args.wait:
            _watch(cloud, job, request, args.poll)
        else:
            cloud.say(f"watch it with: {sys.argv[0]} --watch {job.name}")


def _prepare(
    cloud: Cloud, args: argparse.Namespace, job: Job
) -> tuple[dict[str, Any], People | None]:
    """Return the request that creates the job, and its people."""
    given = cloud.variables.options | settings_given(args)
    used = not (args.no_people or hides_everyone(given))
    people = people_in_prefix(cloud) if used else None
    check_choice(people, given)
    environment = make_environment(cloud, settings_given(args), people=people is not None)
    inputs = select_inputs(cloud, args)

    request = job_request(
        cloud,
        job.name,
        source=manifest_source(_manifest(cloud, job)),
        output=_place(cloud, job),
        count=len(inputs.keys),
        people=people,
        environment=environment,
    )
    image = request["AppSpecification"]["ImageUri"]
    check_image(cloud, image, cloud.variables.processing_instance_type)
    # Only now: a refused request creates nothing.
    write_manifest(cloud, inputs, _manifest(cloud, job))
    return request, people


def _resume(
    cloud: Cloud, args: argparse.Namespace, job: Job
) -> tuple[dict[str, Any], People | None]:
    if settings_given(args) or args.no_people:
        raise UsageError("--resume takes settings and people from the job; leave these options out")
    description: dict[str, Any] = {}
    done: set[str] = set()
    inputs = None
    people = None
    for name in args.resume:
        previous, description = find_job(cloud, name)
        _check_kind(previous)
        check_ended(previous, description)
        people = people_in_prefix(cloud) if has_people(description) else None
        check_unchanged(name, tags_of(cloud, previous.kind, description), people)
        inputs = inputs or read_data_source(cloud, source_of_job(description))
        done |= finished_keys(cloud, inputs, output_of_job(description))
    assert inputs is not None
    remaining = exclude(inputs, done)
    if not remaining.keys:
        raise UsageError(f"{', '.join(args.resume)}: all files are finished")
    environment = resumed_environment(description)
    check_image(cloud, image_uri(cloud), cloud.variables.processing_instance_type)
    source = data_source(cloud, remaining, _manifest(cloud, job))
    request = job_request(
        cloud,
        job.name,
        source=source,
        output=_place(cloud, job),
        count=len(remaining.keys),
        people=people,
        environment=environment,
    )
    return request, people


def _check_kind(job: Job) -> None:
    if job.kind != KINDS["processing"]:
        raise UsageError(f"{job.name} is not a processing job; see scripts/run_transform.py")


def _place(cloud: Cloud, job: Job) -> S3Uri:
    return S3Uri(cloud.bucket, f"{cloud.variables.output_prefix}{job.name}/")


def _manifest(cloud: Cloud, job: Job) -> S3Uri:
    return S3Uri(cloud.bucket, f"{cloud.variables.output_prefix}{job.name}.manifest.json")


def _watch(cloud: Cloud, job: Job, description: dict[str, Any], poll: float) -> None:
    inputs, output = read_data_source(cloud, source_of_job(description)), output_of_job(description)

    def done() -> int:
        return len(finished_keys(cloud, inputs, output))

    try:
        with stop_on_interrupt(cloud, job):
            watch(cloud, job, done, len(inputs.keys), poll)
        check_complete(job, done(), len(inputs.keys))
    except JobFailed as error:
        remaining = exclude(inputs, finished_keys(cloud, inputs, output))
        raise JobFailed(f"{error}; unfinished: {', '.join(remaining.names) or 'none'}") from error
    cloud.say(f"check the results with: scripts/collect.py {job.name}")


if __name__ == "__main__":
    sys.exit(main(parser(), run))
