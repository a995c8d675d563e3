"""Where a film is cut into pieces: at cuts whose key frames need nothing before them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

_REACH = Fraction(1, 2)
"""How far from where it is wanted a border may lie, as a fraction of a piece."""
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
    *,
    inside_shots: bool = False,
) -> list[Border]:
    """Cut a film of so many frames, from and to the times of ``span``, into ``pieces`` at most.

    Of the key frames within half a piece around each wanted border the nearest one that is a cut
    is taken. Where none is, there is no border; ``inside_shots`` takes the nearest key frame then,
    though what one end of a shot tells about a face is lost for the other. ``is_cut`` is asked for
    a frame; that may be slow, and happens once at most for each.

    >>> keys = [Candidate(frame, Fraction(frame, 10)) for frame in (40, 52, 70)]
    >>> choose_borders(keys, 100, (Fraction(0), Fraction(10)), 2, lambda frame: frame == 40)
    [Border(frame=40, is_cut=True)]
    >>> length = (Fraction(0), Fraction(10))
    >>> choose_borders(keys, 100, length, 2, lambda frame: False)
    []
    >>> choose_borders(keys, 100, length, 2, lambda frame: False, inside_shots=True)
    [Border(frame=52, is_cut=False)]
    """
    chosen: list[Border] = []
    length = (span[1] - span[0]) / pieces
    for number in range(1, pieces):
        wanted = span[0] + number * length
        first = (chosen[-1].frame if chosen else 0) + MIN_FRAMES
        left = [c for c in candidates if first <= c.frame <= frames - MIN_FRAMES]
        near = [c for c in left if abs(c.time - wanted) <= _REACH * length]
        near.sort(key=lambda c: abs(c.time - wanted))
        found = next((c for c in near if is_cut(c.frame)), None)
        if found is not None:
            chosen.append(Border(found.frame, is_cut=True))
        elif near and inside_shots:
            chosen.append(Border(near[0].frame, is_cut=False))
    return chosen
