"""Check the results of jobs, and give them their final names and types.

    python -m scripts.collect JOB                          a job of either kind
    python -m scripts.collect JOB --download results       also download the results
    python -m scripts.collect --results s3://videos/out/   results of the inputs in INPUT_PREFIX

Each result is downloaded, decoded, and compared with its source, or with its plan if there is one.
The exit code is 1 if an input has no valid result.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from app.errors import UsageError
from app.logs import printable
from scripts.aws.cloud import Cloud
from scripts.aws.command import main, make_parser
from scripts.aws.jobs import KINDS, check_ended, find_job, how_it_ended
from scripts.aws.objects import S3Uri, list_inputs, read_data_source
from scripts.aws.processing import output_of_job, source_of_job
from scripts.aws.results import Collector, ResultRow, check_all, format_table, read_failure_reasons


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    out = make_parser("Check the results of jobs, and give them their final names.")
    out.add_argument("jobs", nargs="*", metavar="JOB", help="jobs that have ended")
    out.add_argument("--results", metavar="PREFIX", help="s3://... with results, instead of a job")
    out.add_argument(
        "--plans", metavar="PREFIX", help="s3://... with plans to check the results against"
    )
    out.add_argument("--download", type=Path, metavar="DIR", help="also download the results")
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
    folder: Path | None = args.download
    plans = S3Uri.parse(args.plans) if args.plans else None
    if args.results:
        inputs = list_inputs(cloud, S3Uri(cloud.bucket, cloud.variables.input_prefix))
        output = S3Uri.parse(args.results)
        yield from Collector(cloud, inputs, output, folder, plans).transform(lambda _: "no result")
    for name in args.jobs:
        job, description = find_job(cloud, name)
        check_ended(job, description)
        if how := how_it_ended(job, description):
            cloud.say(how)
        if job.kind == KINDS["processing"]:
            inputs = read_data_source(cloud, source_of_job(description))
            yield from Collector(
                cloud, inputs, output_of_job(description), folder, None
            ).processing()
        else:
            inputs = read_data_source(
                cloud, description["TransformInput"]["DataSource"]["S3DataSource"]
            )
            output = S3Uri.parse(description["TransformOutput"]["S3OutputPath"])
            collector = Collector(cloud, inputs, output, folder, plans)
            yield from collector.transform(read_failure_reasons(cloud, name))


if __name__ == "__main__":
    sys.exit(main(parser(), run))
