"""Measure everything, and write docs/benchmarks.md with its plots.

    python -m bench.report [--quick] [--output docs/benchmarks.md]

It runs quality, speed, strength and identity one after the other, so that they do not disturb each
other.
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
    "quality": "Leaks, spills and recognition",
    "speed": "CPU, time and memory",
    "strength": "Strength of the effects",
    "identity": "Face recognition",
}
NOTES = {
    "quality": """\
Synthetic videos of photographed people whose truth is known in every frame
(`testmedia/scenes.py`), hidden in three ways, decoded and compared. A leak is a face that is
visible to at least 60 % in the original, and whose detail is still in the result
(`bench/readable.py`). *longest* is the longest run of leaking frames. *late, early* are
appearances whose first or last frame leaks. *named* is how many of the sampled faces the
pack's recogniser names before and after, with landmarks from the clear image. *jitter* is the
root mean square of the mask's second difference, in face widths.""",
    "speed": """\
Each command is a separate process; CPU is that of all threads. The plain transcode uses the
same encoder, preset and quality. At 360 and 1080 lines with two faces, and with half of the
video copied, transcode and blur are medians of three alternating runs; all others run once.
Compare ratios within one table only: shared machines are noisy. Starting takes most of a
second, which matters most for short videos. A minute of *length* has few frames, because
there are sixty of them.""",
    "strength": "See `bench/strength.py` for the attackers. A study would use more people.",
    "identity": """\
See `bench/identity.py`; bounds are 95 %, over people. Photographs of more people are used if they
are next to the checkout, three of each; a fresh machine has only a few people. A track that was not
found counts as taken for somebody else.""",
}
LIBRARIES = ("av", "numpy", "onnxruntime", "opencv-python-headless", "scenedetect-headless")


def run(name: str, folder: Path, *, quick: bool) -> tuple[str, Any, float, int]:
    """Run one part; return its output, its figures, its duration in seconds, and its exit code.

    Raises:
        RuntimeError: it failed without figures.
    """
    result = folder / f"{name}.json"
    command = [sys.executable, "-m", f"bench.{name}", "--json", str(result)]
    began = time.monotonic()
    done = subprocess.run(
        [
            *command,
            *["--quick"] * quick,
            *["--runs=1"] * (quick and name == "speed"),
            *["--most=3"] * (name == "identity"),
        ],
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    if not result.exists():
        raise RuntimeError(f"bench.{name} ended with exit code {done.returncode} and no figures")
    figures = json.loads(result.read_text("utf-8"))
    return done.stdout.strip(), figures, time.monotonic() - began, done.returncode


def machine() -> str:
    """Return a list of the revision, the machine and the libraries."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    return (
        f"- revision {_revision() or 'unknown'}, {datetime.now(UTC):%Y-%m-%d}\n"
        f"- {_processor()}, {os.cpu_count()} CPUs, {platform.system()}, Python"
        f" {platform.python_version()}\n- {versions}\n"
        f"- seeds are fixed in the scripts; models are those of the pack `{choose_pack(AUTO)}`"
    )


def _revision() -> str:
    """Return the revision of the code; changes in docs do not count as changes."""
    revision = _git("describe", "--always").stdout.strip()
    changed = _git("diff", "--quiet", "HEAD", "--", ".", ":!docs").returncode
    return f"{revision}-dirty" if revision and changed else revision


def _git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["git", *arguments],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )


def _processor() -> str:
    """Return the name of the processor, if the system provides it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def page(parts: dict[str, tuple[str, float]], images: dict[str, str], *, quick: bool) -> str:
    """Return the page as Markdown."""
    command = "make bench QUICK=1" if quick else "make bench"
    out = ["# Benchmarks", "", f"Written by `{command}`; do not edit.", "", machine()]
    if quick:
        out += ["", "**A quick run: few videos, one run of each.**"]
    for name, (text, seconds) in parts.items():
        out += ["", f"## {PARTS[name]}", "", NOTES[name], ""]
        out += [f"`python -m bench.{name}{' --quick' * quick}`, {seconds:.0f} s.", "", text]
        out += ["", f"![{PARTS[name]}]({images[name]})"] if name in images else []
    return "\n".join(out) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure everything and write the page; return 1 if something leaks or is too weak."""
    parser = argparse.ArgumentParser(description="Measure everything, and write the page.")
    parser.add_argument("--quick", action="store_true", help="takes less than two minutes")
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
