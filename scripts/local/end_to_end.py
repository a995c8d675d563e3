"""A transform job from start to end: the real commands, against a simulated SageMaker."""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.config import Settings
from app.errors import FaceBlurError, MediaError
from app.files import sha256_of
from app.plan import ModelRecord, ModelsRecord, Plan, SourceRecord
from app.report import contact_sheet, save_png
from app.video import open_source
from scripts.aws.cloud import CloudError
from scripts.aws.jobs import unique_name
from scripts.aws.uploads import find_media
from scripts.local.job_runner import JobResult
from scripts.local.sagemaker import SageMaker
from scripts.local.transformer import Outcome

ROOT = Path(__file__).resolve().parents[2]
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
        begin = ["--name", job, "--wait", "--poll", "1", *count, *scenario.options]
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
        f"{one.state:8} {one.seconds:6.1f} s  {one.item.source.key}"
        + (f"  {one.message}" if one.message else "")
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
