"""Check that a result belongs to its source: its frames, their times and pictures, and its sound.

No face is looked for, so no model is needed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.errors import MediaError, PlanError
from app.plan import Plan
from app.types import Boxes, Frame, FrameSource, Size
from app.verification.places import PlanPlaces
from app.verification.sound import compare_sound
from app.video import Media, open_source

_CELLS: Final = (16, 9)
"""Cells of a frame, of which the mean luma is compared: encoding hardly changes that."""
_QUANTILE: Final = 0.4
"""Part of the cells that must agree. The others may be hidden: without a plan, nobody knows. A face
that fills the height of a wide frame, with its margin, takes less than the other part."""
_DIFFERENT: Final = 5.0
"""Grey levels by which they may differ: more than what the lowest quality loses, and less than what
tells two backgrounds of nearly the same brightness apart."""
_MARGIN: Final = 0.5
"""Part of the sides of a box by which an effect may reach beyond it."""
_LEAST: Final = 8
"""Cells outside of hidden faces that say something about a frame."""


@dataclass(frozen=True, slots=True)
class Match:
    """What was compared: the frames, and the streams of sound."""

    frames: int
    sounds: int


@dataclass(slots=True)
class _Clock:
    """The times of the frames of one file, in seconds."""

    tick: Fraction
    count: int = 0
    first: Fraction = Fraction(0)
    last: Fraction = Fraction(0)

    def add(self, frame: Frame) -> None:
        time = frame.pts * self.tick
        self.first = self.first if self.count else time
        self.last, self.count = time, self.count + 1

    @property
    def span(self) -> Fraction:
        return self.last - self.first


@dataclass(slots=True)
class _Comparison:
    """Result and source, read side by side."""

    ours: _Clock
    theirs: _Clock
    differences: list[float] = field(default_factory=list)


def check_result(
    result: Path | Media,
    source: Path | Media,
    plan: Plan | None = None,
    dropped: Sequence[str] = (),
) -> Match:
    """Compare a result with its source, and with its plan if there is one.

    Args:
        result: the result.
        source: its source.
        plan: the plan of the result; None for none.
        dropped: streams of the source that the result must not have: indices, or types.

    Raises:
        MediaError: the result is damaged, or does not match the source.
        PlanError: the plan belongs to another file.
    """
    found, original = Media.of(result), Media.of(source)
    if found.sha256 == original.sha256:
        raise MediaError("it is identical to the source: not processed")
    if plan is not None:
        if plan.source.sha256 != original.sha256:
            raise PlanError("its plan belongs to another file")
        original.accept_truncated |= bool(plan.settings.get("accept_truncated"))
        dropped = [*dropped, *map(str, plan.settings.get("drop_stream") or ())]
    one, other = open_source(found), open_source(original)
    _check_equal("image", one.info.is_image, other.info.is_image)
    compared = _compare(one, other, plan)
    _check_equal("frames", compared.ours.count, compared.theirs.count)
    if plan is not None:
        _check_equal("frames", compared.ours.count, plan.source.frames)
    _check_equal("its size", one.info.size, other.info.size)
    _check_span(compared.ours, compared.theirs)
    if compared.differences and median(compared.differences) > _DIFFERENT:
        raise MediaError("its pictures are not those of its source")
    sounds = 0
    if not one.info.is_image:
        starts = (compared.ours.first, compared.theirs.first)
        sounds = compare_sound(found, original, starts, dropped)
    return Match(compared.ours.count, sounds)


def _check_equal(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise MediaError(f"{what}: {found}, not {expected} as in its source")


def _check_span(ours: _Clock, theirs: _Clock) -> None:
    if abs(ours.span - theirs.span) > max(ours.tick, theirs.tick):
        raise MediaError(
            f"its frames span {float(ours.span):.3f} s, "
            f"not {float(theirs.span):.3f} s as in its source"
        )


def _compare(result: FrameSource, source: FrameSource, plan: Plan | None) -> _Comparison:
    """Read all frames of both files."""
    compared = _Comparison(_Clock(result.info.time_base), _Clock(source.info.time_base))
    places = None if plan is None else PlanPlaces(plan)
    # Of an image without a plan, all may be hidden.
    looks = places is not None or not result.info.is_image
    for one, other in zip_longest(result, source):
        if one is not None:
            compared.ours.add(one)
        if other is not None:
            compared.theirs.add(other)
        if looks and one is not None and other is not None and one.size == other.size:
            hidden = _hidden(places, one)
            compared.differences.extend(_difference(one, other, hidden))
    return compared


def _hidden(places: PlanPlaces | None, frame: Frame) -> Boxes:
    """Return the (N, 4) boxes that the plan hides in a frame."""
    if places is None:
        return np.zeros((0, 4), np.float32)
    found = places.at(frame.index)
    return found.boxes[found.hidden]


def _difference(result: Frame, source: Frame, hidden: Boxes) -> Iterator[float]:
    """Yield how much the most similar cells differ, unless too few are not hidden."""
    whole = (0, 0, *result.size)
    one, other = (frame.luma(_CELLS, whole).astype(float) for frame in (result, source))
    seen = np.abs(one - other)[~_cells_of(hidden, result.size)]
    if len(seen) >= _LEAST:
        yield float(np.quantile(seen, _QUANTILE))


def _cells_of(boxes: Boxes, size: Size) -> NDArray[np.bool_]:
    """Return the cells (h, w) that boxes touch, with the margin of an effect."""
    out = np.zeros(_CELLS[::-1], np.bool_)
    scale = np.asarray(_CELLS, float) / size
    for x1, y1, x2, y2 in boxes.astype(float):
        margin = np.asarray([x2 - x1, y2 - y1]) * _MARGIN
        left, top = np.floor((np.asarray([x1, y1]) - margin) * scale).clip(0).astype(int)
        right, bottom = np.ceil((np.asarray([x2, y2]) + margin) * scale).clip(0).astype(int)
        out[top:bottom, left:right] = True
    return out
