"""Hides faces in the videos of a prefix of S3, by a Processing job of SageMaker.

    python -m scripts.run_processing --wait
    python -m scripts.run_processing --resume JOB [JOB...]   only what these have not finished_names
    python -m scripts.run_processing --watch JOB             a job that was begun without --wait

For videos that take longer than the hour, or need more room, than a transform job has. The name of
the job is printed. Its results are checked with scripts/collect.py.
"""

import argparse
import sys
from typing import Any

from app.errors import UsageError
from scripts.aws.cloud import Cloud, JobFailed
from scripts.aws.command import add_job_options, main, make_parser, settings_given
from scripts.aws.jobs import (
    KINDS,
    Job,
    check_ended,
    find_job,
    stop_on_interrupt,
    unique_name,
    watch,
)
from scripts.aws.objects import (
    S3Uri,
    choose_inputs,
    data_source,
    list_inputs,
    list_objects,
    read_data_source,
)
from scripts.aws.processing import (
    exclude,
    finished_names,
    job_request,
    make_environment,
    output_of_job,
    resumed_environment,
    source_of_job,
)


def parser() -> argparse.ArgumentParser:
    """The options of this command."""
    out = make_parser("Hide faces in videos in S3, by a Processing job.")
    what = out.add_mutually_exclusive_group()
    what.add_argument("--keys", nargs="+", metavar="NAME", help="only these of INPUT_PREFIX")
    what.add_argument(
        "--resume", nargs="+", metavar="JOB", help="what these have not finished_names"
    )
    what.add_argument("--watch", metavar="JOB", help="begin nothing, wait for JOB to end")
    out.add_argument("--wait", action="store_true", help="wait for the end; Ctrl-C stops the job")
    out.add_argument("--poll", type=float, default=15, metavar="SECONDS", help="between looks")
    out.add_argument("--name", help="of the job (default: one that no other job has)")
    out.add_argument("--no-people", action="store_true", help="do not use the photos of people")
    add_job_options(out)
    return out


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Begin a job, or go on with some, or wait for one.

    Raises:
        FaceBlurError: it could not be begun, or did not do everything.
    """
    if args.watch:
        job, told = find_job(cloud, args.watch)
        _check_kind(job)
        _watch(cloud, job, told, args.poll)
        return
    job = Job(KINDS["processing"], args.name or unique_name(cloud.variables.project))
    begun = _resume(cloud, args, job) if args.resume else _prepare(cloud, args, job)
    with stop_on_interrupt(cloud, job):
        cloud.change("sagemaker", "create_processing_job", **begun)
        if cloud.dry_run:
            return
        print(job.name, flush=True)
        if args.wait:
            _watch(cloud, job, begun, args.poll)
        else:
            cloud.say(f"watch it with: {sys.argv[0]} --watch {job.name}")


def _prepare(cloud: Cloud, args: argparse.Namespace, job: Job) -> dict[str, Any]:
    variables = cloud.variables
    place = S3Uri(cloud.bucket, variables.input_prefix)
    people = _people(cloud, wanted=not args.no_people)
    environment = make_environment(cloud, settings_given(args), people=people is not None)
    inputs = choose_inputs(cloud, place, args.keys) if args.keys else list_inputs(cloud, place)
    for key in inputs.left_out:
        cloud.say(f"left out, as it is hidden or empty: {key}")

    def request(source: dict[str, str]) -> dict[str, Any]:
        return job_request(
            cloud, job.name, source=source, output=_place(cloud, job), count=len(inputs.keys),
            people=people, environment=environment,
        )  # fmt: skip

    request({"S3DataType": "S3Prefix", "S3Uri": str(place)})  # refuse before anything is made
    return request(data_source(cloud, inputs, _manifest(cloud, job), whole=not args.keys))


def _resume(cloud: Cloud, args: argparse.Namespace, job: Job) -> dict[str, Any]:
    if settings_given(args) or args.no_people:
        raise UsageError("--resume takes settings and people from the job; leave them out")
    told: dict[str, Any] = {}
    done: set[str] = set()
    inputs = None
    for name in args.resume:
        before, told = find_job(cloud, name)
        _check_kind(before)
        check_ended(before, told)
        inputs = inputs or read_data_source(cloud, source_of_job(told))
        done |= finished_names(cloud, output_of_job(told))
    assert inputs is not None  # noqa: S101 - for the type checker: a job is named at least
    left = exclude(inputs, done)
    if not left.keys:
        raise UsageError(f"{', '.join(args.resume)}: nothing is left undone")
    people = any(one["InputName"] == "people" for one in told["ProcessingInputs"])
    source = data_source(cloud, left, _manifest(cloud, job), whole=False)
    return job_request(
        cloud, job.name, source=source, output=_place(cloud, job), count=len(left.keys),
        people=_people(cloud, wanted=people), environment=resumed_environment(told),
    )  # fmt: skip


def _check_kind(job: Job) -> None:
    if job.kind != KINDS["processing"]:
        raise UsageError(f"{job.name} is no processing job; see scripts/run_transform.py")


def _people(cloud: Cloud, *, wanted: bool) -> S3Uri | None:
    place = S3Uri(cloud.bucket, cloud.variables.people_prefix)
    return place if wanted and any(item.size for item in list_objects(cloud, place)) else None


def _place(cloud: Cloud, job: Job) -> S3Uri:
    return S3Uri(cloud.bucket, f"{cloud.variables.output_prefix}{job.name}/")


def _manifest(cloud: Cloud, job: Job) -> S3Uri:
    return S3Uri(cloud.bucket, f"{cloud.variables.output_prefix}{job.name}.manifest.json")


def _watch(cloud: Cloud, job: Job, told: dict[str, Any], poll: float) -> None:
    inputs, output = read_data_source(cloud, source_of_job(told)), output_of_job(told)

    def done() -> int:
        return len(finished_names(cloud, output))

    try:
        with stop_on_interrupt(cloud, job):
            watch(cloud, job, done, len(inputs.keys), poll)
    except JobFailed as error:
        left = exclude(inputs, finished_names(cloud, output))
        raise JobFailed(f"{error}; unfinished: {', '.join(left.names) or 'none'}") from error
    cloud.say(f"check the results with: scripts/collect.py {job.name}")


if __name__ == "__main__":
    sys.exit(main(parser(), run))
