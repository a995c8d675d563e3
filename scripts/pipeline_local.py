"""Run the pipeline on this machine from start to end, without an AWS account.

    python -m scripts.pipeline_local [--folder pipeline-local] [--drawing FILE.svg]

A short video, a long one, a broken one, and the short one a second time are put into the bucket.
The state machines are those of scripts/infrastructure.yaml. moto plays them, and scripts/local runs
their jobs. Every frame of the results is then compared with the truth. The exit code is 1 if
anything differs from what must happen.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.errors import FaceBlurError, Interrupted
from app.process import stoppable
from scripts.aws.cloud import Cloud
from scripts.aws.variables import Variables
from scripts.infrastructure import KEEP, create_or_update
from scripts.local.checking import check_video
from scripts.local.containers import ProgramLauncher
from scripts.local.drawing import Column, column, draw
from scripts.local.machines import Machines, playing
from scripts.local.sagemaker import SageMaker
from scripts.local.transformer import Timeouts
from scripts.transform_local import environment, quiet_moto, remove_account

ROOT = Path(__file__).resolve().parents[1]
REGION = "eu-north-1"
IMAGE = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/face-blur:local"
CHANGES = {"PollSeconds": "1", "Pauses": "[1, 1, 1]"}
"""Substitutions that make it quick; everything else is as on AWS."""
CHOICES = {"Hide": "listed", "PieceSeconds": "2", "DirectBytes": "60000", "MaxInstances": "1"}
"""Parameters of the stack: pieces and small objects are as small as these videos. One instance,
because two would load the models twice on a machine of two cores."""
ORDER = ("short.mp4", "long.mp4", "broken.mp4", "short.mp4")
_PATIENCE = 120.0
_QUICK = Timeouts(ping_every=0.2)
"""As on AWS, but looked at more often."""


class Differs(FaceBlurError):
    """Something happened that must not, or did not happen."""


def make_media(folder: Path) -> None:
    """Write videos, photos and the truth about them into a folder."""
    subprocess.run(
        [sys.executable, "-m", "testmedia.pipeline_media", str(folder)], cwd=ROOT, check=True
    )


@contextmanager
def stack(
    changes: Mapping[str, str] = CHANGES, choices: Mapping[str, str] = CHOICES
) -> Iterator[tuple[SageMaker, Cloud, Machines]]:
    """Yield a server with the stack of the pipeline, and its state machines."""
    with (
        tempfile.TemporaryDirectory(prefix="spool-") as spool,
        quiet_moto(),
        SageMaker(ProgramLauncher(Path(spool)), _QUICK) as sagemaker,
        playing(sagemaker),
        _account(sagemaker),
    ):
        variables = Variables(region=REGION, image_uri=IMAGE, instance_type="ml.c6i.2xlarge")
        cloud = Cloud(variables)
        create_or_update(cloud, dict.fromkeys(KEEP), "on", choices)
        yield sagemaker, cloud, Machines(sagemaker, cloud, changes)


@contextmanager
def _account(sagemaker: SageMaker) -> Iterator[None]:
    """Send the clients of this process to the server."""
    kept = dict(os.environ)
    os.environ.update(environment(sagemaker))
    # moto's interpreter connects to this name.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def play(cloud: Cloud, machines: Machines, media: Path) -> dict[str, dict[str, Any]]:
    """Upload the photos and videos in order; return the ended executions by name of the video.

    Raises:
        Differs: an upload did not start the gate, or the second one of a video started it anew.
    """
    s3, bucket = cloud.client("s3"), cloud.bucket
    for photo in sorted((media / "people").rglob("*.jpg")):
        key = photo.relative_to(media).as_posix()
        s3.upload_file(str(photo), bucket, key)
    ended: dict[str, dict[str, Any]] = {}
    for name in ORDER:
        s3.upload_file(str(media / "input" / name), bucket, f"input/{name}")
        gate = _delivered(machines)
        if gate["status"] != "SUCCEEDED":
            raise Differs(f"{name}: the gate {gate['status']}: {gate.get('cause')}")
    for one in machines.executions("PipelineMachine"):
        found = machines.wait(one["executionArn"], _PATIENCE)
        name = json.loads(found["input"])["key"].removeprefix("input/")
        if name in ended:
            raise Differs(f"{name}: was processed twice")
        ended[name] = found
    if set(ended) != set(ORDER):
        raise Differs(f"processed: {', '.join(sorted(ended))}")
    return ended


def _delivered(machines: Machines) -> dict[str, Any]:
    """Start the gate for the event of an upload; return its ended execution."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        started = machines.deliver()
        if started:
            return machines.wait(started[0])
        time.sleep(0.1)
    raise Differs("an upload caused no event")


def check(
    cloud: Cloud, ended: Mapping[str, dict[str, Any]], media: Path, folder: Path
) -> Iterator[str]:
    """Fetch everything that the executions wrote; yield what is wrong with it."""
    truth = json.loads((media / "truth.json").read_text(encoding="utf-8"))
    states = {"short.mp4": "SUCCEEDED", "long.mp4": "SUCCEEDED", "broken.mp4": "FAILED"}
    for name, state in states.items():
        if ended[name]["status"] != state:
            yield f"{name}: {ended[name]['status']}: {ended[name].get('cause')}"
    found = _fetch(cloud, folder)
    good = [name for name, state in states.items() if state == "SUCCEEDED"]
    expected = {f"failed/input/{name}.json" for name in states if name not in good}
    for name in good:
        expected |= {f"output/{name}", f"output/plans/{name}.plan.json"}
        expected |= {f"output/reports/{name}.json"}
    if found != expected:
        yield f"objects: {', '.join(sorted(found ^ expected))} are missing, or too many"
    for name in good:
        result = folder / "output" / name
        if result.is_file():
            source, listed = media / "input" / name, truth["listed"]
            yield from check_video(source, result, truth["videos"][name], listed)


def _fetch(cloud: Cloud, folder: Path) -> set[str]:
    """Download results and failures; return their keys."""
    s3, keys = cloud.client("s3"), set()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=cloud.bucket):
        for one in page.get("Contents", ()):
            if one["Key"].startswith(("output/", "failed/")):
                keys.add(one["Key"])
                target = folder / one["Key"]
                target.parent.mkdir(parents=True, exist_ok=True)
                s3.download_file(cloud.bucket, one["Key"], str(target))
    return keys


def columns(machines: Machines, ended: Mapping[str, dict[str, Any]]) -> list[Column]:
    """Return the states of each execution, for a drawing."""
    return [column(name, machines.history(one["executionArn"])) for name, one in ended.items()]


def run(args: argparse.Namespace) -> int:
    """Run the pipeline; return the exit code.

    Raises:
        FaceBlurError: it could not be run to its end.
    """
    shutil.rmtree(args.folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="pipeline-local-") as temporary:
        media = Path(temporary) / "media"
        make_media(media)
        with stack() as (_, cloud, machines):
            ended = play(cloud, machines, media)
            faults = list(check(cloud, ended, media, args.folder))
            drawn = columns(machines, {name: ended[name] for name in dict.fromkeys(ORDER)})
    args.drawing.parent.mkdir(parents=True, exist_ok=True)
    args.drawing.write_text(draw(drawn), encoding="utf-8")
    for name, one in ended.items():
        seconds = (one["stopDate"] - one["startDate"]).total_seconds()
        print(f"{one['status']:10} {seconds:5.1f} s  {name}  {one.get('cause', '')}")
    print(f"results    {args.folder}\nstates     {args.drawing}")
    for fault in faults:
        print(f"fault      {fault}")
    return 1 if faults else 0


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    out = argparse.ArgumentParser(
        description="Run the pipeline on this machine, without an AWS account.", allow_abbrev=False
    )
    out.add_argument(
        "--folder",
        type=Path,
        default=Path("pipeline-local"),
        help="folder for results, which is emptied first (default: %(default)s)",
    )
    out.add_argument(
        "--drawing",
        type=Path,
        default=Path("pipeline-local", "states.svg"),
        help="file for the drawing of the states (default: %(default)s)",
    )
    return out


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 failed, 2 usage, 130 interrupted."""
    args = parser().parse_args(argv)
    remove_account()
    try:
        with stoppable():
            return run(args)
    except KeyboardInterrupt:
        print("pipeline_local: interrupted", file=sys.stderr)
        return Interrupted.exit_code
    except (FaceBlurError, TimeoutError) as error:
        print(f"pipeline_local: error: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:  # the command printed the reason
        return error.returncode


if __name__ == "__main__":
    sys.exit(main())
