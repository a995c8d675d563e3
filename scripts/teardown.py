"""Delete all that Face blur has made on AWS, videos and results too, after having shown it.

    python -m scripts.teardown [--yes] [--dry-run]

Deleted is what carries the tag face-blur:project of this project, whatever it is called: running
jobs are stopped; models, images, the stack, and the bucket with all in it go. Jobs that have ended
and the logs of SageMaker stay: they cannot be deleted, or are shared with others of the account.
"""

import argparse
import sys

from app.errors import UsageError
from scripts.aws.cloud import Cloud
from scripts.aws.command import main, make_parser
from scripts.aws.deletion import delete, find_all


def parser() -> argparse.ArgumentParser:
    """Options of this command."""
    made = make_parser("Delete all that carries our tag, videos and results too.")
    made.add_argument("--yes", action="store_true", help="do not ask")
    return made


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Show what there is, ask, and delete it."""
    project = cloud.variables.project
    found = find_all(cloud)
    if not found:
        cloud.say(f"nothing in {cloud.variables.region} carries the tag of {project}")
        return
    for one in found:
        cloud.say(str(one))
    if not (args.yes or cloud.dry_run):
        _confirm(project)
    delete(cloud, found)
    cloud.say("log groups /aws/sagemaker/... are shared with other jobs of the account: they stay")


def _confirm(project: str) -> None:
    print(f"Type {project} to delete all of it: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != project:
        raise UsageError("nothing was deleted")


if __name__ == "__main__":
    sys.exit(main(parser(), run))
