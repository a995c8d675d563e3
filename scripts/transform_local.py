"""Run a transform job on this machine from start to end, without an AWS account.

    python -m scripts.transform_local                          synthetic media; obama is hidden
    python -m scripts.transform_local VIDEO... --people FOLDER
    python -m scripts.transform_local --broken                 one file fails, and so does the job
    python -m scripts.transform_local --image face-blur:cpu    in a container
    python -m scripts.transform_local --keep                   keep the server, to try commands

The AWS commands run as they would with an account. moto simulates S3, CloudFormation and other
services, scripts/local simulates SageMaker. The exit code is 1 if the job failed.
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
from app.process import stoppable
from scripts.local.containers import ImageLauncher, Launcher, ProgramLauncher
from scripts.local.end_to_end import (
    USER_PREFIXES,
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
    """Return the options of the command."""
    out = argparse.ArgumentParser(
        description="Run a transform job on this machine, without an AWS account.",
        allow_abbrev=False,
    )
    out.add_argument(
        "media", nargs="*", type=Path, metavar="VIDEO", help="default: a synthetic video"
    )
    out.add_argument("--people", type=Path, metavar="FOLDER", help="NAME/*.jpg or NAME.jpg")
    out.add_argument("--broken", action="store_true", help="add a truncated video")
    out.add_argument("--instances", type=int, choices=range(1, 9), default=1, metavar="N")
    out.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="OPTION",
        help="option of run_transform.py, such as --option=--effect=solid",
    )
    out.add_argument("--image", help="run this image instead of the program in this folder")
    out.add_argument("--engine", default="docker", help="container engine (default: docker)")
    out.add_argument(
        "--ping-seconds",
        type=float,
        default=Timeouts().ping,
        metavar="SECONDS",
        help="how long the service may take to start (default: as on AWS)",
    )
    out.add_argument(
        "--folder",
        type=Path,
        default=Path("transform-local"),
        metavar="FOLDER",
        help="folder for results, with a subfolder per job (default: transform-local)",
    )
    out.add_argument("--keep", action="store_true", help="keep the server running until Ctrl-C")
    return out


@contextmanager
def _media(args: argparse.Namespace) -> Iterator[Scenario]:
    """Yield the media of the user, or synthetic ones, which are deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="transform-local-") as temporary:
        folder = Path(temporary)
        media, people = list(args.media), args.people
        if not media or args.broken:
            make = [sys.executable, "-m", "scripts.smoke_media", str(folder)]
            subprocess.run(make, cwd=ROOT, check=True)
            clip = folder / "clip.mp4"
            if args.broken:
                broken = folder / "broken.mp4"
                broken.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
                media.append(broken)
            if not args.media:
                media.append(clip)
                people = people or folder / "people"
        yield Scenario(media, people, args.instances, args.option)


def _launcher(args: argparse.Namespace, spool: Path) -> Launcher:
    if args.image is None:
        return ProgramLauncher(spool)
    if shutil.which(args.engine) is None:
        raise FaceBlurError(f"{args.engine} is not installed; leave --image out to do without it")
    return ImageLauncher(args.image, args.engine)


@contextmanager
def _quiet_moto() -> Iterator[None]:
    """Hide moto's warning that its CloudFormation does not support bucket policies."""
    logging.getLogger("moto").addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Tried to parse AWS::S3::BucketPolicy", UserWarning)
        yield


def _print_result(result: ScenarioResult) -> None:
    reason = f": {result.ended.reason}" if result.ended.reason else ""
    print(f"\n{result.ended.state}{reason}\n{table(result.ended.outcomes)}\n")
    print(f"results  {result.folder}")
    for sheet in result.sheets.values():
        print(f"sheet    {sheet}")
    for fault in result.faults:
        print(f"fault    {fault}")


def _keep_running(sagemaker: SageMaker) -> None:
    """Wait for Ctrl-C, and print how commands in another terminal find the server."""
    print("\nThe server runs until Ctrl-C. In another terminal:")
    for name, value in environment(sagemaker).items():
        if name.startswith("AWS_"):
            print(f"export {name}={shlex.quote(value)}")
    sys.stdout.flush()
    threading.Event().wait()


def _remove_account() -> None:
    """Remove access to the user's account: every boto3 client would look for it."""
    for name in [name for name in os.environ if name.startswith(USER_PREFIXES)]:
        del os.environ[name]
    os.environ |= dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)


def run(args: argparse.Namespace) -> int:
    """Run the job; return the exit code.

    Raises:
        FaceBlurError: a step before the job failed.
    """
    with tempfile.TemporaryDirectory(prefix="spool-") as spool, _quiet_moto():
        launcher, timeouts = _launcher(args, Path(spool)), Timeouts(ping=args.ping_seconds)
        with _media(args) as scenario, SageMaker(launcher, timeouts) as sagemaker:
            result = run_end_to_end(sagemaker, scenario, args.folder)
            _print_result(result)
            if args.keep:
                _keep_running(sagemaker)
    return result.exit_code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 failed, 2 usage, 130 interrupted."""
    args = parser().parse_args(argv)
    _remove_account()
    try:
        with stoppable():
            return run(args)
    except KeyboardInterrupt:
        print("transform_local: interrupted", file=sys.stderr)
        return Interrupted.exit_code
    except FaceBlurError as error:
        print(f"transform_local: error: {error}", file=sys.stderr)
        return error.exit_code
    except subprocess.CalledProcessError as error:  # the command printed the reason
        return error.returncode


if __name__ == "__main__":
    sys.exit(main())
