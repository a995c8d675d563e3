"""Make what Face blur needs on AWS, or bring it up to date: bucket, image repository and role.

    python -m scripts.infrastructure [--keep-days 30] [--keep-rest-days 365] [--dry-run]

It can be run again at any time. scripts/infrastructure.yaml says exactly what is made.
"""

import argparse
import sys

from scripts.aws.cloud import Cloud
from scripts.aws.command import main, make_parser
from scripts.aws.stack import KEEP, create_or_update


def parser() -> argparse.ArgumentParser:
    """Options of this command."""
    made = make_parser("Make the bucket, the image repository and the role, or update them.")
    made.add_argument(
        "--keep-days", type=_days, metavar="DAYS",
        help="delete videos and results after so many days "
        f"(default: as it is, at first {KEEP['KeepDays']})",
    )  # fmt: skip
    made.add_argument(
        "--keep-rest-days", type=_days, metavar="DAYS",
        help="delete everything else, photos too, after so many "
        f"(default: as it is, at first {KEEP['KeepRestDays']})",
    )  # fmt: skip
    return made


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 36500:
        raise ValueError
    return days


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Make the stack, and print what it has."""
    keep = {"KeepDays": args.keep_days, "KeepRestDays": args.keep_rest_days}
    found = create_or_update(cloud, keep)
    if not cloud.dry_run:
        print("\n".join(f"{name}: {value}" for name, value in found.items()))


if __name__ == "__main__":
    sys.exit(main(parser(), run))
