"""Where a film is cut into pieces: at key frames that need nothing before them, best at cuts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

_REACH = Fraction(1, 4)
"""How far from where it is wanted a border may lie at a cut, as a fraction of a piece."""
_TRIES = 3
"""Key frames around a wanted border that are looked at for a cut; each costs decoding."""
MIN_FRAMES = 2
"""Two pieces of one frame in a row could be taken for one picture, as each would be an IDR."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A key frame at which the film can be cut: number and time (s) of the frame."""

    frame: int
    time: Fraction


@dataclass(frozen=True, slots=True)
class Border:
    """The first frame of a piece; ``is_cut`` when a shot begins with it."""

    frame: int
    is_cut: bool


def choose_borders(
    candidates: Sequence[Candidate],
    frames: int,
    span: tuple[Fraction, Fraction],
    pieces: int,
    is_cut: Callable[[int], bool],
) -> list[Border]:
    """Cut a film of so many frames, from and to the times of ``span``, into ``pieces`` at most.

    Of the key frames within a quarter of a piece around each wanted border the nearest one that is
    a cut is taken, else the nearest key frame. There are fewer borders where there are too few
    key frames. ``is_cut`` is asked for a frame.

    >>> keys = [Candidate(frame, Fraction(frame, 10)) for frame in (40, 52, 70)]
    >>> choose_borders(keys, 100, (Fraction(0), Fraction(10)), 2, lambda frame: frame == 40)
    [Border(frame=40, is_cut=True)]
    >>> choose_borders(keys, 100, (Fraction(0), Fraction(10)), 2, lambda frame: False)
    [Border(frame=52, is_cut=False)]
    """
    chosen: list[Border] = []
    length = (span[1] - span[0]) / pieces
    for number in range(1, pieces):
        wanted = span[0] + number * length
        first = (chosen[-1].frame if chosen else 0) + MIN_FRAMES
        left = [c for c in candidates if first <= c.frame <= frames - MIN_FRAMES]
        near = sorted(left, key=lambda c: abs(c.time - wanted))
        found = _at_cut([c for c in near if abs(c.time - wanted) <= _REACH * length], is_cut)
        if found is not None:
            chosen.append(found)
        elif near and abs(near[0].time - wanted) <= length / 2:
            chosen.append(Border(near[0].frame, is_cut=False))
    return chosen


def _at_cut(near: Sequence[Candidate], is_cut: Callable[[int], bool]) -> Border | None:
    for candidate in near[:_TRIES]:
        if is_cut(candidate.frame):
            return Border(candidate.frame, is_cut=True)
    return None
