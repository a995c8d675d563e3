"""The packets of a film without their pictures: when each is shown, and where one can cut."""

import zlib
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from app.errors import MediaError
from app.types import Size
from app.video.bitstream.keyframes import is_clean, nal_units
from app.video.container import discard_others, frame_rate, main_video, translated
from app.video.header import display_matrix
from app.video.media import Media
from app.video.orientation import Matrix
from app.video.piece_tag import Mark, mark_of
from app.video.streams import codec_name
from app.video.truncation import check_complete

Ticks: TypeAlias = NDArray[np.int64]
"""(n,) times in units of a time base."""
Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Header:
    """What decoders are told before the first packet. Equal headers: one decoder takes both.

    ``size`` is of the coded picture, ``aspect`` 0 where unknown. ``parameters`` are the parameter
    sets of H.264 and H.265 without remarks of the encoder, else a checksum of what is there.
    """

    codec: str
    size: Size
    pixel_format: str
    time_base: Fraction
    aspect: Fraction
    colour: tuple[int, int, int, int]
    matrix: Matrix | None
    parameters: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Packets:
    """The main video of a file in the order of decoding, as parallel arrays (n,).

    ``pts`` in units of ``header.time_base``. ``shown``: not hidden by an edit list, and not before
    the first picture that can be decoded. ``dead``: not shown, and nothing shown refers to it.
    ``clean``: the file can be cut before it. ``rate``: frames per second, on average.
    """

    header: Header
    rate: Fraction
    mark: Mark | None
    pts: Ticks
    shown: Flags
    dead: Flags
    clean: Flags

    @property
    def times(self) -> Ticks:
        """When frames are shown, in order."""
        return np.sort(self.pts[self.shown])


def read_packets(media: Media) -> Packets:
    """Demux all of a file, and decode its first picture.

    Raises:
        MediaError: the file is damaged, its frames have no times, or its coding changes within it.
        UnsupportedMedia: it holds no video.
    """
    check_complete(media)
    with opened(media) as (container, stream):
        first = _first_picture(container, stream, media)
        matrix = display_matrix(first)
    with opened(media) as (container, stream):
        base = Fraction(stream.time_base or 1)
        pts, hidden, keys = _listed(container, stream, media)
        assert first.pts is not None
        early = pts < first.pts
        shown = ~hidden & ~early
        return Packets(
            header=_header(stream, base, matrix),
            rate=frame_rate(stream),
            mark=mark_of(container.metadata),
            pts=pts,
            shown=shown,
            dead=_dead(shown, hidden, early, keys),
            clean=keys & shown & _borders(pts),
        )


@contextmanager
def opened(media: Media) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a container and its main video; other streams are discarded."""
    with media.open_container() as container:
        stream = main_video(container, media)
        discard_others(container, stream)
        yield container, stream


def decode_order_times(pts: Ticks) -> Ticks:
    """Decoding times for packets in the order of decoding: rising, and never after ``pts``.

    They are the presentation times in order, as late as the reordering of pictures demands.

    >>> decode_order_times(np.array([0, 30, 10, 20, 40])).tolist()
    [-10, 0, 10, 20, 30]
    """
    rising = np.sort(pts)
    ranks = np.argsort(np.argsort(pts, kind="stable"), kind="stable")
    late = int(np.max(np.arange(len(pts)) - ranks, initial=0))
    step = int(rising[1] - rising[0]) if len(pts) > 1 else 1
    before = rising[0] - step * np.arange(late, 0, -1, dtype=np.int64)
    return np.concatenate([before, rising[: len(pts) - late]])


def _first_picture(container: InputContainer, stream: VideoStream, media: Media) -> av.VideoFrame:
    with translated(media):
        for picture in container.decode(stream):
            if picture.pts is not None:
                return picture
            break
    raise MediaError(f"{media}: its first frame cannot be shown, or has no time; convert it first")


def _listed(
    container: InputContainer, stream: VideoStream, media: Media
) -> tuple[Ticks, Flags, Flags]:
    """Times of the packets, which an edit list hides, and at which decoding can begin."""
    codec, extradata = codec_name(stream), bytes(stream.codec_context.extradata or b"")
    pts, hidden, keys = array("q"), bytearray(), bytearray()
    with translated(media):
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.pts is None or packet.is_corrupt:
                raise MediaError(f"{media}: a packet has no time, or is damaged; convert it first")
            if len(pts) and packet.has_sidedata("new_extradata"):
                raise MediaError(f"{media}: its coding changes at {packet.pts}; convert it first")
            pts.append(packet.pts)
            hidden.append(packet.is_discard)
            keys.append(packet.is_keyframe and is_clean(codec, bytes(packet), extradata))
    return (
        np.frombuffer(pts, np.int64).copy(),
        np.frombuffer(hidden, np.bool_).copy(),
        np.frombuffer(keys, np.bool_).copy(),
    )


def _borders(pts: Ticks) -> Flags:
    """Packets before which all is shown earlier, and after which all is shown later."""
    before = np.concatenate([[np.iinfo(np.int64).min], np.maximum.accumulate(pts)[:-1]])
    after = np.minimum.accumulate(pts[::-1])[::-1]
    borders: Flags = (before < pts) & (after == pts)
    return borders


def _dead(shown: Flags, hidden: Flags, early: Flags, keys: Flags) -> Flags:
    """What was never decoded at the start, and what comes after all that is shown."""
    last = int(np.flatnonzero(shown)[-1]) if shown.any() else -1
    return (early & ~hidden & ~keys) | (np.arange(len(shown)) > last)


def _header(stream: VideoStream, base: Fraction, matrix: Matrix | None) -> Header:
    context = stream.codec_context
    codec = codec_name(stream)
    colour = (
        *(context.color_primaries, context.color_trc, context.colorspace),
        context.color_range,
    )
    return Header(
        codec=codec,
        size=(context.width, context.height),
        pixel_format=context.pix_fmt or "",
        time_base=base,
        aspect=Fraction(stream.sample_aspect_ratio or 0),
        colour=colour,
        matrix=matrix,
        parameters=parameter_sets(codec, bytes(context.extradata or b"")),
    )


def parameter_sets(codec: str, extradata: bytes) -> tuple[bytes, ...]:
    """The parameter sets of a stream; encoders add remarks, such as their number of threads.

    They are found by their start codes, or in the boxes avcC and hvcC (ISO/IEC 14496-15).
    """
    if codec == "h264":
        units = _of_avcc(extradata) if extradata[:1] == b"\1" else nal_units(extradata, 0)
        return tuple(unit for unit in units if unit and unit[0] & 31 in {7, 8})
    if codec == "hevc":
        units = _of_hvcc(extradata) if extradata[:1] == b"\1" else nal_units(extradata, 0)
        return tuple(unit for unit in units if unit and unit[0] >> 1 & 63 in {32, 33, 34})
    return (zlib.crc32(extradata).to_bytes(4, "big"),) if extradata else ()


def _of_avcc(data: bytes) -> Iterator[bytes]:
    at = 5
    for mask in (31, 255):
        count = data[at] & mask if at < len(data) else 0
        at += 1
        for _ in range(count):
            length = int.from_bytes(data[at : at + 2], "big")
            yield data[at + 2 : at + 2 + length]
            at += 2 + length


def _of_hvcc(data: bytes) -> Iterator[bytes]:
    arrays, at = data[22] if len(data) > 22 else 0, 23
    for _ in range(arrays):
        count = int.from_bytes(data[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            length = int.from_bytes(data[at : at + 2], "big")
            yield data[at + 2 : at + 2 + length]
            at += 2 + length
