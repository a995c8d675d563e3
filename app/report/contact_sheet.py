"""The contact sheet: one picture of pairs before and after, where something happens.

It shows the faces that the video hides, so it is to be kept as the original is.
"""

import errno
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from app.errors import DiskFull, MediaError, OutputError
from app.plan import Plan, PlanTrack
from app.types import Frame, FrameSource, Image, Size

_BAR = 20
"""Height in pixels of the line of text above a pair."""
_GAP = 4
_PAPER = (24, 24, 24)
_INK = (235, 235, 235)
_HIDDEN = (235, 70, 60)
_UNCERTAIN = (250, 170, 30)
_KEPT = (90, 200, 90)


def chosen_frames(plan: Plan, count: int) -> list[int]:
    """At most ``count`` frames in which something happens, in order.

    First the middle of each track, those with a doubt before the hidden ones and these before the
    kept ones, longer before shorter; then the first and the last frame of each; then frames spread
    evenly over the video.
    """
    ranked = sorted(
        plan.tracks,
        key=lambda track: (
            not track.uncertain,
            track.decision != "blur",
            track.first - track.last,
        ),
    )
    wanted = [(track.first + track.last) // 2 for track in ranked]
    wanted += [frame for track in ranked for frame in (track.first, track.last)]
    last = plan.source.frames - 1
    wanted += [round(last * step / max(1, count - 1)) for step in range(count)]
    return sorted(list(dict.fromkeys(wanted))[:count])


def contact_sheet(
    before: FrameSource,
    after: FrameSource,
    plan: Plan,
    *,
    frames: int = 12,
    columns: int = 2,
    width: int = 320,
) -> Image:
    """Draw pairs of ``before`` and ``after``, each with its frame number, time and people.

    The faces are outlined in the picture before: hidden ones red, doubtful ones orange, kept ones
    green. Both videos are read once, side by side; only the chosen frames are held, small.

    Args:
        before: the original.
        after: the result, with the same frames.
        plan: what was hidden.
        frames: how many pairs, at least 1.
        columns: pairs in a row, at least 1.
        width: of one picture, in pixels.

    Returns:
        (h, w, 3) RGB.

    Raises:
        ValueError: ``frames``, ``columns`` or ``width`` is not positive.
        MediaError: a video cannot be read, or has fewer frames than the plan.
    """
    if min(frames, columns, width) < 1:
        raise ValueError("frames, columns and width must be positive")
    wanted = chosen_frames(plan, frames)
    size = (width, max(1, round(width * plan.source.height / plan.source.width)))
    cells = [
        _pair(shown, hidden, plan, _time(shown, start, before.info.time_base), size)
        for shown, hidden, start in _matching(before, after, wanted)
    ]
    if len(cells) < len(wanted):
        raise MediaError(f"the video ends before frame {wanted[len(cells)]} of the plan")
    return _table(cells, min(columns, len(cells)))


def save_png(image: Image, path: Path) -> None:
    """Write an (h, w, 3) RGB picture as PNG, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
        DiskFull: there is no room for it.
    """
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise OutputError(f"{path}: the picture cannot be encoded")
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(data.tobytes())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno == errno.ENOSPC:
            raise DiskFull(f"{path}: no space left; free some and start again") from error
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def _matching(
    before: FrameSource, after: FrameSource, wanted: list[int]
) -> Iterator[tuple[Frame, Frame, int]]:
    """The wanted frames of both videos, and the pts at which the first video begins."""
    left = set(wanted)
    start = 0
    with ExitStack() as stack:
        both = [iter(source) for source in (before, after)]
        for frames in both:
            close = getattr(frames, "close", None)  # decoding ahead ends with its iterator
            if close is not None:
                stack.callback(close)
        for shown, hidden in zip(*both, strict=False):
            if shown.index == 0:
                start = shown.pts
            if shown.index in left:
                yield shown, hidden, start
                left.remove(shown.index)
            if not left:
                return


def _time(frame: Frame, start: int, base: Fraction) -> str:
    """Time since the first frame as minutes, seconds and thousandths."""
    thousandths = round((frame.pts - start) * base * 1000)
    return f"{thousandths // 60000}:{thousandths // 1000 % 60:02}.{thousandths % 1000:03}"


def _pair(before: Frame, after: Frame, plan: Plan, time: str, size: Size) -> Image:
    """One cell of the sheet: a line of text over the two pictures."""
    width, height = size
    scale = np.asarray((width / plan.source.width, height / plan.source.height))
    shown = np.ascontiguousarray(before.rgb(size))
    here = [track for track in plan.tracks if track.first <= before.index <= track.last]
    for track in here:
        box = track.boxes[before.index - track.first, 1:].reshape(2, 2) * scale
        low, high = np.rint(box).astype(int).tolist()
        cv2.rectangle(shown, low, high, _colour(track))
    cell = np.full((_BAR + height, 2 * width + _GAP, 3), _PAPER, np.uint8)
    cell[_BAR:, :width] = shown
    cell[_BAR:, width + _GAP :] = after.rgb(size)
    text = "  ".join([f"frame {before.index}", time, *(_label(track) for track in here)])
    face = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(cell, text, (4, _BAR - 6), face, 0.42, _INK, 1, cv2.LINE_AA)
    return cell


def _colour(track: PlanTrack) -> tuple[int, int, int]:
    if track.uncertain:
        return _UNCERTAIN
    return _HIDDEN if track.decision == "blur" else _KEPT


def _label(track: PlanTrack) -> str:
    """Number, person and doubt of a track; the font has no letters beyond ASCII."""
    name = (track.person or "").encode("ascii", "replace").decode()
    doubt = "?" if track.uncertain else ""
    return f"#{track.id}{doubt} {name}".rstrip()


def _table(cells: list[Image], columns: int) -> Image:
    """Cells of one size in rows, with gaps between them and around."""
    height, width = cells[0].shape[:2]
    rows = -(-len(cells) // columns)
    size = (rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3)
    sheet = np.full(size, _PAPER, np.uint8)
    for number, cell in enumerate(cells):
        y = _GAP + number // columns * (height + _GAP)
        x = _GAP + number % columns * (width + _GAP)
        sheet[y : y + height, x : x + width] = cell
    return sheet
