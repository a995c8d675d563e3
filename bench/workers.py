"""Measure several videos at once: frames per second by cores and workers.

    python -m bench.workers [--frames N] [--videos N] [--lines N] [--runs N] [--cores N ...]

The first table is measured: one command hides everyone in a folder of videos, with one worker and
with two, on the given numbers of this machine's cores. Runs take turns; figures are medians, and
include the start. Other load of the machine changes the frames per second, but hardly the CPU time.

The second table is measured too: the CPU time of a frame in each pass, of all threads and of the
busiest one, without the start. The third table is computed from it: a pass takes as long as its
busiest thread, or as all threads divided by the cores, whichever is more. A video alone is not
faster than that, so the gain of several is not overstated; all speeds are, because caches, the
bandwidth of memory, and cores that share their units are left out.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.workers import MEMORY_EACH, workers_for
from bench.long_video import make

WORKERS = (1, 2)
COMPUTED_CORES = (2, 4, 8, 16)
PASSES = ("analyse", "render")
_SAMPLE_SECONDS = 0.02
"""Time between looks at the threads: of a thread that ends, no more than this is missed."""
_PASSES_OF_ONE = f"""
import json, sys, threading, time
from pathlib import Path
import app

threads = {{}}
def look():
    for task in Path("/proc/self/task").iterdir():
        try:
            threads[task.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
        except OSError:  # it has ended
            pass

def watch():
    while True:
        look()
        time.sleep({_SAMPLE_SECONDS})

def measured(work):
    look()
    began, before = time.process_time(), dict(threads)
    result = work()
    whole = time.process_time() - began
    look()
    return result, [whole, max(now - before.get(name, 0) for name, now in dict(threads).items())]

threading.Thread(target=watch, daemon=True).start()
session = app.FaceBlur(app.Settings.load(blur="everyone")).load()
media, output = Path(sys.argv[1]), Path(sys.argv[2])
for _ in range(2):  # the first time warms up
    threads.clear()
    plan, first = measured(lambda: session.analyse(app.Media(media)))
    _, second = measured(
        lambda: session.render(app.Media(media), plan, output, overwrite=True)
    )
print(json.dumps([first, second]))
"""
"""Prints the CPU seconds of both passes, each of all threads and of the busiest one."""


@dataclass(frozen=True, slots=True)
class PassCost:
    """CPU milliseconds per frame: of all threads, and of the busiest one."""

    whole: float
    busiest: float

    def on(self, cores: float) -> float:
        """Return the least time on some cores.

        >>> [PassCost(50.0, 20.0).on(cores) for cores in (1, 2, 4)]
        [50.0, 25.0, 20.0]
        """
        return max(self.busiest, self.whole / cores)


@dataclass(frozen=True, slots=True)
class Speed:
    """Frames per second, and CPU milliseconds per frame."""

    frames: float
    cpu: float


def frames_per_second(costs: Sequence[PassCost], cores: int, workers: int) -> float:
    """Compute the throughput of workers that share cores.

    >>> [frames_per_second([PassCost(50.0, 20.0)], 4, workers) for workers in (1, 2)]
    [50.0, 80.0]
    """
    return 1000 * workers / sum(one.on(cores / workers) for one in costs)


def _run(command: Sequence[str], cores: int) -> str:
    """Run a command on the first cores of this process, and return what it prints."""
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    limited = ["taskset", "--cpu-list", ",".join(map(str, chosen)), sys.executable, *command]
    return subprocess.run(limited, check=True, capture_output=True, text=True).stdout


def measured(
    folder: Path, output: Path, frames: int, cores: Sequence[int], runs: int
) -> dict[tuple[int, int], Speed]:
    """Return the speed by cores and workers; ``frames`` are those of the whole folder."""
    ways = [(core, workers) for core in cores for workers in WORKERS]
    found: dict[tuple[int, int], list[Speed]] = {way: [] for way in ways}
    for _ in range(runs):
        for core, workers in ways:
            command = ["-m", "app.cli", "blur", str(folder), "-o", f"{output}/", "--quiet"]
            began, before = time.monotonic(), _cpu_of_children()
            _run([*command, "--blur", "everyone", "--workers", str(workers)], core)
            seconds, cpu = time.monotonic() - began, _cpu_of_children() - before
            found[core, workers].append(Speed(frames / seconds, 1000 * cpu / frames))
            shutil.rmtree(output)
    return {
        way: Speed(
            statistics.median(one.frames for one in speeds),
            statistics.median(one.cpu for one in speeds),
        )
        for way, speeds in found.items()
    }


def _cpu_of_children() -> float:
    """Return the CPU seconds of all commands that have ended, and of their children."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def stages(video: Path, output: Path, frames: int, runs: int) -> list[PassCost]:
    """Return the costs of both passes on all cores."""
    cores = len(os.sched_getaffinity(0))
    command = ["-c", _PASSES_OF_ONE, str(video), str(output)]
    found = [json.loads(_run(command, cores)) for _ in range(runs)]
    costs = []
    for number in range(len(PASSES)):
        whole, busiest = (statistics.median(run[number][part] for run in found) for part in (0, 1))
        costs.append(PassCost(1000 * whole / frames, 1000 * busiest / frames))
    return costs


def measured_table(speeds: Mapping[tuple[int, int], Speed]) -> str:
    """Return the first table."""
    lines = [
        "| cores | one worker, frames/s | two | ratio | one worker, CPU ms/frame | two |",
        "|---|---|---|---|---|---|",
    ]
    for cores in sorted({core for core, _ in speeds}):
        one, two = (speeds[cores, workers] for workers in WORKERS)
        lines.append(
            f"| {cores} | {one.frames:.1f} | {two.frames:.1f} | {two.frames / one.frames:.2f} |"
            f" {one.cpu:.1f} | {two.cpu:.1f} |"
        )
    return "\n".join(lines)


def stages_table(costs: Sequence[PassCost]) -> str:
    """Return the second table."""
    lines = ["| pass | CPU ms/frame | of the busiest thread |", "|---|---|---|"]
    for name, cost in zip(PASSES, costs, strict=True):
        lines.append(f"| {name} | {cost.whole:.1f} | {cost.busiest:.1f} |")
    return "\n".join(lines)


def computed_table(costs: Sequence[PassCost]) -> str:
    """Return the third table."""
    lines = [
        "| cores | one worker, frames/s | default, frames/s | ratio | one worker for each core |",
        "|---|---|---|---|---|",
    ]
    for cores in COMPUTED_CORES:
        default = workers_for(cores, cores * MEMORY_EACH)
        one, usual, most = (
            frames_per_second(costs, cores, workers) for workers in (1, default, cores)
        )
        lines.append(
            f"| {cores} | {one:.1f} | {usual:.1f} (workers: {default}) | {usual / one:.2f} |"
            f" {most:.1f} |"
        )
    return "\n".join(lines)


def report(args: argparse.Namespace, folder: Path) -> str:
    """Measure, and return the tables."""
    inputs = folder / "in"
    inputs.mkdir()
    size = (args.lines * 16 // 9 // 2 * 2, args.lines)
    video = make(args.frames, folder / "made.mp4", size=size).path
    for number in range(args.videos):
        shutil.copyfile(video, inputs / f"{number}.mp4")
    speeds = measured(inputs, folder / "out", args.frames * args.videos, args.cores, args.runs)
    costs = stages(video, folder / "one.mp4", args.frames, args.runs)
    return "\n\n".join(
        [
            f"{args.videos} videos of {args.frames} frames, {args.lines} lines, {args.runs} runs",
            "Measured:",
            measured_table(speeds),
            "Measured, one video:",
            stages_table(costs),
            "Computed from the passes:",
            computed_table(costs),
        ]
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--videos", type=int, default=2)
    parser.add_argument("--lines", type=int, default=1080)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as name:
        print(report(args, Path(name)))


if __name__ == "__main__":
    main()
