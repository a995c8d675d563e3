"""Write HEIC images: one picture, encoded as HEVC, in the boxes of ISO/IEC 23008-12."""

import io
import struct
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from app.types import Image

_EXIF_ITEM = 2


@dataclass(frozen=True)
class Heic:
    """How an image is stored.

    ``turns`` is the number of quarter turns anticlockwise that a reader must apply (box ``irot``).
    ``exif`` is a TIFF structure. ``declared`` replaces the size in the box ``ispe``. ``brand`` is
    the major brand, and ``primaries`` are colour primaries in the box ``colr``.
    """

    turns: int = 0
    exif: bytes = b""
    declared: tuple[int, int] | None = None
    brand: bytes = b"heic"
    primaries: int = 1
    bits: int = 8


def heic(picture: Image, how: Heic | None = None) -> bytes:
    """Return a HEIC of a picture (h, w, 3), which is stored as it is: nothing is turned."""
    how = how or Heic()
    configuration, coded = _hevc(picture, how.bits)
    exif = struct.pack(">I", 6) + b"Exif\0\0" + how.exif if how.exif else b""
    size = how.declared or (picture.shape[1], picture.shape[0])
    start = len(_file(how, configuration, size, (coded, exif), 0)) - len(coded) - len(exif)
    return _file(how, configuration, size, (coded, exif), start)


def _hevc(picture: Image, bits: int) -> tuple[bytes, bytes]:
    """Return the configuration and the only sample of the picture as HEVC, with little loss."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx265", rate=1)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv420p" if bits == 8 else "yuv420p10le"
        stream.options = {"x265-params": "log-level=none:range=full:bframes=0", "crf": "4"}
        stream.codec_context.color_range = ColorRange.JPEG.value
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame = frame.reformat(
            format=stream.pix_fmt,
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.JPEG,
        )
        frame.pts, frame.time_base = 0, Fraction(1)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    content = file.getvalue()
    at = content.index(b"hvcC") - 4
    configuration = content[at : at + int.from_bytes(content[at : at + 4], "big")]
    file.seek(0)
    with av.open(file, "r") as container:
        (sample,) = (bytes(packet) for packet in container.demux(video=0) if packet.size)
    return configuration, sample


def _file(
    how: Heic,
    configuration: bytes,
    size: tuple[int, int],
    items: tuple[bytes, bytes],
    start: int,
) -> bytes:
    """Return the file; ``start`` is the position of the first item."""
    coded, exif = items
    meta = [
        _full(b"hdlr", bytes(4) + b"pict" + bytes(13)),
        _full(b"pitm", struct.pack(">H", 1)),
        _locations(
            [(1, start, len(coded)), (_EXIF_ITEM, start + len(coded), len(exif))][: 1 + bool(exif)]
        ),
        _names(has_exif=bool(exif)),
    ]
    if exif:
        meta.append(_full(b"iref", _box(b"cdsc", struct.pack(">HHH", _EXIF_ITEM, 1, 1))))
    meta.append(_properties(how, configuration, size))
    head = _box(b"ftyp", how.brand + bytes(4) + b"mif1" + b"heic")
    return head + _full(b"meta", b"".join(meta)) + _box(b"mdat", coded + exif)


def _locations(items: list[tuple[int, int, int]]) -> bytes:
    rows = [struct.pack(">HHHII", number, 0, 1, start, size) for number, start, size in items]
    return _full(b"iloc", struct.pack(">BBH", 0x44, 0, len(items)) + b"".join(rows))


def _names(*, has_exif: bool) -> bytes:
    items = [(1, b"hvc1"), (_EXIF_ITEM, b"Exif")][: 1 + has_exif]
    rows = [
        _full(b"infe", struct.pack(">HH", number, 0) + kind + b"\0", version=2)
        for number, kind in items
    ]
    return _full(b"iinf", struct.pack(">H", len(rows)) + b"".join(rows))


def _properties(how: Heic, configuration: bytes, size: tuple[int, int]) -> bytes:
    """Return the properties of the first item: configuration, size, colours and rotation."""
    colours = b"nclx" + struct.pack(">HHHB", how.primaries, 13, 6, 0x80)
    boxes = [
        configuration,
        _full(b"ispe", struct.pack(">II", *size)),
        _box(b"colr", colours),
        _box(b"irot", bytes([how.turns])),
    ]
    essential = (0x81, 0x02, 0x03, 0x84)
    links = struct.pack(">IHB", 1, 1, len(boxes)) + bytes(essential)
    return _box(b"iprp", _box(b"ipco", b"".join(boxes)) + _full(b"ipma", links))


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + name + content


def _full(name: bytes, content: bytes, version: int = 0) -> bytes:
    return _box(name, bytes([version, 0, 0, 0]) + content)
