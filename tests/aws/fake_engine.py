#!/usr/bin/env python3
"""Stands in for docker and skopeo: records each call, and "pushes" into the ECR of moto."""

import hashlib
import json
import os
import re
import sys
from pathlib import Path

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def push(target: str) -> str:
    """Put an image into the repository; return its digest."""
    import boto3

    repository, _, tag = target.rpartition("/")[2].rpartition(":")
    media_type = os.environ.get("FAKE_MANIFEST", DOCKER_MANIFEST)
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, "layers": []})
    digest = "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()
    boto3.client("ecr", "eu-north-1").put_image(
        repositoryName=repository,
        imageManifest=manifest,
        imageManifestMediaType=media_type,
        imageTag=tag,
        imageDigest=digest,
    )
    return digest


def main() -> int:
    name, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    call = {"name": name, "arguments": arguments, "stdin": "", "auth": None, "mode": 0}
    if arguments[0] == "login":
        call["stdin"] = sys.stdin.read()
    if "--dest-authfile" in arguments:
        path = Path(option("--dest-authfile"))
        call |= {"auth": json.loads(path.read_text()), "mode": path.stat().st_mode & 0o777}
    folder = Path(os.environ["FAKE_ENGINE"])
    with (folder / "calls").open("a") as file:
        file.write(json.dumps(call) + "\n")
    if " ".join(arguments[:2]).startswith(os.environ.get("FAKE_FAILURE", "none")):
        print("denied", file=sys.stderr)
        return 1
    match (name, *arguments[:2]):
        case ("docker", "buildx", "build"):
            target = re.findall("name=([^,]+)", option("--output"))[0]
            content = {"containerimage.digest": push(target), "other": {}}
            Path(option("--metadata-file")).write_text(json.dumps(content, indent=2))
        case ("docker", "push", target):
            (folder / "digests").write_text(f"{target.rpartition(':')[0]}@{push(target)}\n")
        case ("docker", "image", "inspect"):
            platform = os.environ.get("FAKE_PLATFORM", "linux/amd64")
            digests = folder / "digests"
            shown = {"{{.Size}}": "1000000", "{{.Os}}/{{.Architecture}}": platform}
            print(shown.get(arguments[3]) or digests.read_text())
        case ("docker", "save", _):
            Path(option("--output")).write_text("an archive")
        case ("skopeo", "inspect", _):
            system, machine = os.environ.get("FAKE_PLATFORM", "linux/amd64").split("/")
            config = {"User": os.environ.get("FAKE_USER", "0:0")}
            print(json.dumps({"os": system, "architecture": machine, "config": config}))
        case ("skopeo", "copy", _):
            digest = push(arguments[-1].removeprefix("docker://"))
            Path(option("--digestfile")).write_text(digest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
