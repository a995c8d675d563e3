"""Run the job as SageMaker does: as a process, with all its folders below one root."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
_LIBC = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """The exit code and the log of a run."""

    code: int
    log: list[dict[str, Any]]

    def line(self, event: str) -> dict[str, Any]:
        """Return the only line of the log with this event."""
        (found,) = [line for line in self.log if line["event"] == event]
        return found


class Mounts:
    """The folders of a job, below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.prepare_process: Callable[[], None] | None = None
        """Called in the child process before the job starts."""
        self.input = root / "processing" / "input"
        self.output = root / "processing" / "output"
        self.people = root / "processing" / "people"
        self.done = root / "processing" / "done"
        self.message = root / "output" / "message"
        for folder in (self.input, self.message.parent):
            folder.mkdir(parents=True)

    def add_input(self, source: Path, name: str = "") -> Path:
        """Copy a file to the input."""
        place = self.input / (name or source.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(source, place))

    def set_host(self, host: str) -> None:
        """Set the name of the host in SageMaker's configuration."""
        (self.root / "config").mkdir(exist_ok=True)
        config = {"current_host": host, "hosts": ["algo-1", "algo-2"]}
        (self.root / "config" / "resourceconfig.json").write_text(json.dumps(config))

    def start(self, *arguments: str, **settings: object) -> "subprocess.Popen[str]":
        """Start the job with these settings only, and one worker unless they say otherwise."""
        kept = {key: text for key, text in os.environ.items() if not key.startswith("FACE_BLUR_")}
        given = {"workers": 1} | settings
        ours = {f"FACE_BLUR_{key.upper()}": str(value) for key, value in given.items()}
        return subprocess.Popen(
            [sys.executable, "-m", "app.job", "--root", str(self.root), *arguments],
            cwd=ROOT,
            env=kept | ours,
            preexec_fn=self.prepare_process,  # noqa: PLW1509 - system calls only, no locks
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **settings: object) -> FinishedRun:
        """Run the job until it ends."""
        return wait_for_end(self.start(*arguments, **settings))

    def lines(self, host: str = "local") -> dict[str, dict[str, Any]]:
        """Return the latest line of the report about each file."""
        text = (self.output / "reports" / f"{host}.jsonl").read_text("ascii")
        return {line["file"]: line for line in map(json.loads, text.splitlines())}

    def begun_files(self) -> list[str]:
        """Return the files on which work has begun, in order."""
        path = self.output / "reports" / "local.begun"
        text = path.read_text("ascii") if path.exists() else ""
        whole = text[: text.rfind("\n") + 1].splitlines()
        return [line["file"] for line in map(json.loads, whole) if line["event"] == "begun"]

    def outputs(self) -> dict[str, tuple[int, int]]:
        """Return inode and modification time of each file in the output, except reports."""
        return {
            path.relative_to(self.output).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
            for path in self.output.rglob("*")
            if path.is_file() and path.parent.name != "reports"
        }


def wait_for_end(process: "subprocess.Popen[str]") -> FinishedRun:
    """Wait until the process ends."""
    output, errors = process.communicate(timeout=PATIENCE)
    assert errors == ""
    return FinishedRun(process.returncode, [json.loads(line) for line in output.splitlines()])


def drop_write_override() -> None:
    """Drop the right of root to ignore file permissions (``CAP_DAC_OVERRIDE``)."""
    _LIBC.prctl(24, 1, 0, 0, 0)
