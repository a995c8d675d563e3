"""Everything that is measured, as one page: docs/benchmarks.md and its plots.

    python -m bench.report [--quick] [--output docs/benchmarks.md]

Runs quality.py, speed.py, strength.py and identity.py of this folder one after the other, so that
nothing that is measured disturbs anything else that is.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from app.packs.catalogue import AUTO, choose_pack
from bench.plots import plot

ROOT = Path(__file__).resolve().parents[1]
PARTS = {
    "quality": "Leaks, spills and what is still recognised",
    "speed": "CPU, time and memory",
    "strength": "How strong the effects are",
    "identity": "How well people are told apart",
}
NOTES = {
    "quality": """\
Clips of photographed people whose truth is known in every frame (`testmedia/scenes.py`), hidden
in three ways, decoded again and compared. A leak is a face of which at least 60 % shows in the clip
and whose detail is still in the result (`bench/readable.py`). *longest* is the longest run of
leaking frames, *late, early* are appearances whose first or last frame leaks. *named* is how many
of the sampled faces the pack's recogniser names before and after, with landmarks taken from the
clear picture. *jitter* is the root mean square of the mask's second difference, in face widths.""",
    "speed": """\
Processes of their own; CPU is that of all threads. The plain transcode uses the same encoder,
preset and quality. At 360 and 1080 lines with two faces, and with half of the film copied,
transcode and blur are medians of three runs that alternate; the rest is run once. Ratios hold
inside one table, and machines that are shared are noisy. Starting takes most of a second, which
counts most in short clips. A minute of *length* has few frames, as there are sixty of them.""",
    "strength": "See `bench/strength.py` for the attackers; fewer people than a study would want.",
    "identity": """\
See `bench/identity.py`; bounds are 95 %, over people. Where photographs of more people lie beside
the checkout they are used, three of each; a fresh machine has but a few people. A track that was
not found counts as taken for somebody else.""",
}
LIBRARIES = ("av", "numpy", "onnxruntime", "opencv-python-headless", "scenedetect-headless")


def run(name: str, folder: Path, *, quick: bool) -> tuple[str, Any, float, int]:
    """Run one part: what it printed, its figures, how long it took, and its exit code.

    Raises:
        RuntimeError: it broke down.
    """
    result = folder / f"{name}.json"
    command = [sys.executable, "-m", f"bench.{name}", "--json", str(result)]
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603 - the arguments are those of this script
        [
            *command,
            *["--quick"] * quick,
            *["--runs=1"] * (quick and name == "speed"),
            *["--most=3"] * (name == "identity"),
        ],
        check=False, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    if not result.exists():
        raise RuntimeError(f"bench.{name} ended with exit code {done.returncode} and no figures")
    figures = json.loads(result.read_text("utf-8"))
    return done.stdout.strip(), figures, time.monotonic() - began, done.returncode


def machine() -> str:
    """What was measured with."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    return (
        f"- revision {_revision() or 'unknown'}, {datetime.now(UTC):%Y-%m-%d}\n"
        f"- {_processor()}, {os.cpu_count()} CPUs, {platform.system()}, Python"
        f" {platform.python_version()}\n- {versions}\n"
        f"- seeds are fixed in the scripts; models are those of the pack `{choose_pack(AUTO)}`"
    )


def _revision() -> str:
    """The revision of the code; the pages that are being written do not make it another one."""
    revision = _git("describe", "--always").stdout.strip()
    changed = _git("diff", "--quiet", "HEAD", "--", ".", ":!docs").returncode
    return f"{revision}-dirty" if revision and changed else revision


def _git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - the arguments are those of this script
        ["git", *arguments],  # noqa: S607
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip


def _processor() -> str:
    """The processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def page(parts: dict[str, tuple[str, float]], images: dict[str, str], *, quick: bool) -> str:
    """The page, as Markdown."""
    command = "make bench QUICK=1" if quick else "make bench"
    out = ["# Benchmarks", "", f"Written by `{command}`; nothing here is typed in.", "", machine()]
    if quick:
        out += ["", "**A quick run: few clips, one run of each.**"]
    for name, (text, seconds) in parts.items():
        out += ["", f"## {PARTS[name]}", "", NOTES[name], ""]
        out += [f"`python -m bench.{name}{' --quick' * quick}`, {seconds:.0f} s.", "", text]
        out += ["", f"![{PARTS[name]}]({images[name]})"] if name in images else []
    return "\n".join(out) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure everything and write the page; 1 if something leaks or is too weak."""
    parser = argparse.ArgumentParser(description="Measure everything, and write the page.")
    parser.add_argument("--quick", action="store_true", help="under two minutes")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks.md")
    arguments = parser.parse_args(argv)
    parts: dict[str, tuple[str, float]] = {}
    images: dict[str, str] = {}
    worst = 0
    with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as name:
        for part in PARTS:
            text, figures, seconds, code = run(part, Path(name), quick=arguments.quick)
            parts[part] = (text, seconds)
            worst = max(worst, code)
            image = arguments.output.parent / "images" / f"{part}.png"
            if plot(part, figures, image):
                images[part] = f"images/{part}.png"
    arguments.output.write_text(page(parts, images, quick=arguments.quick), encoding="utf-8")
    print(arguments.output)
    return worst


if __name__ == "__main__":
    sys.exit(main())
