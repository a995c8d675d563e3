"""Show and delete all AWS resources of Face blur, including videos and results.

    python -m scripts.teardown [--yes] [--dry-run]

It deletes every resource with the tag face-blur:project of this project: it stops running jobs, and
deletes models, images, the stack, and the bucket with its contents. Ended jobs cannot be deleted,
and SageMaker's log groups are shared within the account; both stay.
"""

import argparse
import sys

from app.errors import UsageError
from scripts.aws.cloud import Cloud
from scripts.aws.command import main, make_parser
from scripts.aws.deletion import delete, find_all


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    out = make_parser("Delete all resources with the project's tag, including videos and results.")
    out.add_argument("--yes", action="store_true", help="do not ask")
    return out


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Show the resources, ask, and delete them."""
    project = cloud.variables.project
    resources = find_all(cloud)
    if not resources:
        cloud.say(f"no resource in {cloud.variables.region} has the tag of {project}")
        return
    for one in resources:
        cloud.say(str(one))
    if not (args.yes or cloud.dry_run):
        _confirm(project)
    delete(cloud, resources)
    cloud.say("log groups /aws/sagemaker/... are shared with other jobs of the account and stay")


def _confirm(project: str) -> None:
    print(f"Type {project} to delete all of it: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != project:
        raise UsageError("nothing was deleted")


if __name__ == "__main__":
    sys.exit(main(parser(), run))
