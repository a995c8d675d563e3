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
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from app.packs.catalogue import AUTO, choose_pack

Rows = Sequence[dict[str, Any]]
Panel = Callable[[Axes], None]
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
(`app/verification/detail.py`). *longest* is the longest run of leaking frames. *late, early* are
appearances whose first or last frame leaks. *named* is how many of the sampled faces the
pack's recogniser names before and after, with landmarks from the clear image. *jitter* is the
root mean square of the mask's second difference, in face widths.""",
    "speed": """\
Each command is a separate process; CPU is that of all threads. The plain transcode uses the
same encoder, preset and quality; *x264 defaults* is one with the encoder's own. At 360 and 1080
lines with two faces, and with half of the video copied, transcode and blur are medians of three
alternating runs; all others run once.
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


def plot(name: str, figures: Any, path: Path) -> bool:
    """Draw the figures of one part as a PNG; return whether there is a plot for it."""
    draw = _PLOTS.get(name)
    if draw is None:
        return False
    panels = draw(figures)
    if not panels:
        return False
    figure, axes = plt.subplots(1, len(panels), figsize=(5 * len(panels), 3.4), squeeze=False)
    try:
        for axis, panel in zip(axes[0], panels, strict=True):
            panel(axis)
            axis.spines[["top", "right"]].set_visible(False)
        figure.tight_layout()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=100, metadata={"Software": ""})
    finally:
        plt.close(figure)
    return True


def _speed(rows: Rows) -> list[Panel]:
    by_table = {name: [row for row in rows if row["table"] == name] for name in ("sizes", "length")}
    panels: list[Panel] = []
    if by_table["sizes"]:
        panels.append(lambda axis: _ratios(axis, by_table["sizes"]))
    if by_table["length"]:
        panels.append(lambda axis: _memory(axis, by_table["length"]))
    return panels


def _ratios(axis: Axes, rows: Rows) -> None:
    """Plot the CPU ratio of the whole command to a plain transcode."""
    whole = [row for row in rows if row["command"] == "blur"]
    axis.barh([row["clip"] for row in whole][::-1], [row["ratio"] for row in whole][::-1])
    axis.axvline(1, color="black", linewidth=1)
    axis.set_xlabel("CPU ratio to a plain transcode")


def _memory(axis: Axes, rows: Rows) -> None:
    """Plot peak memory over the length of the video."""
    axis.plot([row["frames"] for row in rows], [row["cost"]["memory"] for row in rows], "o-")
    axis.set_xscale("log")
    axis.set_ylim(0, 1.2 * max(row["cost"]["memory"] for row in rows))
    axis.set_xlabel("frames")
    axis.set_ylabel("peak memory, MiB")


def _strength(rows: Rows) -> list[Panel]:
    """Plot how often the attacker with clear pictures names a hidden face, by its size."""

    def draw(axis: Axes) -> None:
        known = [row for row in rows if row["attacker"] == "same"]
        for method in dict.fromkeys(row["method"] for row in known):
            own = [row for row in known if row["method"] == method]
            rates = [100 * row["rank1"] for row in own]
            axis.plot([row["size"] for row in own], rates, "o-", markersize=3, **_style(method))
        axis.set_xscale("log")
        axis.set_xticks(sorted({row["size"] for row in known}), minor=False)
        axis.xaxis.set_major_formatter("{x:.0f}")
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xlabel("width of the face, pixels")
        axis.set_ylabel("named, %")
        handles, labels = axis.get_legend_handles_labels()
        named = dict(zip(labels, handles, strict=True))
        axis.legend(
            named.values(),
            named.keys(),
            fontsize=7,
            loc="center left",
            bbox_to_anchor=(1, 0.5),
            frameon=False,
        )

    return [draw] if rows else []


def _style(method: str) -> dict[str, Any]:
    """Return the line style of a method; all methods of Face blur look alike."""
    if method.startswith(("blur", "pixelate", "solid")):
        return {"label": "Face blur, every setting", "color": "0.7"}
    return {"label": method, "color": "black"} if "control" in method else {"label": method}


def _quality(rows: Rows) -> list[Panel]:
    """Plot leaks and spills of all scenes, as parts of the face-frames."""

    def draw(axis: Axes) -> None:
        choices = list(dict.fromkeys(row["choice"] for row in rows))
        for number, (part, whole) in enumerate((("leaks", "targets"), ("spills", "others"))):
            rates = [
                100
                * sum(row["score"][part] for row in rows if row["choice"] == choice)
                / max(1, sum(row["score"][whole] for row in rows if row["choice"] == choice))
                for choice in choices
            ]
            axis.bar(np.arange(len(choices)) + 0.4 * number, rates, 0.4, label=part)
        axis.set_xticks(np.arange(len(choices)) + 0.2, choices)
        axis.set_ylabel("% of face-frames")
        axis.legend(frameon=False)

    return [draw] if rows else []


_PLOTS: dict[str, Callable[[Any], list[Panel]]] = {
    "quality": _quality,
    "speed": _speed,
    "strength": _strength,
}


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
