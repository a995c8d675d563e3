"""Scenes: photographed people who move over a textured background, with a known truth.

>>> from testmedia.photos import OBAMA
>>> shot = Shot(30, actors=(Actor(OBAMA, path=keys({0: (-40, 180), 29: (320, 180)}), size=80),))
>>> scene = Scene((640, 360), shots=(shot,))
>>> scene.truth().frames
30
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from app.types import Image, Region, Size
from testmedia.photos import Photo, cutout
from testmedia.truth import Seen, Truth

Path2 = Callable[[float], tuple[float, float]]
Curve = Callable[[float], float]
Box = tuple[float, float, float, float]
NTSC = Fraction(30000, 1001)
EXPOSURES = 9
"""Images that are averaged into one with motion blur."""


def keys(points: Mapping[int, tuple[float, float]]) -> Path2:
    """Return a path through positions at frames, linear between them and constant outside.

    >>> keys({0: (0, 0), 10: (100, 50)})(5)
    (50.0, 25.0)
    """
    frames = sorted(points)
    xs, ys = ([points[frame][axis] for frame in frames] for axis in (0, 1))
    return lambda frame: (float(np.interp(frame, frames, xs)), float(np.interp(frame, frames, ys)))


def ramp(points: Mapping[int, float]) -> Curve:
    """Return a value that is linear between key frames.

    >>> ramp({0: 24, 10: 124})(5)
    74.0
    """
    frames = sorted(points)
    values = [points[frame] for frame in frames]
    return lambda frame: float(np.interp(frame, frames, values))


@dataclass(frozen=True, slots=True)
class Actor:
    """A person in a shot.

    ``path`` is the centre of the face and ``size`` its width, in pixels, by frame of the shot;
    ``turn`` is how far the head leans to the right, in degrees. The person is visible from frame
    ``enter`` up to, but not including, ``leave`` (None: to the end). Later actors are in front of
    earlier ones, and those with ``in_front`` are in front of the occluders.
    """

    photo: Photo
    path: Path2
    size: float | Curve
    enter: int = 0
    leave: int | None = None
    in_front: bool = False
    turn: float | Curve = 0.0

    def present(self, frame: int) -> bool:
        """Return whether the person is visible at a frame of the shot."""
        return self.enter <= frame and (self.leave is None or frame < self.leave)

    def width(self, frame: float) -> float:
        """Return the width of the face in pixels."""
        return self.size(frame) if callable(self.size) else self.size

    def angle(self, frame: float) -> float:
        """Return how far the head leans to the right, in degrees."""
        return self.turn(frame) if callable(self.turn) else self.turn


class Backdrop(Protocol):
    """The background of a shot."""

    def picture(self, size: Size, frame: int) -> Image:
        """Return a new image (h, w, 3) RGB for a frame of the shot."""


@dataclass(frozen=True, slots=True)
class Background:
    """A smooth random texture of one colour that moves by ``speed`` (x, y) pixels per frame."""

    colour: tuple[int, int, int] = (90, 110, 130)
    speed: tuple[float, float] = (1.0, 0.5)
    seed: int = 1

    def picture(self, size: Size, frame: int) -> Image:
        """Return the image (h, w, 3) RGB at a frame of the shot."""
        across, down = (round(speed * frame) for speed in self.speed)
        return np.roll(self.texture(size), (down, across), axis=(0, 1))

    @lru_cache(maxsize=8)  # noqa: B019 - backgrounds are small, and equal ones share their texture
    def texture(self, size: Size) -> Image:
        """Return a texture (h, w, 3) that repeats in both directions without a seam."""
        width, height = size
        random = np.random.default_rng(self.seed)
        out = np.zeros((height, width))
        for cells, weight in ((4, 40), (12, 20), (40, 10)):
            grid = random.uniform(-1, 1, (cells, cells))
            grid = np.pad(grid, ((0, 1), (0, 1)), mode="wrap")
            ys = np.linspace(0, cells, height, endpoint=False, dtype=np.float32)
            xs = np.linspace(0, cells, width, endpoint=False, dtype=np.float32)
            at_x, at_y = np.meshgrid(xs, ys)
            out += weight * cv2.remap(grid.astype(np.float32), at_x, at_y, cv2.INTER_LINEAR)
        return np.asarray(np.clip(out[..., None] + self.colour, 0, 255), np.uint8)


@dataclass(frozen=True, slots=True)
class Shot:
    """``frames`` frames without a cut. ``occluders`` are opaque boxes.

    ``fade_in`` and ``fade_out`` are numbers of frames from and to black. During the first
    ``dissolve`` frames the previous shot continues and fades away.
    """

    frames: int
    actors: tuple[Actor, ...] = ()
    background: Backdrop = Background()
    occluders: tuple[Region, ...] = ()
    fade_in: int = 0
    fade_out: int = 0
    dissolve: int = 0

    def light(self, frame: int) -> float:
        """Return the brightness at a frame of the shot, 0..1."""
        begin = (frame + 1) / (self.fade_in + 1)
        # A shot that dissolves into the next continues beyond its end.
        end = (self.frames - frame) / (self.fade_out + 1) if self.fade_out else 1.0
        return min(1.0, begin, end)


@dataclass(frozen=True, slots=True)
class Scene:
    """Consecutive shots of one size and frame rate.

    ``light`` (0..1) darkens the scene, ``noise`` is the deviation of its grain in grey levels.
    ``shutter`` is the exposed part of a frame's time, which gives motion blur. ``durations`` are
    those of the frames, in units of 1 / ``rate``, repeated. ``crf`` is the CRF of H.264.
    """

    size: Size
    shots: tuple[Shot, ...]
    rate: Fraction = NTSC
    light: float = 1.0
    noise: float = 0.0
    shutter: float = 0.0
    durations: tuple[int, ...] = (1,)
    crf: int = 18

    @property
    def frames(self) -> int:
        """Number of frames."""
        return sum(shot.frames for shot in self.shots)

    def times(self) -> Iterator[int]:
        """Return the time of each frame, in units of 1 / ``rate``."""
        time = 0
        for number in range(self.frames):
            yield time
            time += self.durations[number % len(self.durations)]

    def pictures(self) -> Iterator[tuple[Image, tuple[Seen, ...]]]:
        """Yield each frame, (h, w, 3) RGB, with its faces."""
        start = 0
        for number, shot in enumerate(self.shots):
            for frame in range(shot.frames):
                image, faces = self._shown(shot, frame, start)
                if frame < shot.dissolve:
                    before = self.shots[number - 1]
                    old = self._shown(before, before.frames + frame, start - before.frames)
                    image, faces = _mixed(old, (image, faces), (frame + 1) / (shot.dissolve + 1))
                yield self._exposed(image, start + frame), faces
            start += shot.frames

    def _shown(self, shot: Shot, frame: int, start: int) -> tuple[Image, tuple[Seen, ...]]:
        """Return a frame of a shot: the mean of several moments while the shutter is open."""
        image, faces = _picture(shot, self.size, frame, start)
        if not self.shutter:
            return image, faces
        offsets = np.linspace(-self.shutter / 2, self.shutter / 2, EXPOSURES)
        views = [_picture(shot, self.size, frame, start, float(by))[0] for by in offsets]
        return np.asarray(np.mean(views, axis=0), np.uint8), faces

    def _exposed(self, image: Image, frame: int) -> Image:
        """Return the image as a camera would record it in this light."""
        if self.light == 1 and not self.noise:
            return image
        grain = np.random.default_rng(frame).normal(0, self.noise, image.shape)
        return np.asarray(np.clip(image * self.light + grain, 0, 255), np.uint8)

    def truth(self, faces: tuple[Seen, ...] | None = None) -> Truth:
        """Return the truth of the scene; the frames are drawn unless ``faces`` are given."""
        if faces is None:
            faces = tuple(face for _, seen in self.pictures() for face in seen)
        starts = np.cumsum([shot.frames for shot in self.shots])[:-1]
        return Truth(self.size, self.rate, self.frames, tuple(int(n) for n in starts), faces)


def _mixed(
    old: tuple[Image, tuple[Seen, ...]], new: tuple[Image, tuple[Seen, ...]], part: float
) -> tuple[Image, tuple[Seen, ...]]:
    """Return a frame of a dissolve, ``part`` (0..1) of the way; each face fades with its shot."""
    image = np.asarray(old[0] * (1 - part) + new[0] * part, np.uint8)
    faded = tuple(replace(face, light=face.light * (1 - part)) for face in old[1])
    return image, faded + tuple(replace(face, light=face.light * part) for face in new[1])


def _picture(
    shot: Shot, size: Size, frame: int, start: int, by: float = 0.0
) -> tuple[Image, tuple[Seen, ...]]:
    """Return a frame of a shot that starts at frame ``start`` of the scene, ``by`` frames later."""
    image = shot.background.picture(size, frame)
    owner = np.full(image.shape[:2], -1, np.int8)
    present = [(n, actor) for n, actor in enumerate(shot.actors) if actor.present(frame)]
    boxes: dict[int, Box] = {}
    for number, actor in (pair for pair in present if not pair[1].in_front):
        boxes[number] = _draw(image, owner, actor, number, frame + by)
    for x1, y1, x2, y2 in shot.occluders:
        image[y1:y2, x1:x2] = 255 - shot.background.picture(size, 0)[y1:y2, x1:x2]
        owner[y1:y2, x1:x2] = -2
    for number, actor in (pair for pair in present if pair[1].in_front):
        boxes[number] = _draw(image, owner, actor, number, frame + by)
    light = shot.light(frame)
    if light < 1:
        image = np.asarray(image * light, np.uint8)
    seen = tuple(
        Seen(start + frame, shot.actors[n].photo.person, box, _visible(owner, n, box), light)
        for n, box in boxes.items()
    )
    return image, tuple(face for face in seen if face.visible > 0)


def _draw(
    image: Image,
    owner: NDArray[np.int8],
    actor: Actor,
    number: int,
    frame: float,
) -> Box:
    """Draw an actor, and mark its pixels in ``owner``.

    Return the box of the face: that of the ellipse in the photo's face box.
    """
    width = actor.width(frame)
    cut = cutout(actor.photo, width)
    face = np.asarray(cut.face).reshape(2, 2)
    scale = width / (face[1, 0] - face[0, 0])
    turned = scale * _rotation(actor.angle(frame))
    middle, place = face.mean(axis=0), np.asarray(actor.path(frame))
    high, wide = cut.pixels.shape[:2]
    corners = np.asarray([(0, 0), (wide, 0), (wide, high), (0, high)])
    spots = (corners - middle) @ turned.T + place
    low = np.maximum(0, np.floor(spots.min(axis=0))).astype(int)
    far = np.minimum(image.shape[1::-1], np.ceil(spots.max(axis=0))).astype(int)
    half = np.sqrt((turned**2) @ ((face[1] - face[0]) / 2) ** 2)
    box = (*(place - half).tolist(), *(place + half).tolist())
    if (far <= low).any():
        return box
    # Pixels are squares: the centre of the pixel (0, 0) is at (0.5, 0.5).
    move = turned @ (0.5 - middle) + place - 0.5 - low
    matrix = np.asarray(np.column_stack([turned, move]), np.float32)
    size = (int(far[0] - low[0]), int(far[1] - low[1]))
    drawn = cv2.warpAffine(cut.pixels, matrix, size, flags=cv2.INTER_LINEAR)
    part = (slice(low[1], far[1]), slice(low[0], far[0]))
    opacity = drawn[..., 3:].astype(np.float32) / 255
    image[part] = np.asarray(drawn[..., :3] * opacity + image[part] * (1 - opacity) + 0.5, np.uint8)
    owner[part][opacity[..., 0] > 0.5] = number
    return box


def _rotation(degrees: float) -> NDArray[np.float64]:
    """Return the rotation matrix (2, 2): clockwise on the screen, as y points down."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.asarray([[cos, -sin], [sin, cos]])


def _visible(
    owner: NDArray[np.int8],
    number: int,
    box: Box,
) -> float:
    """Return the part of a face's box that shows the face, 0..1."""
    x1, y1, x2, y2 = (round(value) for value in box)
    part = owner[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)]
    return float((part == number).sum()) / max(1, (x2 - x1) * (y2 - y1))
