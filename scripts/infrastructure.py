"""Create or update the AWS resources of Face blur: bucket, image repository and role.

    python -m scripts.infrastructure [--keep-days 30] [--keep-rest-days 365] [--dry-run]

Running it again is safe. scripts/infrastructure.yaml lists the resources.
"""

import argparse
import sys

from scripts.aws.cloud import Cloud
from scripts.aws.command import main, make_parser
from scripts.aws.stack import KEEP, create_or_update


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    out = make_parser("Create or update the bucket, the image repository and the role.")
    out.add_argument(
        "--keep-days",
        type=_days,
        metavar="DAYS",
        help="delete videos and results after this many days "
        f"(default: unchanged, at first {KEEP['KeepDays']})",
    )
    out.add_argument(
        "--keep-rest-days",
        type=_days,
        metavar="DAYS",
        help="delete everything else, such as photos, after this many days "
        f"(default: unchanged, at first {KEEP['KeepRestDays']})",
    )
    return out


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 36500:
        raise ValueError
    return days


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Create or update the stack, and print its outputs."""
    keep = {"KeepDays": args.keep_days, "KeepRestDays": args.keep_rest_days}
    outputs = create_or_update(cloud, keep)
    if not cloud.dry_run:
        print("\n".join(f"{name}: {value}" for name, value in outputs.items()))


if __name__ == "__main__":
    sys.exit(main(parser(), run))
