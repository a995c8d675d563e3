"""The contact sheet: an image with pairs of frames, before and after hiding.

It shows the faces that the video hides, so protect it like the original video.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from app.errors import MediaError, OutputError
from app.files import replacing
from app.plan import Plan, PlanTrack
from app.types import Frame, FrameSource, Image, Size

_CAPTION_HEIGHT = 20
"""Height in pixels of the caption above a pair."""
_GAP = 4
_BACKGROUND = (24, 24, 24)
_TEXT = (235, 235, 235)
_HIDDEN = (235, 70, 60)
_UNCERTAIN = (250, 170, 30)
_KEPT = (90, 200, 90)


def choose_frames(plan: Plan, count: int) -> list[int]:
    """Return at most ``count`` frames of a plan that are worth showing, in order.

    First the middle of each track: uncertain tracks before hidden ones before kept ones, longer
    before shorter. Then the first and last frame of each track. Then frames spread evenly over the
    video.
    """
    ranked = ranked_tracks(plan)
    frames = [(track.first + track.last) // 2 for track in ranked]
    frames += [frame for track in ranked for frame in (track.first, track.last)]
    last = plan.source.frames - 1
    frames += [round(last * step / max(1, count - 1)) for step in range(count)]
    return sorted(list(dict.fromkeys(frames))[:count])


def ranked_tracks(plan: Plan) -> list[PlanTrack]:
    """Return the tracks, those first that are worth a look: uncertain, then hidden, then long."""
    return sorted(
        plan.tracks,
        key=lambda track: (
            not track.uncertain,
            track.decision != "blur",
            track.first - track.last,
        ),
    )


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

    Faces are outlined in the frame before: hidden ones red, uncertain ones orange, kept ones green.
    Both videos are read once, side by side. Only the chosen frames are kept, at reduced size.

    Args:
        before: the original video.
        after: the result, with the same frames.
        plan: the plan of the result.
        frames: maximum number of pairs, at least 1.
        columns: pairs per row, at least 1.
        width: width of one frame on the sheet, in pixels.

    Returns:
        (h, w, 3) RGB.

    Raises:
        ValueError: ``frames``, ``columns`` or ``width`` is not positive.
        MediaError: a video cannot be read, or has fewer frames than the plan.
    """
    if min(frames, columns, width) < 1:
        raise ValueError("frames, columns and width must be positive")
    chosen = choose_frames(plan, frames)
    size = (width, max(1, round(width * plan.source.height / plan.source.width)))
    cells = [
        _pair(shown, hidden, plan, _time(shown, start, before.info.time_base), size)
        for shown, hidden, start in _frame_pairs(before, after, chosen)
    ]
    if len(cells) < len(chosen):
        raise MediaError(f"the video ends before frame {chosen[len(cells)]} of the plan")
    return _table(cells, min(columns, len(cells)))


def save_png(image: Image, path: Path) -> None:
    """Write an (h, w, 3) RGB image as PNG, completely or not at all.

    Raises:
        OutputError: the file cannot be written.
        DiskFull: the disk is full.
    """
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise OutputError(f"{path}: the image cannot be encoded")
    with replacing(path) as file:
        file.write(data.tobytes())


def _frame_pairs(
    before: FrameSource, after: FrameSource, chosen: list[int]
) -> Iterator[tuple[Frame, Frame, int]]:
    """Yield the chosen frames of both videos, and the first pts of the first video."""
    remaining = set(chosen)
    start = 0
    with ExitStack() as stack:
        both = [iter(source) for source in (before, after)]
        for frames in both:
            close = getattr(frames, "close", None)  # ends decoding ahead
            if close is not None:
                stack.callback(close)
        for shown, hidden in zip(*both, strict=False):
            if shown.index == 0:
                start = shown.pts
            if shown.index in remaining:
                yield shown, hidden, start
                remaining.remove(shown.index)
            if not remaining:
                return


def _time(frame: Frame, start: int, base: Fraction) -> str:
    """Return the time since the first frame as minutes, seconds and milliseconds."""
    milliseconds = round((frame.pts - start) * base * 1000)
    return f"{milliseconds // 60000}:{milliseconds // 1000 % 60:02}.{milliseconds % 1000:03}"


def _pair(before: Frame, after: Frame, plan: Plan, time: str, size: Size) -> Image:
    """Draw one cell of the sheet: a caption above the two frames."""
    width, height = size
    scale = np.asarray((width / plan.source.width, height / plan.source.height))
    shown = np.ascontiguousarray(before.rgb(size))
    tracks = [track for track in plan.tracks if track.first <= before.index <= track.last]
    for track in tracks:
        box = track.boxes[before.index - track.first, 1:].reshape(2, 2) * scale
        low, high = np.rint(box).astype(int).tolist()
        cv2.rectangle(shown, low, high, _colour(track))
    cell = np.full((_CAPTION_HEIGHT + height, 2 * width + _GAP, 3), _BACKGROUND, np.uint8)
    cell[_CAPTION_HEIGHT:, :width] = shown
    cell[_CAPTION_HEIGHT:, width + _GAP :] = after.rgb(size)
    text = "  ".join([f"frame {before.index}", time, *(_label(track) for track in tracks)])
    face = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(cell, text, (4, _CAPTION_HEIGHT - 6), face, 0.42, _TEXT, 1, cv2.LINE_AA)
    return cell


def _colour(track: PlanTrack) -> tuple[int, int, int]:
    if track.uncertain:
        return _UNCERTAIN
    return _HIDDEN if track.decision == "blur" else _KEPT


def _label(track: PlanTrack) -> str:
    """Return number, person and uncertainty of a track; the font has ASCII letters only."""
    name = (track.person or "").encode("ascii", "replace").decode()
    mark = "?" if track.uncertain else ""
    return f"#{track.id}{mark} {name}".rstrip()


def _table(cells: list[Image], columns: int) -> Image:
    """Lay out cells of one size in rows, with gaps between and around them."""
    height, width = cells[0].shape[:2]
    rows = -(-len(cells) // columns)
    size = (rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3)
    sheet = np.full(size, _BACKGROUND, np.uint8)
    for number, cell in enumerate(cells):
        y = _GAP + number // columns * (height + _GAP)
        x = _GAP + number % columns * (width + _GAP)
        sheet[y : y + height, x : x + width] = cell
    return sheet
