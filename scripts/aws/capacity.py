"""How many minutes of video an hour of an instance takes, computed from the measured benchmarks.

The benchmarks were measured on two CPUs. The part of the work that runs on several CPUs follows
from the CPU time and the time by the clock; Amdahl's law gives the time on other numbers of CPUs.
An instance works on several videos at once, each of which gets an equal part of its CPUs.
For a GPU the first pass is left out altogether, so its figure is a bound that no GPU can exceed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.workers import workers_for
from scripts.aws.limits import has_gpu

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
LINES = (360, 1080, 2160)
TYPES = (
    *("ml.g4dn.xlarge", "ml.g4dn.2xlarge", "ml.g5.xlarge", "ml.g6.xlarge"),
    *("ml.c6i.xlarge", "ml.c6i.2xlarge", "ml.c6i.4xlarge", "ml.c7i.2xlarge"),
)
RATE = 25
"""Frames per second of the video in the table."""
_BENCH_CPUS = 2
_ROW = re.compile(
    r"^\| (?P<lines>\d+) lines, two faces, \d+ frames \| (?P<command>blur|render) "
    r"\| (?P<cpu>[\d.]+) \| (?P<clock>[\d.]+) \|",
    re.MULTILINE,
)
_SIZE = re.compile(r"ml\.[a-z0-9-]+\.(?:(?P<times>\d*)xlarge|(?P<large>large))")
_CPUS_OF_XLARGE = 4
"""Virtual CPUs of each ``xlarge`` in the families g4dn, g5, g6, c6i and c7i."""
_MEMORY_OF_CPU = 3 * 2**29
"""Three quarters of the 2 GiB that the families c6i and c7i have for each virtual CPU; the others
have more. The last quarter is left to the system, as ``app.isolation.limits`` does."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds per frame on two CPUs: of all their threads, and by the clock."""

    cpu: float
    clock: float

    def on(self, cpus: float) -> float:
        """Return the milliseconds per frame by the clock on a number of CPUs.

        >>> round(Cost(cpu=100, clock=60).on(2)), round(Cost(cpu=100, clock=60).on(8))
        (60, 30)
        """
        shared = (self.cpu - self.clock) / (1 - 1 / _BENCH_CPUS)
        shared = min(max(shared, 0.0), self.cpu)
        return self.cpu - shared + shared / cpus


Costs = Mapping[tuple[int, str], Cost]
"""The costs of ``blur`` (both passes) and ``render`` (the second) by the lines of the video."""


def read_costs(page: Path = PAGE) -> Costs:
    """Return the costs that the page of benchmarks lists; empty without the page."""
    text = page.read_text("utf-8") if page.exists() else ""
    return {
        (int(row["lines"]), row["command"]): Cost(float(row["cpu"]), float(row["clock"]))
        for row in _ROW.finditer(text)
    }


def cpus_of(instance_type: str) -> int | None:
    """Return the virtual CPUs of an instance type, as its size tells them; None for other sizes.

    >>> cpus_of("ml.c6i.2xlarge"), cpus_of("ml.c7i.large"), cpus_of("ml.p3.metal")
    (8, 2, None)
    """
    match = _SIZE.fullmatch(instance_type)
    if match is None:
        return None
    return 2 if match["large"] else _CPUS_OF_XLARGE * int(match["times"] or 1)


def videos_at_once(instance_type: str) -> int | None:
    """Return how many videos the service works on at once, by default.

    >>> videos_at_once("ml.g4dn.xlarge"), videos_at_once("ml.c6i.2xlarge")
    (1, 2)
    """
    cpus = cpus_of(instance_type)
    return None if cpus is None else workers_for(cpus, cpus * _MEMORY_OF_CPU)


def minutes_of_file(costs: Costs, instance_type: str, lines: int) -> float | None:
    """Return how long a single file can be that is done in an hour, while others are in work.

    The arguments and the result are those of ``minutes_per_hour``.
    """
    minutes, videos = minutes_per_hour(costs, instance_type, lines), videos_at_once(instance_type)
    return minutes / videos if minutes and videos else None


def minutes_per_hour(costs: Costs, instance_type: str, lines: int) -> float | None:
    """Return the minutes of video at 25 frames per second that an hour takes.

    For a type with a GPU it is the most that a GPU could do. None if nothing was measured.
    """
    cpus, videos = cpus_of(instance_type), videos_at_once(instance_type)
    cost = costs.get((lines, "render" if has_gpu(instance_type) else "blur"))
    if cpus is None or videos is None or cost is None:
        return None
    return videos * 3_600_000 / cost.on(cpus / videos) / RATE / 60


def table(types: Sequence[str] = TYPES, page: Path = PAGE) -> str:
    """Return the table of all sizes as Markdown."""
    costs = read_costs(page)
    sizes = " | ".join(f"{n} lines" for n in LINES)
    lines = [f"| instance type | CPUs | videos at once | {sizes} |"]
    lines.append("|---" * (3 + len(LINES)) + "|")
    for kind in types:
        cells = [_cell(minutes_per_hour(costs, kind, n), kind) for n in LINES]
        machine = f"{cpus_of(kind) or '?'} | {videos_at_once(kind) or '?'}"
        lines.append(f"| `{kind}` | {machine} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(minutes: float | None, kind: str) -> str:
    if minutes is None:
        return "?"
    return f"{'at most ' if has_gpu(kind) else ''}{minutes:.0f}"
