"""Small files that show one face: a video in each container, and an image in each format.

They are small so that a program can be tried with thousands of variants of them. In videos the
face is absent at first, so that the first GOP is one that can be copied.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import Any

import av
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageCms

from app.types import Image, Size
from testmedia.photos import BIDEN
from testmedia.scene import Actor, Scene, Shot, keys

SIZE: Size = (160, 128)
FACE = 44
"""Width of the face in pixels: large enough to be found and to be recognised."""
GOP = 5
FRAMES = 2 * GOP
"""Frames of a video; those of the second half show the face."""
RATE = Fraction(25)
SOUND_RATE = 48000
ORIENTATION, MAKER = 274, 271
"""Tags of EXIF."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class VideoSeed:
    """How to write a video: container and codecs, as FFmpeg names them."""

    muxer: str
    codec: str = "libx264"
    sound: str = ""
    pixels: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    muxer_options: dict[str, str] = field(default_factory=dict)


VIDEOS = {
    "clip.mp4": VideoSeed("mp4", sound="aac"),
    "fragments.mp4": VideoSeed("mp4", muxer_options={"movflags": "frag_keyframe+empty_moov"}),
    "hevc.mp4": VideoSeed("mp4", "libx265", options={"x265-params": "log-level=none"}),
    "clip.mov": VideoSeed("mov", "mjpeg", "pcm_s16le", "yuvj420p"),
    "clip.mkv": VideoSeed("matroska", sound="flac"),
    "clip.webm": VideoSeed("webm", "libvpx", "libopus"),
    "clip.avi": VideoSeed("avi", "mpeg4", "libmp3lame"),
    "clip.ts": VideoSeed("mpegts", sound="mp2"),
}
IMAGES = {"face.jpg": "JPEG", "face.png": "PNG", "face.webp": "WebP"}
NAMES = (*VIDEOS, *IMAGES)
"""All seeds, by their file names."""


@dataclass(frozen=True, slots=True)
class Seed:
    """A file: its name, its content, and the box (x1, y1, x2, y2) of the face in ``picture``."""

    name: str
    data: bytes
    picture: Image
    face: Box

    @property
    def is_image(self) -> bool:
        """Whether it is an image."""
        return self.name in IMAGES


@cache
def _pictures() -> tuple[tuple[Image, ...], Box]:
    """Return the frames, and the box of the face, which stands still."""
    actor = Actor(BIDEN, keys({0: (78, 66)}), FACE, enter=GOP)
    drawn = list(Scene(SIZE, (Shot(FRAMES, (actor,)),), RATE).pictures())
    return tuple(image for image, _ in drawn), drawn[-1][1][0].box


@cache
def seed(name: str) -> Seed:
    """Return the seed of this name; equal names give equal bytes."""
    pictures, face = _pictures()
    data = _image(IMAGES[name]) if name in IMAGES else _video(VIDEOS[name])
    return Seed(name, data, pictures[-1], face)


def _image(form: str) -> bytes:
    """Return an image with what cameras and programs add: EXIF and a colour profile."""
    file = io.BytesIO()
    exif = PillowImage.Exif()
    exif.update({ORIENTATION: 1, MAKER: "camera"})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # The date in the profile, at which it was made, would make each file another one.
    profile = profile[:24] + bytes(12) + profile[36:]
    picture = PillowImage.fromarray(_pictures()[0][-1])
    picture.save(file, form, quality=90, exif=exif, icc_profile=profile)
    return file.getvalue()


def _video(spec: VideoSeed) -> bytes:
    file = io.BytesIO()
    options = {"fflags": "bitexact", **spec.muxer_options}
    with av.open(file, "w", format=spec.muxer, container_options=options) as output:
        video: Any = output.add_stream(
            spec.codec, rate=RATE, options={"g": str(GOP), **spec.options}
        )
        video.width, video.height = SIZE
        video.pix_fmt = spec.pixels
        video.codec_context.thread_count = 1
        video.bit_rate = 400_000
        packets = [_encoded(video)]
        if spec.sound:
            sound: Any = output.add_stream(spec.sound, rate=SOUND_RATE, layout="mono")
            packets.insert(0, _sound(sound))
        for stream in packets:
            for packet in stream:
                output.mux(packet)
    return file.getvalue()


def _encoded(video: Any) -> Iterator[Any]:
    for number, picture in enumerate(_pictures()[0]):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = number, 1 / RATE
        yield from video.encode(frame)
    yield from video.encode(None)


def _sound(stream: Any) -> Iterator[Any]:
    """Encode a sine as long as the video."""
    samples = np.arange(int(SOUND_RATE * FRAMES / RATE))
    wave = np.asarray(8000 * np.sin(samples / 20), np.int16)
    frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
    context = stream.codec_context
    context.open(strict=False)
    resampler = av.AudioResampler(context.format, "mono", SOUND_RATE, context.frame_size or None)
    for ready in (*resampler.resample(frame), *resampler.resample(None)):
        yield from stream.encode(ready)
    yield from stream.encode(None)
