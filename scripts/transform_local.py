"""The whole life of a transform job on this machine, without an account.

    python -m scripts.transform_local                          made clips; obama is hidden
    python -m scripts.transform_local VIDEO... --people FOLDER
    python -m scripts.transform_local --broken                 one object fails, and so the job
    python -m scripts.transform_local --image face-blur:cpu    in a container
    python -m scripts.transform_local --keep                   leave it up, to try commands by hand

The commands for AWS run as they would there; S3, CloudFormation and the rest are moto's, and
scripts/local plays SageMaker. The exit code is 1 when the job failed.
"""

import argparse
import logging
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.errors import FaceBlurError, Interrupted
from app.signals import stoppable
from scripts.local.containers import ImageLauncher, Launcher, ProgramLauncher
from scripts.local.end_to_end import (
    FOREIGN,
    Scenario,
    ScenarioResult,
    environment,
    run_end_to_end,
    table,
)
from scripts.local.sagemaker import SageMaker
from scripts.local.transformer import Timeouts

ROOT = Path(__file__).resolve().parents[1]


def parser() -> argparse.ArgumentParser:
    """The options."""
    out = argparse.ArgumentParser(
        description="JobRun a transform job on this machine, without an account.",
        allow_abbrev=False,
    )
    out.add_argument("media", nargs="*", type=Path, metavar="VIDEO", help="default: a made clip")
    out.add_argument("--people", type=Path, metavar="FOLDER", help="NAME/*.jpg or NAME.jpg")
    out.add_argument("--broken", action="store_true", help="add a video that is cut off")
    out.add_argument("--instances", type=int, choices=range(1, 9), default=1, metavar="N")
    out.add_argument(
        "--option", action="append", default=[], metavar="OPTION",
        help="of run_transform.py, such as --option=--effect=solid",
    )  # fmt: skip
    out.add_argument("--image", help="start this image, not the program of this folder")
    out.add_argument("--engine", default="docker", help="what starts it (default: docker)")
    out.add_argument(
        "--ping-seconds", type=float, default=Timeouts().ping, metavar="SECONDS",
        help="how long the service may take to start (default: as on AWS)",
    )  # fmt: skip
    out.add_argument(
        "--folder", type=Path, default=Path("transform-local"), metavar="FOLDER",
        help="where results go, each job's in a folder (default: transform-local)",
    )  # fmt: skip
    out.add_argument("--keep", action="store_true", help="leave the server up until Ctrl-C")
    return out


@contextmanager
def _media(args: argparse.Namespace) -> Iterator[Scenario]:
    """The media of the user, or made ones; gone afterwards is what was made."""
    with tempfile.TemporaryDirectory(prefix="transform-local-") as temporary:
        made = Path(temporary)
        media, people = list(args.media), args.people
        if not media or args.broken:
            make = [sys.executable, "-m", "scripts.smoke_media", str(made)]
            subprocess.run(make, cwd=ROOT, check=True)  # noqa: S603 - our own interpreter
            clip = made / "clip.mp4"
            if args.broken:
                broken = made / "broken.mp4"
                broken.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
                media.append(broken)
            if not args.media:
                media.append(clip)
                people = people or made / "people"
        yield Scenario(media, people, args.instances, args.option)


def _launcher(args: argparse.Namespace, spool: Path) -> Launcher:
    if args.image is None:
        return ProgramLauncher(spool)
    if shutil.which(args.engine) is None:
        raise FaceBlurError(f"{args.engine} is not here; leave --image out to do without")
    return ImageLauncher(args.image, args.engine)


@contextmanager
def _quiet_moto() -> Iterator[None]:
    """Do not tell that moto's CloudFormation leaves the policy of the bucket out."""
    logging.getLogger("moto").addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Tried to parse AWS::S3::BucketPolicy", UserWarning)
        yield


def _tell(done: ScenarioResult) -> None:
    reason = f": {done.ended.reason}" if done.ended.reason else ""
    print(f"\n{done.ended.state}{reason}\n{table(done.ended.outcomes)}\n\nresults  {done.folder}")
    for sheet in done.sheets.values():
        print(f"sheet    {sheet}")
    for fault in done.faults:
        print(f"fault    {fault}")


def _keep(sagemaker: SageMaker) -> None:
    """Wait for Ctrl-C; the commands of another terminal find the server by these lines."""
    print("\nThe server stays up until Ctrl-C. In another terminal:")
    for name, value in environment(sagemaker).items():
        if name.startswith("AWS_"):
            print(f"export {name}={shlex.quote(value)}")
    sys.stdout.flush()
    threading.Event().wait()


def _forget_the_account() -> None:
    """Take away what leads to an account: boto3 looks for it wherever a client is made."""
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]
    os.environ |= dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)


def run(args: argparse.Namespace) -> int:
    """Do it all; returns the exit code.

    Raises:
        FaceBlurError: something has failed before there was a result.
    """
    with tempfile.TemporaryDirectory(prefix="spool-") as spool, _quiet_moto():
        launcher, timeouts = _launcher(args, Path(spool)), Timeouts(ping=args.ping_seconds)
        with _media(args) as wish, SageMaker(launcher, timeouts) as sagemaker:
            done = run_end_to_end(sagemaker, wish, args.folder)
            _tell(done)
            if args.keep:
                _keep(sagemaker)
    return done.exit_code


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0, 1 failed, 2 usage, 130 interrupted."""
    args = parser().parse_args(argv)
    _forget_the_account()
    try:
        with stoppable():
            return run(args)
    except KeyboardInterrupt:
        print("transform_local: interrupted", file=sys.stderr)
        return Interrupted.exit_code
    except FaceBlurError as error:
        print(f"transform_local: error: {error}", file=sys.stderr)
        return error.exit_code
    except subprocess.CalledProcessError as error:  # the command has said why
        return error.returncode


if __name__ == "__main__":
    sys.exit(main())
