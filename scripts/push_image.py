"""Push the image to the repository on AWS (ECR), in the format that SageMaker accepts.

    python -m scripts.push_image --build --image-tag TAG [--compute cpu] [--dry-run]
    python -m scripts.push_image --archive FILE --image-tag TAG
    python -m scripts.push_image --image NAME --image-tag TAG

``--build`` needs docker or podman. The archive is one of `docker save`; pushing it, or
an image of the Docker engine, needs skopeo. The printed URI is for IMAGE_URI.

SageMaker runs the image as root, whose folders it mounts: the image is built for IMAGE_USER, which
is 0 by default, and an archive or an image for another user is refused.

SageMaker accepts only manifests of Docker's image format, version 2, schema 2, and refuses OCI
manifests, so each push asks for that format, and the result is checked.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from app.errors import UsageError
from scripts.aws.cloud import Cloud, CloudError
from scripts.aws.command import main, make_parser
from scripts.aws.images import refuse_user, user_of
from scripts.aws.jobs import describe_image, repository_uri

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
IMAGE_SH = Path(__file__).resolve().parent / "image.sh"
VARIANTS = {"gpu": "cuda", "cpu": "cpu"}
"""The variant of the image for each value of ``COMPUTE``."""
_PLATFORM = "linux/amd64"
_NO_IMAGE = "ImageNotFoundException"
_SHOWN = Path("TEMPORARY")
"""Stands for the temporary folder in a dry run."""


def check_tag_is_free(cloud: Cloud) -> None:
    """Check that no image has the tag: image tags are immutable.

    Raises:
        UsageError: an image has the tag.
        CloudError: the repository cannot be read.
    """
    tag = cloud.variables.tag
    if cloud.blind:
        return
    try:
        describe_image(cloud)
    except CloudError as error:
        if error.reason == _NO_IMAGE:
            return
        raise
    raise UsageError(
        f"the tag {tag} is taken, and tags are immutable; choose another one, such as "
        "--image-tag $(git rev-parse --short HEAD)"
    )


def check_pushed(cloud: Cloud, digest: str) -> str:
    """Check the image that now has the tag, and return its URI by digest.

    Args:
        cloud: the account.
        digest: ``sha256:...`` of the manifest that was pushed.

    Raises:
        CloudError: the tag names another image, or SageMaker would refuse the manifest.
    """
    tag, found = cloud.variables.tag, describe_image(cloud)
    if found["imageDigest"] != digest:
        raise CloudError(f"the tag {tag} names {found['imageDigest']}, not the pushed {digest}")
    if found.get("imageManifestMediaType") != MANIFEST_TYPE:
        raise CloudError(
            f"the manifest is {found.get('imageManifestMediaType')}, which SageMaker refuses; "
            f"it must be {MANIFEST_TYPE}"
        )
    return f"{repository_uri(cloud)}@{digest}"


def build_command(variant: str, target: str, digest_file: Path) -> list[str]:
    """Return the command that builds and pushes; it reads the registry's password from stdin."""
    return [str(IMAGE_SH), "push", variant, target, str(digest_file)]


def build_environment(cloud: Cloud) -> dict[str, str]:
    """Return the variables of that command: the user of the image."""
    return {"USER_ID": str(cloud.variables.image_user)}


def copy_command(archive: Path, target: str, auth_file: Path, digest_file: Path) -> list[str]:
    """Return the command that pushes an archive of ``docker save``."""
    return [
        *("skopeo", "copy", "--format", "v2s2", "--retry-times", "3"),
        *("--dest-authfile", str(auth_file), "--digestfile", str(digest_file)),
        f"docker-archive:{archive}",
        f"docker://{target}",
    ]


def save_command(image: str, archive: Path) -> list[str]:
    """Return the command that writes an image of the Docker engine to an archive."""
    return ["docker", "save", "--output", str(archive), image]


def push_build(cloud: Cloud, variant: str) -> str:
    """Build a variant of the image and push it; return its URI by digest.

    Raises:
        CloudError: the build or the push failed, or SageMaker would refuse the result.
    """
    password = _password(cloud)
    with TemporaryDirectory() as folder:
        digest_file = Path(folder) / "digest"
        command = build_command(variant, _target(cloud), digest_file)
        _run(command, password, given=build_environment(cloud))
        return check_pushed(cloud, _read_digest(digest_file))


def push_image(cloud: Cloud, image: str) -> str:
    """Push an image of the Docker engine; return its URI by digest.

    The image is pushed from an archive, because the engine might push an OCI manifest.

    Raises:
        CloudError: the push failed, or SageMaker would refuse the result.
    """
    with TemporaryDirectory() as folder:
        archive = Path(folder) / "image.tar"
        _run(save_command(image, archive))
        return push_archive(cloud, archive)


def push_archive(cloud: Cloud, archive: Path) -> str:
    """Push an archive of ``docker save``; return its URI by digest.

    Raises:
        UsageError: the archive is not an image for Linux on x86-64, or runs as another user than
            ``IMAGE_USER``.
        CloudError: the push failed, or SageMaker would refuse the result.
    """
    _check_config(archive, cloud.variables.image_user)
    with TemporaryDirectory() as name:
        auth_file, digest_file = Path(name) / "auth.json", Path(name) / "digest"
        target = _target(cloud)
        auth_file.touch(mode=0o600)
        auth_file.write_text(_auth_json(target, _token(cloud)), encoding="utf-8")
        _run(copy_command(archive, target, auth_file, digest_file))
        return check_pushed(cloud, _read_digest(digest_file))


def _target(cloud: Cloud) -> str:
    return f"{repository_uri(cloud)}:{cloud.variables.tag}"


def _token(cloud: Cloud) -> str:
    """Return base64 of ``AWS:PASSWORD``, valid for some hours."""
    (data,) = cloud.read("ecr", "get_authorization_token")["authorizationData"]
    return str(data["authorizationToken"])


def _password(cloud: Cloud) -> str:
    return base64.b64decode(_token(cloud)).decode().partition(":")[2]


def _auth_json(target: str, token: str) -> str:
    """Return a registry login in the format of ``docker login``."""
    return json.dumps({"auths": {urlsplit(f"//{target}").netloc: {"auth": token}}})


def _check_config(archive: Path, user: int) -> None:
    if not archive.is_file():
        raise UsageError(f"{archive}: no such file")
    command = ["skopeo", "inspect", "--config", f"docker-archive:{archive}"]
    try:
        config = json.loads(_run(command, capture=True))
        platform = f"{config['os']}/{config['architecture']}"
    except (CloudError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{archive}: not an image of `docker save`: {error}") from error
    if platform != _PLATFORM:
        raise UsageError(
            f"{archive}: the image is for {platform}; build with --platform {_PLATFORM}"
        )
    refuse_user(str(archive), user_of(config), user)


def _read_digest(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise CloudError("the push gave no digest; check the image in the repository") from error


def _run(
    command: Sequence[str],
    stdin: str = "",
    *,
    capture: bool = False,
    given: Mapping[str, str] | None = None,
) -> str:
    """Run a command; its output goes to stderr, or is returned with ``capture``.

    ``given`` are variables of its environment, besides ours.
    """
    output = subprocess.PIPE if capture else sys.stderr
    try:
        ended = subprocess.run(
            command,
            input=stdin,
            stdout=output,
            env={**_environment(), **(given or {})},
            text=True,
            check=False,
        )
    except OSError as error:
        raise CloudError(f"{command[0]} cannot be run: {error}") from error
    if ended.returncode:
        name = " ".join(command[:3])
        raise CloudError(f"{name} failed with exit code {ended.returncode}; see above")
    return ended.stdout or ""


def _environment() -> Mapping[str, str]:
    """Return the environment, where skopeo finds the certificates that boto3 uses."""
    bundle = os.environ.get("AWS_CA_BUNDLE")
    return ({"SSL_CERT_FILE": bundle} if bundle else {}) | os.environ


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    out = make_parser("Push the image to the repository.")
    source = out.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--build",
        nargs="?",
        const="",
        choices=("", *VARIANTS.values()),
        help="build the image first, for COMPUTE",
    )
    source.add_argument("--image", metavar="NAME", help="an image of the Docker engine")
    source.add_argument("--archive", type=Path, metavar="FILE", help="an image of `docker save`")
    return out


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Push an image under a free tag, and print its URI by digest."""
    variant = VARIANTS[cloud.variables.compute]
    if args.build not in {None, "", variant}:
        raise UsageError(
            f"--build {args.build} contradicts COMPUTE, which is {cloud.variables.compute}: "
            "for CPUs use --compute cpu, here and for the jobs"
        )
    check_tag_is_free(cloud)
    if cloud.dry_run:
        _show(cloud, args)
    elif args.build is not None:
        print(push_build(cloud, variant))
    elif args.image:
        print(push_image(cloud, args.image))
    else:
        print(push_archive(cloud, args.archive))


def _show(cloud: Cloud, args: argparse.Namespace) -> None:
    """Print the commands instead of running them."""
    target = f"{repository_uri(cloud)}:{cloud.variables.tag}"
    archive = args.archive or _SHOWN / "image.tar"
    commands = [save_command(args.image, archive)] if args.image else []
    if args.build is not None:
        variant = VARIANTS[cloud.variables.compute]
        commands.append(build_command(variant, target, _SHOWN / "digest"))
    else:
        commands.append(copy_command(archive, target, _SHOWN / "auth.json", _SHOWN / "digest"))
    place = {"repositoryName": cloud.repository, "imageTag": cloud.variables.tag}
    environment = {"environment": build_environment(cloud)} if args.build is not None else {}
    for command in commands:
        cloud.show("registry", "push", place | {"command": command} | environment)


if __name__ == "__main__":
    sys.exit(main(parser(), run))
