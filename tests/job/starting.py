"""The job as SageMaker runs it: the real process, with all its folders below one root."""

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
class Ended:
    """A run that is over."""

    code: int
    log: list[dict[str, Any]]

    def line(self, event: str) -> dict[str, Any]:
        """The only line of the log about an event."""
        (found,) = [line for line in self.log if line["event"] == event]
        return found


class Mounts:
    """The folders of a container, below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.before: Callable[[], None] | None = None
        """What the process does to itself before it becomes the job."""
        self.input = root / "processing" / "input"
        self.output = root / "processing" / "output"
        self.people = root / "processing" / "people"
        self.done = root / "processing" / "done"
        self.message = root / "output" / "message"
        for folder in (self.input, self.message.parent):
            folder.mkdir(parents=True)

    def give(self, source: Path, name: str = "") -> Path:
        """Put a file into the input."""
        place = self.input / (name or source.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(source, place))

    def be(self, host: str) -> None:
        """Have this host's name."""
        (self.root / "config").mkdir(exist_ok=True)
        config = {"current_host": host, "hosts": ["algo-1", "algo-2"]}
        (self.root / "config" / "resourceconfig.json").write_text(json.dumps(config))

    def start(self, *arguments: str, **settings: object) -> "subprocess.Popen[str]":
        """Start the process, with these settings and no others."""
        kept = {key: text for key, text in os.environ.items() if not key.startswith("FACE_BLUR_")}
        ours = {f"FACE_BLUR_{key.upper()}": str(value) for key, value in settings.items()}
        return subprocess.Popen(
            [sys.executable, "-m", "app.job", "--root", str(self.root), *arguments],
            cwd=ROOT,
            env=kept | ours,
            preexec_fn=self.before,  # noqa: PLW1509 - one system call, nothing that locks
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **settings: object) -> Ended:
        """Run it to its end."""
        return ended(self.start(*arguments, **settings))

    def lines(self, host: str = "local") -> dict[str, dict[str, Any]]:
        """The latest line about each file."""
        text = (self.output / "reports" / f"{host}.jsonl").read_text("ascii")
        return {line["file"]: line for line in map(json.loads, text.splitlines())}

    def begun(self) -> list[str]:
        """The files on which work has begun, in order."""
        path = self.output / "reports" / "local.begun"
        text = path.read_text("ascii") if path.exists() else ""
        whole = text[: text.rfind("\n") + 1].splitlines()
        return [line["file"] for line in map(json.loads, whole) if line["event"] == "begun"]

    def made(self) -> dict[str, tuple[int, int]]:
        """All files of the output but the reports, and which they are: new ones have others."""
        return {
            path.relative_to(self.output).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
            for path in self.output.rglob("*")
            if path.is_file() and path.parent.name != "reports"
        }


def ended(process: "subprocess.Popen[str]") -> Ended:
    """Wait for a process."""
    told, errors = process.communicate(timeout=PATIENCE)
    assert errors == ""
    return Ended(process.returncode, [json.loads(line) for line in told.splitlines()])


def like_others() -> None:
    """Take from root the right to write where others may not (``CAP_DAC_OVERRIDE``)."""
    _LIBC.prctl(24, 1, 0, 0, 0)
