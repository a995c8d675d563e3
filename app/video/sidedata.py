"""The side data of frames: rotation, HDR facts and quantisers, as numbers."""

import struct
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.sidedata.encparams import VideoEncParams, VideoEncParamsType
from av.sidedata.sidedata import SideData
from numpy.typing import NDArray

from app.video.orientation import Matrix

Point = tuple[Fraction, Fraction]
"""Chromaticity coordinates (CIE 1931), x and y."""
_MASTERING_NUMBERS, _MASTERING_BYTES = 20, 88


def _side_data(picture: av.VideoFrame, name: str) -> bytes | None:
    """Return the side data of a type (``av.sidedata.sidedata.Type``), None if it is missing."""
    data = picture.side_data.get(name)
    return bytes(data) if isinstance(data, SideData) else None


def display_matrix(picture: av.VideoFrame) -> Matrix | None:
    """Return the nine numbers of the display matrix of a frame, None if it has none."""
    data = _side_data(picture, "DISPLAYMATRIX")
    return struct.unpack("=9i", data) if data else None


@dataclass(frozen=True, slots=True)
class Mastering:
    """The display on which a video was mastered (SMPTE ST 2086).

    Chromaticities of the primaries and of white, and luminance in cd/m2.
    """

    red: Point
    green: Point
    blue: Point
    white: Point
    darkest: Fraction
    brightest: Fraction


@dataclass(frozen=True, slots=True)
class ContentLight:
    """Maximum and maximum frame-average light level in cd/m2 (CTA 861.3)."""

    maximum: int
    average: int


def mastering(picture: av.VideoFrame) -> Mastering | None:
    """Return the mastering display of a frame, None if it is unknown or incomplete.

    The record of the library consists of 20 integers (numerator and denominator of each number,
    primaries in the order red, green, blue) and two flags.
    """
    data = _side_data(picture, "MASTERING_DISPLAY_METADATA")
    if data is None or len(data) < _MASTERING_BYTES:
        return None
    *numbers, has_primaries, has_luminance = struct.unpack("=22i", data[:_MASTERING_BYTES])
    if not (has_primaries and has_luminance) or 0 in numbers[1::2]:
        return None
    values = [Fraction(*numbers[i : i + 2]) for i in range(0, _MASTERING_NUMBERS, 2)]
    red, green, blue, white = ((values[i], values[i + 1]) for i in range(0, 8, 2))
    return Mastering(red, green, blue, white, darkest=values[8], brightest=values[9])


def content_light(picture: av.VideoFrame) -> ContentLight | None:
    """Return the content light level of a frame, None if it is unknown."""
    data = _side_data(picture, "CONTENT_LIGHT_LEVEL")
    return None if data is None else ContentLight(*struct.unpack("=2I", data[:8]))


def quantisers(picture: av.VideoFrame) -> NDArray[np.int32] | None:
    """Return the quantiser of each macroblock (rows, columns) of an H.264 frame.

    The result is None for other codecs, and if the decoder does not export quantisers.
    """
    found = picture.side_data.get("VIDEO_ENC_PARAMS")
    if not isinstance(found, VideoEncParams) or found.codec_type != VideoEncParamsType.H264:
        return None
    return np.asarray(found.qp_map(), np.int32)
