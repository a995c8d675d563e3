"""Measure the cost of Face blur: CPU seconds and peak memory, compared with a plain transcode.

    python -m bench.cost [VIDEO] [--people DIR] [--runs N] [--stages] [--set NAME=VALUE]...

Each run is a separate process, measured by the kernel: user and system seconds of all threads, the
largest resident set, and wall-clock time. Figures are medians. Runs of both commands alternate, so
that other load affects both alike. Without VIDEO, a video of 400 frames of 1920 x 1080 is made.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from bench.long_video import make

HERE = Path(__file__).resolve().parent

FRAMES = 400


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU and wall-clock time in seconds, peak resident memory in MiB."""

    cpu: float
    clock: float
    memory: float


def measure(command: Sequence[str]) -> Cost:
    """Run a command and measure it.

    Raises:
        RuntimeError: the command failed.
    """
    with tempfile.TemporaryDirectory() as name:
        result = Path(name) / "result.json"
        launch = [sys.executable, "-S", str(HERE / "launch.py"), str(result)]
        done = subprocess.run([*launch, *command], check=False, capture_output=True, text=True)
        if done.returncode:
            error = done.stderr.strip()
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {error}")
        return Cost(**json.loads(result.read_text("utf-8")))


def median(costs: Sequence[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(
        statistics.median(cost.cpu for cost in costs),
        statistics.median(cost.clock for cost in costs),
        statistics.median(cost.memory for cost in costs),
    )


def commands(
    clip: Path, folder: Path, options: Sequence[str], *, stages: bool
) -> dict[str, list[str]]:
    """Return the commands to measure by name; ``options`` are settings of Face blur."""
    tool = [sys.executable, "-m", "app.cli"]
    plan, output = str(folder / "plan.json"), str(folder / f"out{clip.suffix}")
    common = ["--quiet", "--overwrite", *options]
    plain = [sys.executable, str(HERE / "transcode.py"), str(clip), str(folder / "plain.mp4")]
    out = {"transcode": plain, "blur": [*tool, "blur", str(clip), "-o", output, *common]}
    if stages:
        out["analyse"] = [*tool, "analyse", str(clip), "-o", plan, *common]
        out["render"] = [*tool, "render", str(clip), plan, "-o", output, *common]
    return out


def report(costs: dict[str, list[Cost]], frames: int) -> str:
    """Return a table of medians, with the CPU ratio to the plain transcode."""
    base = median(costs["transcode"])
    lines = [f"{'':10} {'CPU s':>8} {'ms/frame':>9} {'clock s':>8} {'MiB':>6} {'CPU ratio':>10}"]
    for name, runs in costs.items():
        cost = median(runs)
        lines.append(
            f"{name:10} {cost.cpu:8.2f} {1000 * cost.cpu / frames:9.1f} {cost.clock:8.2f}"
            f" {cost.memory:6.0f} {cost.cpu / base.cpu:10.2f}"
        )
    spread = [
        f"{name} {min(c.cpu for c in r):.2f}..{max(c.cpu for c in r):.2f}"
        for name, r in costs.items()
    ]
    return "\n".join([*lines, "CPU s of all runs: " + ", ".join(spread)])


def count(clip: Path) -> int:
    """Return the number of frames that a file decodes to."""
    with av.open(str(clip)) as container:
        return sum(1 for _ in container.decode(video=0))


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description="Compare CPU time and memory of Face blur with a transcode."
    )
    parser.add_argument("clip", nargs="?", type=Path, help=f"default: {FRAMES} synthetic frames")
    parser.add_argument("--people", type=Path, help="folder of reference photos")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--stages", action="store_true", help="also measure analyse and render")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings")
    return parser.parse_args()


def run(arguments: argparse.Namespace, folder: Path) -> str:
    """Measure what the command line requests; return the text to print."""
    settings = [f"people={arguments.people}"] if arguments.people else []
    options = [part for item in settings + arguments.settings for part in ("--set", item)]
    clip = arguments.clip or make(FRAMES, folder / "made.mp4").path
    to_run = commands(clip, folder, options, stages=arguments.stages)
    costs: dict[str, list[Cost]] = {name: [] for name in to_run}
    for _ in range(arguments.runs):
        for name, command in to_run.items():
            costs[name].append(measure(command))
    frames = count(clip)
    title = f"{clip.name}: {frames} frames, {arguments.runs} runs, {os.cpu_count()} CPUs"
    return f"{title}\n{report(costs, frames)}"


def main() -> int:
    """Measure, and print the table."""
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as name:
        try:
            print(run(arguments, Path(name)))
        except RuntimeError as error:
            print(f"cost: error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
