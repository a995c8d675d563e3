"""A video that is drawn by code: a face that moves, before a background, with sound.

Nobody's picture is needed for a first run. The default detector finds the face with a score of 0.6
to 0.7, so the whole way is used: looking, hiding, encoding, carrying the sound over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, TypeAlias

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from app.process import run_at_ordinary_priority
from app.types import Image

Colour: TypeAlias = tuple[int, int, int]
_Field: TypeAlias = NDArray[np.float32]

RATE: Final = 25
SIZE: Final = (640, 360)
_SOUND_RATE: Final = 48000
_FACE: Final = 90
"""Half the height of the face in pixels: a size at which the detector is sure."""
_GLOW: Final = 2.0
"""Steepness of soft strokes; these have no edge."""
_NOISE: Final = 3.0
"""Grey levels of grain: without it the picture would be too smooth for a camera's."""

_STROKES: Final[tuple[tuple[float, float, float, float, Colour, float, float], ...]] = (
    (0, 2.1, 1.9, 0.95, (40, 50, 80), 0.15, 1),  # shoulders
    (0, 1.1, 0.42, 0.6, (180, 130, 105), 0.15, 1),  # neck
    (0, -0.2, 0.88, 1.05, (45, 32, 25), 0.15, 1),  # hair
    (0, 0.05, 0.72, 0.98, (215, 165, 138), 0.12, 1),  # head
    (0, -0.92, 0.62, 0.3, (45, 32, 25), 0.4, 1),
    (-0.25, -0.45, 0.5, 0.3, (245, 205, 180), 0, 0.5),  # light on the forehead
    (0, 0.05, 0.06, 0.3, (245, 205, 180), 0, 0.7),  # nose
    (0, 0.26, 0.1, 0.07, (240, 195, 170), 0, 0.6),
    (0, 0.38, 0.15, 0.04, (140, 90, 75), 0, 0.6),
    (0, 0.55, 0.27, 0.06, (165, 80, 75), 0.6, 1),  # mouth
    (0, 0.61, 0.2, 0.06, (185, 95, 88), 0.6, 1),
    (0, 0.57, 0.26, 0.02, (70, 25, 25), 0, 0.9),
    (0, 0.72, 0.2, 0.05, (160, 110, 90), 0, 0.6),  # chin
)
"""Ellipses in units of the face: x, y, half axes, colour, softness of the edge, opacity."""
_PAIRED: Final[tuple[tuple[float, float, float, float, Colour, float, float], ...]] = (
    (0.3, -0.12, 0.24, 0.16, (150, 105, 85), 0, 0.75),  # eye
    (0.3, -0.1, 0.15, 0.07, (235, 230, 225), 0.5, 1),
    (0.3, -0.1, 0.075, 0.075, (45, 30, 25), 0.5, 1),
    (0.3, -0.165, 0.17, 0.035, (40, 25, 20), 0, 0.9),
    (0.31, -0.3, 0.2, 0.045, (60, 40, 30), 0.8, 1),  # brow
    (0.42, 0.3, 0.25, 0.2, (235, 165, 145), 0, 0.5),  # cheek
    (0.1, 0.31, 0.05, 0.035, (70, 35, 30), 0, 0.9),  # nostril
    (0.16, 0.2, 0.05, 0.14, (165, 115, 95), 0, 0.6),
)
"""The same for what is on both sides."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A video to draw: its frames, its background, and the beats of its sound.

    ``beats`` are the loudnesses, 0..1, of tones of a fifth of a second, which are repeated.
    """

    frames: int = 2 * RATE
    background: Colour = (95, 110, 125)
    beats: tuple[float, ...] = (0.8, 0.1, 0.4, 0.0)

    @property
    def seconds(self) -> float:
        """The duration."""
        return self.frames / RATE

    def write(self, path: Path) -> Path:
        """Write the video as H.264 with AAC, in the container of the suffix."""
        with av.open(str(path), "w") as output:
            video: Any = output.add_stream("libx264", rate=RATE, options={"crf": "18"})
            video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
            video.codec_context.thread_count = 1
            sound: Any = output.add_stream("aac", rate=_SOUND_RATE)
            sound.codec_context.layout = "mono"
            output.start_encoding()
            run_at_ordinary_priority()
            for frame in self._sound(sound):
                output.mux(sound.encode(frame))
            for picture in self._pictures():
                output.mux(video.encode(picture))
            for stream in (sound, video):
                output.mux(stream.encode(None))
        return path

    def _pictures(self) -> Iterator[av.VideoFrame]:
        face = draw_face(self.background)
        grain = np.random.default_rng(1)
        for number in range(self.frames):
            # To the right and back, so that the face never leaves the frame.
            shift = round(30 * np.sin(number / self.frames * 2 * np.pi))
            picture = np.roll(face, shift, axis=1)
            noisy = picture + grain.normal(0, _NOISE, picture.shape)
            yield av.VideoFrame.from_ndarray(
                np.asarray(noisy.clip(0, 255), np.uint8), format="rgb24"
            )

    def _sound(self, stream: Any) -> Iterator[av.AudioFrame]:
        count = round(self.seconds * _SOUND_RATE)
        moments = np.arange(count)
        beat = (moments * 5 // _SOUND_RATE) % len(self.beats)
        wave = np.sin(moments * 2 * np.pi * 440 / _SOUND_RATE) * np.asarray(self.beats)[beat]
        size = stream.codec_context.frame_size or 1024
        for begin in range(0, count, size):
            part = wave[None, begin : begin + size].astype(np.float32)
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = _SOUND_RATE, begin
            frame.time_base = Fraction(1, _SOUND_RATE)
            yield frame


def draw_face(background: Colour) -> Image:
    """Draw a frame (h, w, 3) with a face in its middle."""
    width, height = SIZE
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = (x - width / 2) / _FACE, (y - height / 2) / _FACE
    picture = np.full((height, width, 3), background, np.float32)
    pairs = [(side * left, *rest) for left, *rest in _PAIRED for side in (-1, 1)]
    for cx, cy, a, b, colour, edge, opacity in (*_STROKES, *pairs):
        distance = ((x - cx) / a) ** 2 + ((y - cy) / b) ** 2
        soft = np.exp(-distance * _GLOW) if not edge else np.clip((1 - distance) / edge, 0, 1)
        cover = (soft * opacity)[..., None]
        picture = picture * (1 - cover) + cover * np.asarray(colour, np.float32)
    # Light from the left.
    picture *= (1 - 0.22 * np.clip(x / 0.8, -1, 1))[..., None]
    smooth = cv2.GaussianBlur(picture, (0, 0), _FACE / 60)
    return np.asarray(smooth.clip(0, 255), np.uint8)
