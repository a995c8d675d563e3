"""Set up the encoder of an output, and convert frames to its pixel format.

Quality 1 to 100 is mapped to the constant rate factor (CRF) of each encoder; 90 is visually
lossless. With every preset of x264 it means the same PSNR and SSIM, so faster presets have lower
factors and larger files (docs/decisions/encoding.md).
"""

import math
import os
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from app.process import run_at_ordinary_priority
from app.video.encodings import NVENC, Encoding, Preset
from app.video.pixel_formats import FULL_RANGE, layout
from app.video.sidedata import ContentLight, Mastering, Point, content_light, mastering

_QUALITIES = (1, 50, 90, 100)
_X264_CRF: dict[Preset, tuple[int, int, int, int]] = {
    "veryfast": (38, 26, 15, 9),
    "faster": (42, 28, 17, 10),
    "medium": (42, 28, 18, 11),
}
_CRF: dict[str, tuple[int, int, int, int]] = {
    "libx265": (42, 29, 17, 10),
    "libvpx-vp9": (60, 38, 20, 8),
    "libsvtav1": (60, 38, 18, 8),
    "mpeg4": (31, 10, 2, 1),
    "h264_nvenc": (45, 31, 19, 12),
    "hevc_nvenc": (45, 31, 19, 12),
    "av1_nvenc": (51, 34, 20, 10),
}
"""Constant rate factors (of MPEG-4: quantisers) at each of ``_QUALITIES``; linear in between.
At one factor, the presets of x265 have the same quality; those of x264 do not."""
_HAVE_PRESETS = frozenset({"libx264", "libx265"})
_NVENC = {"preset": "p5", "tune": "hq", "rc": "vbr", "b": "0"}
_OPTIONS: dict[str, dict[str, str]] = {
    "libvpx-vp9": {"deadline": "good", "cpu-used": "5", "row-mt": "1"},
    "libsvtav1": {"preset": "8"},
    "mpeg4": {"flags": "+qscale", "bf": "0"},
    "h264_nvenc": _NVENC,
    "hevc_nvenc": _NVENC,
    "av1_nvenc": _NVENC,
}
_LAMBDA = 118
"""``FF_QP2LAMBDA``: one step of a quantiser in units of ``global_quality``."""
_PARAMS = {"libx264": "x264-params", "libx265": "x265-params", "libsvtav1": "svtav1-params"}
"""The option in which each encoder takes options of its own."""
_HDR_KEYS = {
    "libx264": ("mastering-display", "cll"),
    "libx265": ("master-display", "max-cll"),
    "libsvtav1": ("mastering-display", "content-light"),
}
_MAX_GOP_SECONDS, _MAX_GOP_FRAMES = 10, 250
_MIN_GOP_FRAMES = 12
"""Frames of a GOP whose seconds are given: in slide shows, two seconds may be one frame."""
_LIMITED_ONLY = frozenset({"mpeg4"})
"""Encoders that do not write the range: every player takes their frames for limited range."""
_BT709, _LIMITED_RANGE = 1, 1
"""Colour matrix (H.273) and range that RGB is converted to."""


def add_encoder(
    output: OutputContainer,
    video: VideoStream,
    picture: av.VideoFrame,
    encoding: Encoding,
    *,
    rate: Fraction,
    quality: int,
    preset: Preset,
    threads: int,
    gop_frames: int | None = None,
) -> VideoStream:
    """Add an encoded video stream to ``output``.

    Args:
        output: the container.
        video: the video stream of the source.
        picture: the first frame; it defines size, colour, light and interlacing.
        encoding: the encoder and its pixel format.
        rate: frames per second.
        quality: 1 to 100.
        preset: the time that the encoder takes, if it is x264 or x265.
        threads: the number of threads of the encoder.
        gop_frames: the largest number of frames in a GOP (default: those of ten seconds, or 250).
    """
    _silence(encoding.encoder)
    options = encoder_options(encoding.encoder, quality, picture, preset)
    stream = output.add_stream(encoding.encoder, rate, options)
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.width, context.height = picture.width, picture.height
    context.pix_fmt = encoding.pixel_format
    context.time_base = Fraction(video.time_base or 1)
    stream.time_base = Fraction(video.time_base or 1)
    context.sample_aspect_ratio = video.sample_aspect_ratio or Fraction(0, 1)
    context.gop_size = gop_frames or max(1, _frames_of(rate, _MAX_GOP_SECONDS))
    context.thread_count = threads
    _tag_colour(stream, picture, encoding)
    if picture.interlaced_frame:
        context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        context.field_order = video.codec_context.field_order
    if encoding.encoder == "libsvtav1":
        context.open()  # starts its threads
        run_at_ordinary_priority()
    return stream


def gop_frames(rate: Fraction, seconds: int) -> int:
    """Return the largest number of frames in a GOP that lasts at most some seconds.

    >>> gop_frames(Fraction(25), 2), gop_frames(Fraction(1), 2), gop_frames(Fraction(240), 2)
    (50, 12, 250)
    """
    return max(_MIN_GOP_FRAMES, _frames_of(rate, seconds))


def _frames_of(rate: Fraction, seconds: int) -> int:
    return min(_MAX_GOP_FRAMES, math.floor(rate * seconds))


def _tag_colour(stream: VideoStream, picture: av.VideoFrame, encoding: Encoding) -> None:
    context, source = stream.codec_context, layout(picture.format.name)
    is_full = source.is_full_range(picture.color_range)
    context.color_primaries = picture.color_primaries
    context.color_trc = picture.color_trc
    becomes_yuv = source.is_rgb and not layout(encoding.pixel_format).is_rgb
    context.colorspace = _BT709 if becomes_yuv else picture.colorspace
    if is_full and encoding.encoder in _LIMITED_ONLY:
        context.color_range = _LIMITED_RANGE
    elif is_full and not source.is_rgb:
        context.color_range = FULL_RANGE
    else:
        context.color_range = _LIMITED_RANGE if becomes_yuv else picture.color_range


class FrameConverter:
    """Converts the frames of one source to the pixel format and range of an encoding."""

    def __init__(self, encoding: Encoding) -> None:
        self._target = encoding.pixel_format
        self._keeps_range = encoding.encoder not in _LIMITED_ONLY
        self._reformatter = VideoReformatter()

    def convert(self, picture: av.VideoFrame, pts: int) -> av.VideoFrame:
        """Return the frame to encode, which is ``picture`` itself in nearly all cases."""
        target, duration = self._target, picture.duration
        source = layout(picture.format.name)
        full = source.is_full_range(picture.color_range)
        if picture.format.name != target or (full and not self._keeps_range):
            to_yuv = source.is_rgb and not layout(target).is_rgb
            stays_full = full and not to_yuv and self._keeps_range
            picture = self._reformatter.reformat(
                picture,
                format=target,
                src_color_range=FULL_RANGE if full else _LIMITED_RANGE,
                dst_color_range=FULL_RANGE if stays_full else _LIMITED_RANGE,
                dst_colorspace=_BT709 if to_yuv else None,
                threads=1,
            )
        picture.pts, picture.duration = pts, duration
        # The encoder would take the frame type that the decoder has set for an instruction.
        picture.pict_type = 0
        return picture


def rate_factor(encoder: str, quality: int, preset: Preset) -> int:
    """Return the constant rate factor (of MPEG-4: quantiser) for a quality of 1 to 100.

    >>> rate_factor("libx264", 90, "veryfast"), rate_factor("libx264", 90, "faster")
    (15, 17)

    Raises:
        ValueError: ``quality`` is out of range.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1..100, got {quality}")
    factors = _X264_CRF[preset] if encoder == "libx264" else _CRF[encoder]
    return round(float(np.interp(quality, _QUALITIES, factors)))


def encoder_options(
    encoder: str, quality: int, picture: av.VideoFrame, preset: Preset = "veryfast"
) -> dict[str, str]:
    """Return the options of an encoder, with the HDR facts of the first frame if it takes them."""
    own = {"preset": preset} if encoder in _HAVE_PRESETS else _OPTIONS[encoder]
    options = {**own, **_quality_option(encoder, rate_factor(encoder, quality, preset))}
    if encoder in _PARAMS:
        params = _hdr_params(encoder, mastering(picture), content_light(picture))
        if encoder == "libx265":
            # x265 writes to standard error, whatever the log level of the library.
            params.insert(0, "log-level=error")
        if params:
            options[_PARAMS[encoder]] = ":".join(params)
    return options


def _quality_option(encoder: str, factor: int) -> dict[str, str]:
    if encoder == "mpeg4":
        return {"global_quality": str(factor * _LAMBDA)}
    return {"cq" if encoder in NVENC.values() else "crf": str(factor)}


def _silence(encoder: str) -> None:
    """Stop SVT-AV1 from writing to standard error: it reads its log level from this variable only.

    A value that the user has set is kept.
    """
    if encoder == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")


def _hdr_params(encoder: str, display: Mastering | None, light: ContentLight | None) -> list[str]:
    display_key, light_key = _HDR_KEYS[encoder]
    params = []
    if display is not None:
        text = _in_decimals(display) if encoder == "libsvtav1" else _in_integers(display)
        params.append(f"{display_key}={text}")
    if light is not None:
        params.append(f"{light_key}={light.maximum},{light.average}")
    return params


def _in_integers(display: Mastering) -> str:
    """Format in units of 0.00002 and 0.0001 cd/m2 (ITU-T H.265, D.2.28)."""
    return _format(display, lambda x: str(round(x * 50000)), lambda x: str(round(x * 10000)))


def _in_decimals(display: Mastering) -> str:
    return _format(display, lambda x: f"{float(x):.5f}", lambda x: f"{float(x):.4f}")


def _format(
    display: Mastering,
    coordinate: Callable[[Fraction], str],
    luminance: Callable[[Fraction], str],
) -> str:
    def point(name: str, at: Point) -> str:
        return f"{name}({coordinate(at[0])},{coordinate(at[1])})"

    return (
        point("G", display.green)
        + point("B", display.blue)
        + point("R", display.red)
        + point("WP", display.white)
        + f"L({luminance(display.brightest)},{luminance(display.darkest)})"
    )
