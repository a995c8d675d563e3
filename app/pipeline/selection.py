"""Find the face at a point, and say which faces there are if it is missed."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from app.config import Point, brief_time
from app.errors import UsageError
from app.geometry import centres, grow
from app.pipeline.analysis import AnalysisResult
from app.pipeline.shot_analysis import FaceTrack
from app.types import Boxes, MediaInfo, Size
from app.video import Media, open_source
from app.video.extent import read_extent

SELECTION_SCALE = 1.3
"""A point selects a face if it lies in the face's box, enlarged by this factor."""
_LISTED_FACES = 6
"""Faces that a message names: a crowd would fill the screen."""


def check_points(media: Media, points: Sequence[Point]) -> None:
    """Check that points lie inside a video or image, before anything is analysed.

    A video whose header does not know the number of its frames is read to its end, without
    decoding it.

    Raises:
        UsageError: a point lies outside of the frames, or of the time.
        MediaError: the file cannot be read.
    """
    if not points:
        return
    info = open_source(media).info
    for point in points:
        _check_pixel(point, info.size)
        if isinstance(point.at, Fraction):
            _check_time(media, info, point, point.at)
        else:
            _check_frame(media, info, point, point.at)


def _check_pixel(point: Point, size: Size) -> None:
    width, height = size
    if point.x >= width or point.y >= height:
        raise UsageError(
            f"select {point}: lies outside the picture of {width} x {height} pixels; X is at most"
            f" {width - 1}, and Y at most {height - 1}"
        )


def _check_frame(media: Media, info: MediaInfo, point: Point, frame: int) -> None:
    if info.is_image and frame > 0:
        raise _not_in_image(point)
    # Headers may be wrong, so the packets are counted before a point is refused.
    if info.frames is not None and frame < info.frames:
        return
    packets = 1 if info.is_image else read_extent(media).packets
    if frame >= packets:
        raise _no_frame(point, info.frames or packets)


def _check_time(media: Media, info: MediaInfo, point: Point, time: Fraction) -> None:
    if info.is_image and time > 0:
        raise _not_in_image(point)
    if info.is_image or time < info.duration:
        return
    end = read_extent(media).seconds
    if time >= end:
        raise UsageError(f"select {point}: the video ends at {brief_time(end)}")


def _not_in_image(point: Point) -> UsageError:
    return UsageError(f"select {point}: an image has only frame 0")


def _no_frame(point: Point, frames: int) -> UsageError:
    return UsageError(f"select {point}: the video has no such frame; its last one is {frames - 1}")


def track_at(result: AnalysisResult, point: Point) -> int:
    """Return the number of the track at a point of a frame, the one with the nearest centre.

    Raises:
        UsageError: there is no such frame, or no face; the message names the faces of the frame, or
            the nearest frame that has one.
    """
    frame = _frame_of(result, point)
    distances = [
        (float(np.hypot(*(centres(box)[0] - [point.x, point.y]))), whole_track(i, track))
        for i, track, box in _boxes_in(result, frame)
        if _holds(box, point)
    ]
    if not distances:
        raise UsageError(f"select {point}: {_miss(result, frame)}")
    return min(distances)[1]


def whole_track(number: int, track: FaceTrack) -> int:
    """Return the number of the track that this one is a remainder of, or its own number."""
    return number if track.remainder_of is None else track.remainder_of


def _frame_of(result: AnalysisResult, point: Point) -> int:
    if isinstance(point.at, Fraction):
        return result.times.frame_at(point.at)
    if point.at >= result.frames:
        raise _no_frame(point, result.frames)
    return point.at


def _boxes_in(result: AnalysisResult, frame: int) -> Iterable[tuple[int, FaceTrack, Boxes]]:
    """Yield the tracks in a frame with their numbers and their boxes (1, 4)."""
    for i, track in enumerate(result.tracks):
        row = frame - track.first
        if 0 <= row < len(track.boxes):
            yield i, track, track.boxes[row : row + 1]


def _holds(box: Boxes, point: Point) -> bool:
    x1, y1, x2, y2 = grow(box, SELECTION_SCALE)[0]
    return bool(x1 <= point.x <= x2 and y1 <= point.y <= y2)


def _miss(result: AnalysisResult, frame: int) -> str:
    """Describe the faces of a frame, or of the nearest frame that has one."""
    if there := _faces_in(result, frame):
        return f"there is no face at this point; {_label(result, frame)} shows {_listed(there)}"
    frames = [_nearest(track, frame) for track in result.tracks]
    nearest = min(frames, key=lambda other: abs(other - frame), default=None)
    if nearest is None:
        return "there is no face in this frame, and none was found in any other"
    faces = _listed(_faces_in(result, nearest))
    return (
        f"there is no face in {_label(result, frame)}; the nearest one that shows any is"
        f" {_label(result, nearest)}, with {faces}"
    )


def _label(result: AnalysisResult, frame: int) -> str:
    return "the image" if result.frames == 1 else result.times.label(frame)


def _nearest(track: FaceTrack, frame: int) -> int:
    """Return the frame nearest to ``frame`` in which the face of a track is seen."""
    first, last = track.seen
    return min(max(frame, first), last)


def _faces_in(result: AnalysisResult, frame: int) -> list[str]:
    """Return a point on each face that is seen in a frame, from left to right."""
    boxes = [
        box for _, track, box in _boxes_in(result, frame) if track.seen[0] <= frame <= track.seen[1]
    ]
    boxes.sort(key=lambda box: float(box[0, 0]))
    return [str(_middle(frame, box, result.size)) for box in boxes]


def _middle(frame: int, box: Boxes, size: Size) -> Point:
    """Return the centre of a box (1, 4) in whole pixels; a box may extend beyond the frame."""
    x, y = centres(box)[0].round().clip(0, np.asarray(size) - 1).tolist()
    return Point(frame, x, y)


def _listed(faces: Sequence[str]) -> str:
    if len(faces) == 1:
        return f"a face at {faces[0]}"
    more = len(faces) - _LISTED_FACES
    end = f" and {more} more" if more > 0 else ""
    return f"faces at {' or '.join(faces[:_LISTED_FACES])}{end}"
