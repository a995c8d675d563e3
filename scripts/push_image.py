"""Push the image to the repository on AWS, in the form that SageMaker takes.

    python -m scripts.push_image --build cuda|cpu --image-tag TAG [--dry-run]
    python -m scripts.push_image --archive FILE --image-tag TAG

The archive is what `docker save` writes. The URI that is printed at last is for IMAGE_URI.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.aws.cloud import Cloud
from scripts.aws.command import main, make_parser
from scripts.aws.errors import CloudError
from scripts.aws.images import check_tag, log_in, push

IMAGE_SH = Path(__file__).with_name("image.sh")


def parser() -> argparse.ArgumentParser:
    """Options of this command."""
    made = make_parser("Push the image to the repository.")
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("--build", choices=("cpu", "cuda"), help="build it first")
    what.add_argument("--image", metavar="NAME", help="an image of the Docker engine")
    what.add_argument("--archive", type=Path, metavar="FILE", help="an image of `docker save`")
    return made


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Push an image whose tag is free, and print its URI."""
    check_tag(cloud)
    with TemporaryDirectory() as folder:
        archive = args.archive or Path(folder) / "image.tar"
        command = _saving(args, archive)
        if cloud.dry_run:
            place = {"repositoryName": cloud.repository, "imageTag": cloud.variables.image_tag}
            cloud.show("registry", "push", place | {"command": command, "archive": str(archive)})
            return
        if command:
            _save(command)
        print(push(cloud, archive, log_in(cloud)))


def _saving(args: argparse.Namespace, archive: Path) -> list[str]:
    """The command that makes the archive; none where one was given."""
    if args.build:
        return [str(IMAGE_SH), "save", args.build, str(archive)]
    if args.image:
        return ["docker", "save", "--output", str(archive), args.image]
    return []


def _save(command: list[str]) -> None:
    try:
        code = subprocess.run(command, stdout=sys.stderr, check=False).returncode  # noqa: S603
    except OSError as error:
        raise CloudError(f"{command[0]} cannot be run: {error}") from error
    if code:
        raise CloudError(f"{' '.join(command[:3])} failed with exit code {code}; see above")


if __name__ == "__main__":
    sys.exit(main(parser(), run))
