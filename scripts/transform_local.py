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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.config import Settings
from app.contact_sheet import contact_sheet, save_png
from app.errors import FaceBlurError, Interrupted, MediaError
from app.files import sha256_of
from app.logs import printable
from app.plan import ModelRecord, ModelsRecord, Plan, SourceRecord
from app.process import stoppable
from app.video import open_source
from scripts.aws.cloud import CloudError
from scripts.aws.jobs import unique_name
from scripts.aws.uploads import find_media
from scripts.local.containers import ImageLauncher, Launcher, ProgramLauncher
from scripts.local.job_runner import JobResult
from scripts.local.sagemaker import SageMaker
from scripts.local.transformer import Outcome, Timeouts

ROOT = Path(__file__).resolve().parents[1]
REGION = "eu-north-1"
PROJECT = "face-blur-local"
INPUT = "input/"
VARIABLES = f"""\
REGION = {REGION!r}
PROJECT = {PROJECT!r}
INPUT_PREFIX = {INPUT!r}
INSTANCE_TYPE = "ml.c6i.2xlarge"
IMAGE_URI = "123456789012.dkr.ecr.{REGION}.amazonaws.com/face-blur:local"
"""
"""Variables for the commands, instead of the user's own; the launcher decides which image runs."""
USER_PREFIXES = ("AWS_", "DEPLOY_", "FACE_BLUR_", "SAGEMAKER_", "BOTO_")
"""Prefixes of environment variables that belong to the user's account and settings."""
_INCOMPLETE = 1
"""Exit code of a command that could not process all files."""
_UNKNOWN = ModelRecord("unknown", "0" * 64)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Media and people of the user, number of instances, and options of run_transform."""

    media: Sequence[Path]
    people: Path | None
    instances: int = 1
    options: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """The result of a scenario in ``folder``; ``sheets`` are contact sheets by key of the input."""

    folder: Path
    ended: JobResult
    sheets: Mapping[str, Path]
    faults: Sequence[str]

    @property
    def exit_code(self) -> int:
        """0 if all files were processed."""
        return 1 if self.ended.state != "Completed" or self.faults else 0


def environment(sagemaker: SageMaker) -> dict[str, str]:
    """Return an environment with this SageMaker, and without the user's account."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(USER_PREFIXES)}
    return kept | {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": sagemaker.url,
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def run_end_to_end(sagemaker: SageMaker, scenario: Scenario, folder: Path) -> ScenarioResult:
    """Set up, upload, run and collect; results and contact sheets go below ``folder``.

    Raises:
        CloudError: a command failed, and printed the reason.
        UsageError: the media cannot be uploaded.
    """
    job = unique_name(PROJECT)
    target = folder / job
    sources = {item.key: item.path for item in find_media(scenario.media, INPUT)[0]}
    with tempfile.TemporaryDirectory() as temporary:
        config = Path(temporary) / "variables.py"
        config.write_text(VARIABLES, encoding="utf-8")
        commands = _Commands(environment(sagemaker), config)
        commands.run("infrastructure")
        people = [] if scenario.people is None else ["--people", str(scenario.people)]
        commands.run("upload", *map(str, scenario.media), *people)
        count = ["--instance-count", str(scenario.instances)]
        # Its options come later, so they can say something else.
        hidden = ["--blur", "listed" if scenario.people else "everyone"]
        begin = ["--name", job, "--wait", "--poll", "1", *count, *hidden, *scenario.options]
        commands.run("run_transform", *begin, may_fail=True)
        ended = sagemaker.wait(job, REGION)
        if ended is None:
            raise CloudError(f"{job}: it has not ended")
        target.mkdir(parents=True)
        commands.run("collect", job, "--download", str(target), may_fail=True)
    sheets, faults = _sheets(ended, sources, target)
    return ScenarioResult(target, ended, sheets, faults)


@dataclass(frozen=True, slots=True)
class _Commands:
    """Runs and prints commands."""

    environment: Mapping[str, str]
    config: Path

    def run(self, name: str, *arguments: str, may_fail: bool = False) -> None:
        print(f"\n$ python -m scripts.{name} {shlex.join(arguments)}", flush=True)
        command = [sys.executable, "-m", f"scripts.{name}", *arguments]
        ended = subprocess.run(
            [*command, "--config", str(self.config)], env=dict(self.environment), check=False
        )
        if ended.returncode and not (may_fail and ended.returncode == _INCOMPLETE):
            raise CloudError(f"scripts.{name} failed; see above")


def _sheets(
    ended: JobResult, sources: Mapping[str, Path], target: Path
) -> tuple[dict[str, Path], list[str]]:
    """Draw a contact sheet for each processed object; return the sheets and the failures."""
    sheets: dict[str, Path] = {}
    faults: list[str] = []
    for outcome in ended.outcomes:
        key = outcome.item.source.key
        if outcome.state != "done":
            continue
        name = key.removeprefix(INPUT)
        result, sheet = target / name, target / f"{name}-sheet.png"
        try:
            draw_sheet(sources[key], result, sheet)
            sheets[key] = sheet
        except (FaceBlurError, OSError) as error:
            faults.append(f"{name}: {error}")
    return sheets, faults


def table(outcomes: Sequence[Outcome]) -> str:
    """Format the outcome of each object as one line.

    >>> from scripts.local.job import JobObject
    >>> from scripts.local.job import S3Uri
    >>> item = JobObject(S3Uri("videos", "input/a.mp4"), 10, S3Uri("videos", "out/a.mp4.out"))
    >>> print(table([Outcome(item, "done", seconds=2.0)]))
    done        2.0 s  input/a.mp4
    """
    return "\n".join(
        printable(
            f"{one.state:8} {one.seconds:6.1f} s  {one.item.source.key}"
            + (f"  {one.message}" if one.message else "")
        )
        for one in outcomes
    )


def draw_sheet(before: Path, after: Path, target: Path) -> None:
    """Draw pairs of frames, spread evenly over the video: a transform job returns no plan.

    Raises:
        MediaError: a file cannot be read, or the numbers of frames differ.
        OutputError, DiskFull: the sheet cannot be written.
    """
    frames, result_frames = (sum(1 for _ in open_source(path)) for path in (before, after))
    if frames != result_frames:
        raise MediaError(f"{after}: has {result_frames} frames, but its source has {frames}")
    info = open_source(before).info
    source = SourceRecord(sha256_of(before), before.name, frames, *info.size, float(info.duration))
    models = ModelsRecord(Settings().models, _UNKNOWN, None)
    plan = Plan(source, {}, models, (), ((0, frames),), ())
    save_png(contact_sheet(open_source(before), open_source(after), plan), target)


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
            make = [sys.executable, "-m", "testmedia.smoke_media", str(folder)]
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
def quiet_moto() -> Iterator[None]:
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
        print(f"fault    {printable(fault)}")


def _keep_running(sagemaker: SageMaker) -> None:
    """Wait for Ctrl-C, and print how commands in another terminal find the server."""
    print("\nThe server runs until Ctrl-C. In another terminal:")
    for name, value in environment(sagemaker).items():
        if name.startswith("AWS_"):
            print(f"export {name}={shlex.quote(value)}")
    sys.stdout.flush()
    threading.Event().wait()


def remove_account() -> None:
    """Remove access to the user's account: every boto3 client would look for it."""
    for name in [name for name in os.environ if name.startswith(USER_PREFIXES)]:
        del os.environ[name]
    os.environ |= dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)


def run(args: argparse.Namespace) -> int:
    """Run the job; return the exit code.

    Raises:
        FaceBlurError: a step before the job failed.
    """
    with tempfile.TemporaryDirectory(prefix="spool-") as spool, quiet_moto():
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
    remove_account()
    try:
        with stoppable():
            return run(args)
    except KeyboardInterrupt:
        print("transform_local: interrupted", file=sys.stderr)
        return Interrupted.exit_code
    except FaceBlurError as error:
        print(f"transform_local: error: {printable(str(error))}", file=sys.stderr)
        return error.exit_code
    except subprocess.CalledProcessError as error:  # the command printed the reason
        return error.returncode


if __name__ == "__main__":
    sys.exit(main())
