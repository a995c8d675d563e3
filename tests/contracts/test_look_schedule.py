"""The contract of all look schedules: full looks are never too far apart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.tracking.look_schedule import MIN_INTERVAL, SCHEDULES, AdaptiveSchedule, LookSchedule
from app.types import Image, Luma, Plane, Region, Size

Make = Callable[[Fraction, Fraction], LookSchedule]
each_schedule = pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
MILLISECOND = Fraction(1, 1000)
LONGEST = Fraction(2, 5)


@dataclass(frozen=True)
class Timed:
    """An image with a presentation time."""

    pts: int
    image: Image
    index: int = 0

    @property
    def size(self) -> Size:
        return self.image.shape[1], self.image.shape[0]

    @property
    def pixel_aspect(self) -> Fraction:
        return Fraction(1)

    def rgb(self, size: Size | None = None, region: Region | None = None) -> Image:
        assert region is None
        small = cv2.resize(self.image, size or self.size, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8)

    def luma(self, size: Size, region: Region) -> Luma:
        raise AssertionError("a schedule compares whole frames only")

    def quantiser(self, region: Region) -> float | None:
        return None

    def planes(self) -> tuple[Plane, ...]:
        raise AssertionError("a schedule does not write")


def grey(level: int, size: Size = (64, 36)) -> Image:
    return np.full((size[1], size[0], 3), level, np.uint8)


def looks(schedule: LookSchedule, frames: Sequence[Timed]) -> list[int]:
    """The numbers of the frames that get a full look, including the first."""
    schedule.restart(frames[0])
    taken = [0]
    for number, frame in enumerate(frames[1:], start=1):
        if schedule.due(frame):
            schedule.restart(frame)
            taken.append(number)
    return taken


def stills(times: Sequence[int]) -> list[Timed]:
    return [Timed(pts, grey(90)) for pts in times]


@each_schedule
@settings(deadline=None)
@given(
    gaps=st.lists(st.integers(1, 700), min_size=1, max_size=60),
    start=st.integers(-5000, 5000),
    longest=st.fractions(Fraction(1, 50), 2, max_denominator=1000),
)
def test_skipped_frames_are_earlier_than_the_longest_wait(
    make: Make, gaps: list[int], start: int, longest: Fraction
) -> None:
    times = [start + sum(gaps[:n]) for n in range(len(gaps) + 1)]
    taken = looks(make(longest, MILLISECOND), stills(times))
    for number, pts in enumerate(times):
        if number not in taken:
            last = max(n for n in taken if n < number)
            assert (pts - times[last]) * MILLISECOND < longest


@each_schedule
@pytest.mark.parametrize(
    ("rate", "base"),
    [
        (Fraction(25), Fraction(1, 25)),
        (Fraction(30000, 1001), Fraction(1, 90000)),
        (Fraction(60), Fraction(1, 15360)),
        (Fraction(5), Fraction(1, 1000)),
    ],
)
def test_waits_do_not_depend_on_the_time_base(make: Make, rate: Fraction, base: Fraction) -> None:
    times = [round(n / rate / base) for n in range(round(4 * rate))]
    taken = looks(make(LONGEST, base), stills(times))
    waits = [(times[b] - times[a]) * base for a, b in pairwise(taken)]
    assert waits
    assert max(waits) < LONGEST + 1 / rate


@each_schedule
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (1920, 1080)])
def test_any_frame_size_works(make: Make, size: Size) -> None:
    frames = [Timed(pts, grey(90, size)) for pts in range(0, 1000, 100)]
    assert len(looks(make(LONGEST, MILLISECOND), frames)) >= 3


def test_the_schedule_every_looks_at_every_frame() -> None:
    assert looks(SCHEDULES["every"](LONGEST, MILLISECOND), stills(range(0, 400, 10))) == [
        *range(40)
    ]


def adaptive() -> LookSchedule:
    return AdaptiveSchedule(LONGEST, MILLISECOND)


def test_a_still_image_gets_no_early_looks() -> None:
    assert looks(adaptive(), stills(range(0, 2001, 40))) == [0, 10, 20, 30, 40, 50]


def test_a_frame_after_a_long_pause_is_looked_at() -> None:
    assert looks(adaptive(), stills([0, 40, 3040, 3080, 3480])) == [0, 2, 4]


def test_the_wait_counts_time_not_frames() -> None:
    assert looks(adaptive(), stills([*range(0, 400, 4), 400])) == [0, 100]


def changing(at: int, part: float, levels: int) -> list[Timed]:
    """Frames of 20 ms; at frame ``at`` the left ``part`` changes by some grey levels."""
    changed = grey(90)
    changed[:, : round(64 * part)] += np.uint8(levels)
    return [Timed(20 * n, grey(90) if n < at else changed) for n in range(20)]


def test_a_changed_image_gets_an_early_look() -> None:
    first, early = looks(adaptive(), changing(10, 0.5, 60))
    assert first == 0
    assert 10 <= early < 10 + MIN_INTERVAL * 50


def test_an_immediate_change_waits_for_the_minimum_interval() -> None:
    first = int(MIN_INTERVAL * 1000) // 20 + 1
    assert looks(adaptive(), changing(1, 0.5, 60)) == [0, first]


@pytest.mark.parametrize(("part", "levels"), [(0.5, 20), (0.2, 100)])
def test_small_changes_cause_no_early_look(part: float, levels: int) -> None:
    assert looks(adaptive(), changing(12, part, levels)) == [0]


def test_a_slow_change_counts_from_the_last_look() -> None:
    frames = [Timed(20 * n, grey(90 + 2 * n)) for n in range(19)]
    first, early = looks(adaptive(), frames)
    assert first == 0
    # After 13 frames the change is more than 24 grey levels.
    assert 13 <= early < 13 + MIN_INTERVAL * 50


def test_a_longest_wait_below_the_minimum_interval_is_kept() -> None:
    schedule = AdaptiveSchedule(Fraction(1, 20), MILLISECOND)
    assert looks(schedule, stills(range(0, 201, 10))) == [0, 5, 10, 15, 20]


def test_a_look_is_due_before_the_first_one() -> None:
    assert adaptive().due(stills([0])[0])
