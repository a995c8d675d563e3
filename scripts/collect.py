"""Check the results of jobs, and give them their final names and types.

    python -m scripts.collect JOB                          a job of either kind
    python -m scripts.collect JOB --download results       also download the results
    python -m scripts.collect JOB --verify region          without downloading anything
    python -m scripts.collect --results s3://videos/out/   results of the inputs in INPUT_PREFIX

Each result is decoded, and compared with its source and its plan: here, after a download, or by a
Processing job in the region, which also looks for faces that should be hidden (docs/collecting.md).
The exit code is 1 if an input has no valid result.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.config import ENV_PREFIX
from app.errors import UsageError
from app.logs import printable
from scripts.aws.cloud import Cloud, CloudError
from scripts.aws.command import main, make_parser
from scripts.aws.jobs import KINDS, Job, check_ended, find_job, how_it_ended
from scripts.aws.objects import S3Uri, list_inputs, read_data_source
from scripts.aws.processing import output_of_job, source_of_job
from scripts.aws.region import Places, verify_in_region
from scripts.aws.results import (
    Candidate,
    Collector,
    ResultRow,
    check_all,
    format_table,
    read_failure_reasons,
)
from scripts.aws.transform import environment_of_job
from scripts.aws.verification import Judge, LocalJudge

_DROP = ENV_PREFIX + "DROP_STREAM"


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    out = make_parser("Check the results of jobs, and give them their final names.")
    out.add_argument("jobs", nargs="*", metavar="JOB", help="jobs that have ended")
    out.add_argument("--results", metavar="PREFIX", help="s3://... with results, instead of a job")
    out.add_argument(
        "--plans", metavar="PREFIX", help="s3://... with plans to check the results against"
    )
    out.add_argument("--download", type=Path, metavar="DIR", help="also download the results")
    out.add_argument(
        "--verify",
        choices=("local", "region"),
        default="local",
        help="local: download results and sources, and compare them here (default); region: read "
        "the report of a Processing job, which is started if there is none",
    )
    out.add_argument("--poll", type=float, default=15, metavar="SECONDS", help="time between polls")
    out.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return out


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Collect the results, and print the outcome for each input.

    Raises:
        FaceBlurError: an input has no valid result, or the results cannot be read.
    """
    if bool(args.jobs) == bool(args.results):
        raise UsageError("name jobs, or a prefix with --results")
    best: dict[str, ResultRow] = {}
    for row in _rows(cloud, args):
        # One job may have finished the files that another one left.
        if not (row.file in best and best[row.file].done):
            best[row.file] = row
    rows = list(best.values())
    text = json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=1)
    # In a dry run stdout has the requests.
    print(
        "\n".join(map(printable, (text if args.json else format_table(rows)).split("\n"))),
        file=sys.stderr if cloud.dry_run else sys.stdout,
    )
    check_all(rows)


def _rows(cloud: Cloud, args: argparse.Namespace) -> Iterator[ResultRow]:
    if args.results:
        if args.verify == "region":
            raise UsageError("--verify region needs the settings of a job; name it")
        inputs = list_inputs(cloud, S3Uri(cloud.bucket, cloud.variables.input_prefix))
        output = S3Uri.parse(args.results)
        plans = S3Uri.parse(args.plans) if args.plans else None
        collector = Collector(cloud, inputs, output, args.download, plans)
        buckets = (inputs.prefix.bucket, output.bucket, (plans or output).bucket)
        judge = LocalJudge(cloud, *buckets)
        yield from collector.collect(collector.transform(lambda _: "no result"), judge)
    for name in args.jobs:
        job, description = find_job(cloud, name)
        check_ended(job, description)
        if how := how_it_ended(job, description):
            cloud.say(how)
        yield from _rows_of(cloud, args, job, description)


def _rows_of(
    cloud: Cloud, args: argparse.Namespace, job: Job, description: dict[str, Any]
) -> Iterator[ResultRow]:
    """Yield the outcome for each input of a job."""
    find = _processing if job.kind == KINDS["processing"] else _transform
    collector, candidates, places = find(cloud, args, job.name, description)
    judge: Judge
    if args.verify == "region":
        pairs = list(collector.results(candidates))
        judge = verify_in_region(cloud, (job, description), places, pairs, args.poll)
        # What has changed meanwhile was not verified.
        collector, candidates, _ = find(cloud, args, job.name, description)
    else:
        buckets = (places.sources.bucket, places.results.bucket, places.plans.bucket)
        judge = LocalJudge(cloud, *buckets, dropped=_dropped(cloud, job, description))
    yield from collector.collect(candidates, judge)


def _processing(
    cloud: Cloud, args: argparse.Namespace, _: str, description: dict[str, Any]
) -> tuple[Collector, list[Candidate], Places]:
    inputs = read_data_source(cloud, source_of_job(description))
    output = output_of_job(description)
    collector = Collector(cloud, inputs, output, args.download, None)
    return collector, collector.processing(), Places(inputs.prefix, output, output)


def _transform(
    cloud: Cloud, args: argparse.Namespace, name: str, description: dict[str, Any]
) -> tuple[Collector, list[Candidate], Places]:
    inputs = read_data_source(cloud, description["TransformInput"]["DataSource"]["S3DataSource"])
    output = S3Uri.parse(description["TransformOutput"]["S3OutputPath"])
    plans = S3Uri.parse(args.plans) if args.plans else None
    collector = Collector(cloud, inputs, output, args.download, plans)
    candidates = collector.transform(read_failure_reasons(cloud, name))
    return collector, candidates, Places(inputs.prefix, output, plans or output)


def _dropped(cloud: Cloud, job: Job, description: dict[str, Any]) -> list[str]:
    """Return the streams that a transform job leaves out; the plans of other jobs say it."""
    if job.kind == KINDS["processing"]:
        return []
    try:
        given = environment_of_job(cloud, description).get(_DROP, "")
    except CloudError:  # without its model nobody knows
        return []
    return [one.strip() for one in given.split(",") if one.strip()]


if __name__ == "__main__":
    sys.exit(main(parser(), run))
