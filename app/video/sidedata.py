"""Facts that travel with a frame: side data of the media library, as bytes and numbers."""

import struct
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.sidedata.encparams import VideoEncParams, VideoEncParamsType
from av.sidedata.sidedata import SideData
from numpy.typing import NDArray

Point = tuple[Fraction, Fraction]


def side_data(picture: av.VideoFrame, name: str) -> bytes | None:
    """Side data of one type (``av.sidedata.sidedata.Type``) of a frame, None when it has none."""
    found = picture.side_data.get(name)
    return bytes(found) if isinstance(found, SideData) else None


@dataclass(frozen=True, slots=True)
class Mastering:
    """SMPTE ST 2086: chromaticities of the primaries and of white, luminance in cd/m2."""

    red: Point
    green: Point
    blue: Point
    white: Point
    darkest: Fraction
    brightest: Fraction


@dataclass(frozen=True, slots=True)
class ContentLight:
    """CTA 861.3: maximum and maximum frame-average light level in cd/m2."""

    maximum: int
    average: int


def mastering(picture: av.VideoFrame) -> Mastering | None:
    """Mastering display of a frame; None when unknown or incomplete.

    The library's record is 20 integers (numerator and denominator of each number, primaries in
    the order red, green, blue) and two flags.
    """
    data = side_data(picture, "MASTERING_DISPLAY_METADATA")
    if data is None or len(data) < 88:
        return None
    numbers = struct.unpack("=22i", data[:88])
    if not (numbers[20] and numbers[21]) or 0 in numbers[1:20:2]:
        return None
    values = [Fraction(*numbers[i : i + 2]) for i in range(0, 20, 2)]
    red, green, blue, white = ((values[i], values[i + 1]) for i in range(0, 8, 2))
    return Mastering(red, green, blue, white, darkest=values[8], brightest=values[9])


def content_light(picture: av.VideoFrame) -> ContentLight | None:
    """Content light level of a frame, None when unknown."""
    data = side_data(picture, "CONTENT_LIGHT_LEVEL")
    return None if data is None else ContentLight(*struct.unpack("=2I", data[:8]))


def quantisers(picture: av.VideoFrame) -> NDArray[np.int32] | None:
    """The quantiser of each macroblock (rows, columns) of an H.264 frame.

    None for other codecs, and where the decoder was not told to export them.
    """
    found = picture.side_data.get("VIDEO_ENC_PARAMS")
    if not isinstance(found, VideoEncParams) or found.codec_type != VideoEncParamsType.H264:
        return None
    return np.asarray(found.qp_map(), np.int32)
