"""Push the image to the repository on AWS, in the format that SageMaker accepts.

    python -m scripts.push_image --build cuda|cpu --image-tag TAG [--dry-run]
    python -m scripts.push_image --archive FILE --image-tag TAG
    python -m scripts.push_image --image NAME --image-tag TAG

``--build`` needs docker or podman. The archive is one of `docker save`; pushing it, or
an image of the Docker engine, needs skopeo. The printed URI is for IMAGE_URI.
"""

import argparse
import sys
from pathlib import Path

from scripts.aws.cloud import Cloud
from scripts.aws.command import main, make_parser
from scripts.aws.images import (
    build_command,
    check_tag_is_free,
    copy_command,
    push_archive,
    push_build,
    push_image,
    repository_uri,
    save_command,
)

_SHOWN = Path("TEMPORARY")
"""Stands for the temporary folder in a dry run."""


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    out = make_parser("Push the image to the repository.")
    source = out.add_mutually_exclusive_group(required=True)
    source.add_argument("--build", choices=("cpu", "cuda"), help="build the image first")
    source.add_argument("--image", metavar="NAME", help="an image of the Docker engine")
    source.add_argument("--archive", type=Path, metavar="FILE", help="an image of `docker save`")
    return out


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Push an image under a free tag, and print its URI by digest."""
    check_tag_is_free(cloud)
    if cloud.dry_run:
        _show(cloud, args)
    elif args.build:
        print(push_build(cloud, args.build))
    elif args.image:
        print(push_image(cloud, args.image))
    else:
        print(push_archive(cloud, args.archive))


def _show(cloud: Cloud, args: argparse.Namespace) -> None:
    """Print the commands instead of running them."""
    target = f"{repository_uri(cloud)}:{cloud.variables.image_tag}"
    archive = args.archive or _SHOWN / "image.tar"
    commands = [save_command(args.image, archive)] if args.image else []
    if args.build:
        commands.append(build_command(args.build, target, _SHOWN / "digest"))
    else:
        commands.append(copy_command(archive, target, _SHOWN / "auth.json", _SHOWN / "digest"))
    place = {"repositoryName": cloud.repository, "imageTag": cloud.variables.image_tag}
    for command in commands:
        cloud.show("registry", "push", place | {"command": command})


if __name__ == "__main__":
    sys.exit(main(parser(), run))
