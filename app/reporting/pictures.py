"""Draw the pictures of a report. No pixel of a hidden face is ever part of one.

Every frame is hidden as the plan says before it is turned into a picture.
"""

from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from app.config import Settings
from app.errors import MediaError
from app.geometry import clip_to_pixels
from app.pipeline.rendering import Hiding, hiding_of
from app.plan import Plan, PlanTrack
from app.reporting.choice import Look
from app.types import Boxes, Frame, Image, Progress, Region, Size
from app.verification.detail import READABLE, readable
from app.video import Media, open_source
from app.video.header import first_pts
from app.video.picking import picked

_FACE_PIXELS = 144
"""Longest side of a face: sharp at 27 mm on paper, and at 72 points on a fine screen."""
_FRAME_PIXELS = 640
"""Longest side of a frame: half of an A4 page at 180 dots per inch."""
_AROUND = 1.8
"""Side of the picture of a face, in sides of its box: the hidden area and some of what is around
it."""
_QUALITY = 80
"""JPEG quality: about 5 KB for a face, and 50 KB for a frame."""
_LATE = Fraction(1, 2)
"""Frames by which a result may be late: containers round times to milliseconds."""
_LINE = 2
"""Width of an outline in pixels of the picture."""
COLOURS: Mapping[str, tuple[int, int, int]] = {
    "hidden": (224, 62, 54),
    "visible": (52, 168, 83),
    "unsure": (240, 150, 20),
    "cannot tell": (150, 150, 150),
    "drawn": (60, 130, 246),
}
"""The colours (RGB) of outlines, by the kind of the track."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture as JPEG; ``size`` is its width and height."""

    jpeg: bytes
    size: Size


@dataclass(frozen=True, slots=True)
class Pair:
    """A frame before and after; ``tracks`` are those that it shows.

    ``readable`` are those hidden tracks whose face can be read in the result: then the frame after
    is drawn anew, and is not that of the result.
    """

    frame: int
    tracks: tuple[PlanTrack, ...]
    before: Drawn
    after: Drawn
    readable: tuple[PlanTrack, ...]


@dataclass(frozen=True, slots=True)
class Pictures:
    """All pictures of a report: faces by track and frame, and frames before and after."""

    faces: Mapping[tuple[int, int], Drawn]
    pairs: Sequence[Pair]


def kind_of(track: PlanTrack) -> str:
    """Return the kind of a track, which has a colour in ``COLOURS``."""
    if track.drawn:
        return "drawn"
    if track.uncertain:
        return "unsure" if track.unclear is None else "cannot tell"
    return "hidden" if track.decision == "blur" else "visible"


def draw_pictures(
    media: Media,
    plan: Plan,
    settings: Settings,
    *,
    looks: Collection[Look],
    frames: Collection[int],
    result: Media | None,
    progress: Progress,
) -> Pictures:
    """Read the frames that are needed once, in order, and draw all pictures.

    ``looks`` are the faces to show, ``frames`` those before and after. With ``result`` the frames
    after are its own.

    Raises:
        MediaError: a file cannot be read, or the result has other frames than the plan.
    """
    artist = _Artist(plan, settings)
    by_frame: dict[int, list[Look]] = {frame: [] for frame in frames}
    for look in looks:
        by_frame.setdefault(look.frame, []).append(look)
    faces: dict[tuple[int, int], Drawn] = {}
    pairs: list[Pair] = []
    with closing(_results(result, frames, settings)) as results:
        for done, frame in enumerate(picked(media, by_frame, threads=settings.threads), 1):
            if frame.size != (plan.source.width, plan.source.height):
                raise MediaError(f"{media}: its frames have another size than the plan says")
            is_pair = frame.index in frames
            after = _fitting(next(results), frame, media, result) if is_pair and result else None
            drawn = artist.draw(frame, by_frame[frame.index], after, is_pair=is_pair)
            faces |= drawn.faces
            pairs += drawn.pairs
            progress("report", done, len(by_frame))
    return Pictures(faces, pairs)


def _results(result: Media | None, frames: Collection[int], settings: Settings) -> Generator[Frame]:
    """Yield the frames of the result, or nothing without one."""
    if result is not None:
        yield from picked(result, frames, threads=settings.threads)


def _fitting(after: Frame, before: Frame, media: Media, result: Media) -> Frame:
    """Return the frame of a result if size and time are those of the frame in the source.

    Raises:
        MediaError: the file is not a result of this video.
    """
    late = abs(_seconds(after, result) - _seconds(before, media))
    if after.size != before.size or late * open_source(media).info.rate > _LATE:
        raise MediaError(f"{result}: is not a result of {media}; name the right file")
    return after


def _seconds(frame: Frame, media: Media) -> Fraction:
    """Return the time of a frame after the first one."""
    if media.is_image:
        return Fraction(0)
    return (frame.pts - first_pts(media)) * open_source(media).info.time_base


class _Artist:
    """Draws the pictures of one frame after the other."""

    def __init__(self, plan: Plan, settings: Settings) -> None:
        self._plan = plan
        self._hiding = hiding_of(settings)
        # As wide as the effect, and without its colours: outlines are drawn on it.
        self._cover = hiding_of(
            settings.model_copy(update={"effect": "solid", "shape": "rectangle"})
        )

    def draw(
        self, frame: Frame, looks: Collection[Look], result: Frame | None, *, is_pair: bool
    ) -> Pictures:
        """Draw everything that is wanted of a frame, whose planes are changed by this."""
        boxes = self._plan.regions_at(frame.index)
        leaks = () if result is None else self._leaks(frame, result)
        self._hide(self._hiding, frame, boxes)
        faces = {(look.track.id, look.frame): _face(frame, look) for look in looks}
        if not is_pair:
            return Pictures(faces, ())
        drawn_after = _jpeg(_scaled(frame if result is None or leaks else result))
        self._hide(self._cover, frame, boxes)
        tracks = self._tracks(frame.index)
        before = _jpeg(_outlined(_scaled(frame), frame, tracks))
        return Pictures(faces, [Pair(frame.index, tracks, before, drawn_after, leaks)])

    @staticmethod
    def _hide(hiding: Hiding, frame: Frame, boxes: Boxes) -> None:
        if len(boxes):
            hiding.hide(frame.planes(), boxes)

    def _tracks(self, frame: int) -> tuple[PlanTrack, ...]:
        return tuple(one for one in self._plan.tracks if one.first <= frame <= one.last)

    def _leaks(self, frame: Frame, result: Frame) -> tuple[PlanTrack, ...]:
        """Return the hidden tracks that can still be read in the result."""
        one, other = frame.rgb(), result.rgb()
        return tuple(
            track
            for track in self._tracks(frame.index)
            if track.decision == "blur"
            and readable(one, other, _corners(track, frame.index)) >= READABLE
        )


def _corners(track: PlanTrack, frame: int) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = track.boxes[frame - track.first, 1:].tolist()
    return x1, y1, x2, y2


def _face(frame: Frame, look: Look) -> Drawn:
    """Draw the surroundings of a face, from a frame in which all is hidden."""
    region = _around(look.track, frame)
    pixels = frame.rgb(region=region)
    return _jpeg(_fitted(pixels, float(frame.pixel_aspect), _FACE_PIXELS))


def _around(track: PlanTrack, frame: Frame) -> Region:
    """Return the region of a face: a square as it is shown, as far as it lies in the frame."""
    x1, y1, x2, y2 = _corners(track, frame.index)
    aspect = float(frame.pixel_aspect)
    half = max((x2 - x1) * aspect, y2 - y1) * _AROUND / 2
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    box = np.asarray([x - half / aspect, y - half, x + half / aspect, y + half], np.float32)
    region = clip_to_pixels(box, frame.size)
    assert region is not None, "a plan is refused if a box lies outside the frame"
    return region


def _scaled(frame: Frame) -> Image:
    return _fitted(frame.rgb(), float(frame.pixel_aspect), _FRAME_PIXELS)


def _fitted(pixels: Image, aspect: float, longest: int) -> Image:
    """Scale pixels (h, w, 3) of this aspect to their shape as shown, never to larger ones."""
    height, width = pixels.shape[:2]
    factor = min(1.0, longest / max(width * aspect, height))
    size = max(1, round(width * aspect * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _outlined(pixels: Image, frame: Frame, tracks: Sequence[PlanTrack]) -> Image:
    """Draw the outline and the number of each track on a picture of the frame."""
    height, width = pixels.shape[:2]
    scale = np.asarray((width / frame.size[0], height / frame.size[1]))
    for track in tracks:
        corners = np.asarray(_corners(track, frame.index)).reshape(2, 2) * scale
        (x1, y1), (x2, y2) = np.rint(corners).astype(int).tolist()
        colour = COLOURS[kind_of(track)]
        cv2.rectangle(pixels, (x1, y1), (x2, y2), colour, _LINE)
        _write(pixels, str(track.id), (x1, y1), colour)
    return pixels


def _write(
    pixels: Image, label: str, corner: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    """Write a label in the corner of an outline, black on its colour; all of it in the picture."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.45
    (width, height), _ = cv2.getTextSize(label, font, scale, 1)
    x = int(np.clip(corner[0], 0, max(0, pixels.shape[1] - width - 6)))
    y = int(np.clip(corner[1], 0, max(0, pixels.shape[0] - height - 6)))
    cv2.rectangle(pixels, (x, y), (x + width + 6, y + height + 6), colour, -1)
    cv2.putText(pixels, label, (x + 3, y + height + 3), font, scale, (0, 0, 0), 1, cv2.LINE_AA)


def _jpeg(pixels: Image) -> Drawn:
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    assert done, "eight bits and three channels can always be encoded"
    return Drawn(data.tobytes(), (pixels.shape[1], pixels.shape[0]))
