"""Files that are built to trouble a reader: bombs, nests, doubles, and headers that lie.

Each shows the face of a seed, or nothing. Damage by chance is in ``testmedia.mutants``.
"""

import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from PIL import Image as PillowImage

from testmedia.faces import Seed, seed
from testmedia.structures import Part, every_part, join, layout_of, split

_DEPTH = 4000
_BOXES = 100_000
_BOMB = 96 * 2**20
"""Bytes to which a bomb grows."""
_HUGE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Odd:
    """A file, the seed whose face it may show, and what is odd about it."""

    seed: Seed
    title: str
    data: bytes
    mutation: str = "odd file"

    @property
    def name(self) -> str:
        """A file name."""
        return f"{self.title}-{self.seed.name}"


def odd_files() -> Iterator[Odd]:
    """Yield all odd files."""
    for title, (name, make) in _ODD.items():
        origin = seed(name)
        yield Odd(origin, title, make(origin))


def _box(name: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4) + name + content


def _nest(_origin: Seed) -> bytes:
    data = b""
    for _ in range(_DEPTH):
        data = _box(b"moov", data)
    return _box(b"ftyp", b"isom\0\0\0\0") + data


def _many_boxes(origin: Seed) -> bytes:
    return _box(b"ftyp", b"isom\0\0\0\0") + _box(b"free", b"") * _BOXES + origin.data


def _twice(origin: Seed) -> bytes:
    return origin.data * 2


def _compressed_header(_origin: Seed) -> bytes:
    """A movie header of QuickTime that is compressed (cmov), and unpacks to a bomb."""
    packed = zlib.compress(bytes(_BOMB), 9)
    content = _box(b"dcom", b"zlib") + _box(b"cmvd", _HUGE.to_bytes(4) + packed)
    return _box(b"ftyp", b"qt  \0\0\0\0") + _box(b"moov", _box(b"cmov", content))


def _repeat(name: bytes, times: int) -> Callable[[Seed], bytes]:
    """Repeat the first part of a name."""

    def make(origin: Seed) -> bytes:
        layout = layout_of(origin.name)
        parts = split(origin.data, layout)
        siblings, index = next(p for p in every_part(parts) if p[0][p[1]].name == name)
        siblings[index:index] = [siblings[index]] * times
        return join(parts, layout)

    return make


def _patch(name: bytes, at: int, value: int, width: int = 4) -> Callable[[Seed], bytes]:
    """Write a number into every part of a name."""

    def make(origin: Seed) -> bytes:
        layout = layout_of(origin.name)
        parts = split(origin.data, layout)
        for part in (siblings[index] for siblings, index in every_part(parts)):
            if part.name == name:
                part.body = part.body[:at] + value.to_bytes(width) + part.body[at + width :]
        return join(parts, layout)

    return make


def _insert_bomb(name: bytes) -> Callable[[Seed], bytes]:
    """Insert a chunk that unpacks to a bomb into a PNG, after its header."""

    def make(origin: Seed) -> bytes:
        parts = split(origin.data, "png")
        parts.insert(2, Part(name, b"t\0\0" + zlib.compress(bytes(_BOMB))))
        return join(parts, "png")

    return make


def _png_bomb(_origin: Seed) -> bytes:
    side = 13_000
    header = side.to_bytes(4) * 2 + bytes([1, 0, 0, 0, 0])  # one bit, grey
    rows = zlib.compress(bytes((side // 8 + 1) * side))
    signature = Part(b"", seed("face.png").data[:8])
    chunks = (Part(b"IHDR", header), Part(b"IDAT", rows), Part(b"IEND"))
    return join([signature, *chunks], "png")


def _animation(origin: Seed) -> bytes:
    """A PNG whose first picture is empty and whose second one shows the face."""
    file = io.BytesIO()
    face = PillowImage.fromarray(origin.picture)
    PillowImage.new("RGB", face.size).save(file, "PNG", save_all=True, append_images=[face])
    return file.getvalue()


def _stripe(width: int, height: int) -> Callable[[Seed], bytes]:
    def make(origin: Seed) -> bytes:
        file = io.BytesIO()
        PillowImage.new("RGB", (width, height), (90, 80, 70)).save(file, origin.name[-3:].upper())
        return file.getvalue()

    return make


def _scans(origin: Seed) -> bytes:
    """A progressive JPEG that repeats its last scan a thousand times."""
    file = io.BytesIO()
    PillowImage.fromarray(origin.picture).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * 1000 + b"\xff\xd9"


def _two_videos(*, cover: bool) -> Callable[[Seed], bytes]:
    """A video without a face, and the face as a second video or as cover art."""

    def make(origin: Seed) -> bytes:
        file = io.BytesIO()
        with av.open(file, "w", format="mp4") as output:
            streams = [output.add_stream(name, rate=25) for name in ("libx264", "mjpeg")]
            pictures = (np.full_like(origin.picture, 90), origin.picture)
            for stream, form in zip(streams, ("yuv420p", "yuvj420p"), strict=True):
                stream.height, stream.width = origin.picture.shape[:2]
                stream.pix_fmt = form
            if cover:
                streams[1].disposition = av.stream.Disposition.attached_pic
            output.start_encoding()
            for stream, picture in zip(streams, pictures, strict=True):
                for number in range(1 if cover and stream is streams[1] else 5):
                    frame = av.VideoFrame.from_ndarray(picture)
                    frame.pts, frame.time_base = number, Fraction(1, 25)
                    output.mux(stream.encode(frame))
                output.mux(stream.encode(None))
        return file.getvalue()

    return make


def _nothing_but(data: bytes) -> Callable[[Seed], bytes]:
    return lambda _origin: data


_ODD: dict[str, tuple[str, Callable[[Seed], bytes]]] = {
    "empty": ("clip.mp4", _nothing_but(b"")),
    "one-byte": ("clip.ts", _nothing_but(b"\x47")),
    "only-a-name": ("clip.mp4", _nothing_but(_box(b"ftyp", b"isom\0\0\0\0"))),
    "only-packets": ("clip.ts", _nothing_but((b"\x47" + bytes(187)) * 99)),
    "deep-nest": ("clip.mp4", _nest),
    "many-boxes": ("clip.mp4", _many_boxes),
    "two-movies": ("clip.mp4", _twice),
    "two-films": ("clip.mkv", _twice),
    "two-lists": ("clip.avi", _twice),
    "two-photos": ("face.jpg", _twice),
    "compressed-header": ("clip.mov", _compressed_header),
    "many-tracks": ("clip.mp4", _repeat(b"trak", 60)),
    "many-sounds": ("clip.mkv", _repeat(b"\xae", 60)),
    "endless-frames": ("clip.mp4", _patch(b"stts", 8, _HUGE)),
    "slow-frames": ("clip.mp4", _patch(b"stts", 12, _HUGE)),
    "no-clock": ("clip.mov", _patch(b"mdhd", 12, 0)),
    "fast-clock": ("clip.mov", _patch(b"mdhd", 12, 2**32 - 1)),
    "huge-track": ("clip.mp4", _patch(b"avc1", 24, 2**32 - 1)),
    "huge-samples": ("clip.mp4", _patch(b"stsz", 4, _HUGE)),
    "huge-riff": ("clip.avi", _patch(b"avih", 32, 2**32 - 1)),
    "second-video": ("clip.mp4", _two_videos(cover=False)),
    "cover": ("clip.mp4", _two_videos(cover=True)),
    "png-bomb": ("face.png", _png_bomb),
    "animation": ("face.png", _animation),
    "huge-png": ("face.png", _patch(b"IHDR", 0, _HUGE)),
    "huge-jpeg": ("face.jpg", _patch(b"\xff\xc0", 1, 2**32 - 1)),
    "profile-bomb": ("face.png", _insert_bomb(b"iCCP")),
    "text-bomb": ("face.png", _insert_bomb(b"zTXt")),
    "scans": ("face.jpg", _scans),
    "wide": ("face.png", _stripe(60_000, 1)),
    "high": ("face.png", _stripe(1, 60_000)),
    "pixel": ("face.png", _stripe(1, 1)),
}
"""Each file by its title: its seed, and how it is made."""
