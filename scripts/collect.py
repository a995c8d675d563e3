"""Checks the results of jobs, gives them their names and types, and says what has none.

    python -m scripts.collect JOB                          a job of either kind
    python -m scripts.collect JOB --download results       and brings the results here
    python -m scripts.collect --results s3://films/out/    what lies there, made of INPUT_PREFIX

Each result is downloaded, decoded, and compared with its source, or with its plan where there is
one. Exit code 1: an input has no valid result.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from app.errors import UsageError
from scripts.aws.cloud import Cloud
from scripts.aws.command import main, make_parser
from scripts.aws.jobs import KINDS, check_ended, find_job
from scripts.aws.objects import S3Uri, list_inputs, read_data_source
from scripts.aws.processing import output_of_job, source_of_job
from scripts.aws.results import Collector, ResultRow, check_all, format_table, read_failure_reasons


def parser() -> argparse.ArgumentParser:
    """The options of this command."""
    out = make_parser("Check the results of jobs, and give them their names.")
    out.add_argument("jobs", nargs="*", metavar="JOB", help="jobs that have ended")
    out.add_argument("--results", metavar="PREFIX", help="s3://... with results, instead of a job")
    out.add_argument("--plans", metavar="PREFIX", help="s3://... with plans to check against")
    out.add_argument("--download", type=Path, metavar="DIR", help="bring the results here too")
    out.add_argument("--json", action="store_true", help="print JSON instead of a format_table")
    return out


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Collect, and print what became of each input.

    Raises:
        FaceBlurError: an input has no valid result, or nothing can be told.
    """
    if bool(args.jobs) == bool(args.results):
        raise UsageError("name jobs, or a prefix with --results")
    best: dict[str, ResultRow] = {}
    for row in _rows(cloud, args):
        # What one job has left undone another one may have done.
        if not (row.file in best and best[row.file].done):
            best[row.file] = row
    rows = list(best.values())
    told = json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=1)
    # In a dry run stdout has the requests.
    print(
        told if args.json else format_table(rows), file=sys.stderr if cloud.dry_run else sys.stdout
    )
    check_all(rows)


def _rows(cloud: Cloud, args: argparse.Namespace) -> Iterator[ResultRow]:
    folder: Path | None = args.download
    plans = S3Uri.parse(args.plans) if args.plans else None
    if args.results:
        inputs = list_inputs(cloud, S3Uri(cloud.bucket, cloud.variables.input_prefix))
        output = S3Uri.parse(args.results)
        yield from Collector(cloud, inputs, output, folder, plans).transform(lambda _: "no result")
    for name in args.jobs:
        job, told = find_job(cloud, name)
        check_ended(job, told)
        if job.kind == KINDS["processing"]:
            inputs = read_data_source(cloud, source_of_job(told))
            yield from Collector(cloud, inputs, output_of_job(told), folder, None).processing()
        else:
            inputs = read_data_source(cloud, told["TransformInput"]["DataSource"]["S3DataSource"])
            output = S3Uri.parse(told["TransformOutput"]["S3OutputPath"])
            collector = Collector(cloud, inputs, output, folder, plans)
            yield from collector.transform(read_failure_reasons(cloud, name))


if __name__ == "__main__":
    sys.exit(main(parser(), run))
