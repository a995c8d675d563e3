"""Encode a scene to a file."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import av
import numpy as np

from testmedia.reshape import Reshape, Reshaped
from testmedia.scene import Scene
from testmedia.truth import Seen, Truth

SOUND_RATE = 44100


@dataclass(frozen=True, slots=True)
class Clip:
    """A video and its truth."""

    path: Path
    truth: Truth


def _tone(duration: Fraction) -> Iterator[av.AudioFrame]:
    """Yield a sine of 440 Hz with one channel."""
    samples = int(duration * SOUND_RATE)
    for start in range(0, samples, 1024):
        time = np.arange(start, min(start + 1024, samples)) / SOUND_RATE
        wave = (0.2 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate = SOUND_RATE
        frame.pts = start
        frame.time_base = Fraction(1, SOUND_RATE)
        yield frame


def write_clip(
    scene: Scene, path: Path, *, preset: str = "veryfast", shape: Reshape | None = None
) -> Clip:
    """Write a scene as H.264 with a sine as sound; the suffix of ``path`` selects the container.

    ``shape`` is the way in which its pictures are stored.
    """
    stored = Reshaped(scene, shape or Reshape())
    faces: list[Seen] = []
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=scene.rate)
        video.width, video.height = stored.size
        if stored.aspect != 1:
            video.codec_context.sample_aspect_ratio = stored.aspect
        video.pix_fmt = "yuv420p"
        video.options = {"crf": str(scene.crf), "preset": preset}
        sound = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        length = sum(islice(cycle(scene.durations), scene.frames))
        tone = _tone(length / scene.rate)
        for time, (picture, seen) in zip(scene.times(), stored.pictures(), strict=True):
            faces.extend(seen)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time, 1 / scene.rate
            container.mux(video.encode(frame))
            until = Fraction(time + 1) / scene.rate * SOUND_RATE
            for piece in tone:
                container.mux(sound.encode(piece))
                if piece.pts is not None and piece.pts + 1024 >= until:
                    break
        for piece in tone:
            container.mux(sound.encode(piece))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return Clip(path, stored.truth(tuple(faces)))
