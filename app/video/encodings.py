"""Choose the encoder and the pixel format of an output: in software, or on an NVIDIA GPU (NVENC).

Videos are always decoded by the CPU, because the decoder of a GPU conceals damage without reporting
it (docs/decisions/gpu.md).
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import av
from av.codec import Codec
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from app.errors import DeviceError
from app.types import Size
from app.video.pixel_formats import Layout, layout

Encoder = Literal["software", "auto", "nvenc"]
"""The device that encodes: the CPU, a GPU if it can do it, or a GPU only."""
Preset = Literal["veryfast", "faster", "medium"]
"""The time that x264 and x265 take; the other encoders have one preset each."""

_ENCODER_OF_CODEC = {
    "h264": "libx264",
    "hevc": "libx265",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "mpeg4": "mpeg4",
}
_ENCODERS_OF_MUXER: dict[str, tuple[str, ...]] = {
    "mp4": ("libx264", "libx265", "libvpx-vp9", "libsvtav1"),
    "mov": ("libx264", "libx265"),
    "matroska": ("libx264", "libx265", "libvpx-vp9", "libsvtav1"),
    "webm": ("libvpx-vp9", "libsvtav1"),
    # AVI does not store the times of H.264: readers guess them, one frame late.
    "avi": ("mpeg4",),
    "mpegts": ("libx264", "libx265"),
    "flv": ("libx264",),
}
"""Encoders whose output a container can hold, the preferred one first."""
_ODD_SIZE_ENCODERS = frozenset({"libvpx-vp9", "libsvtav1", "mpeg4"})
"""Encoders that can halve the chroma of an odd width or height."""
NVENC = {"libx264": "h264_nvenc", "libx265": "hevc_nvenc", "libsvtav1": "av1_nvenc"}
"""The encoders of a GPU that replace software encoders."""
_CODEC_OF_ENCODER = {encoder: codec for codec, encoder in _ENCODER_OF_CODEC.items()}
_CODEC_OF_ENCODER |= {nvenc: _CODEC_OF_ENCODER[software] for software, nvenc in NVENC.items()}
_NVENC_FORMATS: dict[str, dict[str, str]] = {
    "h264_nvenc": {"yuv420p": "yuv420p"},
    "hevc_nvenc": {"yuv420p": "yuv420p", "yuv420p10le": "p010le"},
    "av1_nvenc": {"yuv420p": "yuv420p", "yuv420p10le": "p010le"},
}
"""Pixel formats that NVENC encodes without loss, and the format that it takes for each."""
_HDR_TRANSFERS = frozenset({16, 18})
"""PQ and HLG (H.273, table 3): NVENC may not write their mastering display and light level."""
_PROGRESSIVE = frozenset({0, 1})
"""Field orders of FFmpeg: unknown, and progressive."""
_MIN_NVENC_SIDE = 160
"""The smallest side in pixels that all generations of the hardware take."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoder and the pixel format of the frames that it is given."""

    encoder: str
    pixel_format: str

    @property
    def codec(self) -> str:
        """The name of the codec: ``h264``, ``hevc``, ``vp9``, ``av1`` or ``mpeg4``."""
        return _CODEC_OF_ENCODER[self.encoder]


def encoders_of(muxer: str) -> tuple[str, ...]:
    """Return the software encoders whose output a container can hold, the preferred one first."""
    return _ENCODERS_OF_MUXER[muxer]


def choose_encoding(codec: str, muxer: str, pixel_format: str, size: Size) -> Encoding:
    """Choose the software encoding that loses least of the source's pixel format.

    The encoder of the source's codec comes first, then those that the container prefers. An encoder
    that would lose depth or chroma gives way to the next one that would not.

    Args:
        codec: the codec of the source.
        muxer: the container of the output.
        pixel_format: a format that ``layout`` knows.
        size: width and height of the coded frames.
    """
    preferred = _ENCODER_OF_CODEC.get(codec)
    order = sorted(encoders_of(muxer), key=lambda encoder: encoder != preferred)
    options = [Encoding(name, _nearest_format(name, pixel_format, size)) for name in order]
    return min(options, key=lambda option: _loss(layout(pixel_format), option.pixel_format)[:2])


def _nearest_format(encoder: str, source: str, size: Size) -> str:
    """Return the pixel format of an encoder that loses least, and of those the smallest."""
    formats = [format_.name for format_ in Codec(encoder, "w").video_formats or ()]
    takes_odd = encoder in _ODD_SIZE_ENCODERS
    opaque = [name for name in formats if not any(p.is_alpha for p in layout(name).planes)]
    usable = [name for name in opaque if takes_odd or _divides(layout(name), size)]
    if source in usable:
        return source
    return min(usable, key=lambda name: _loss(layout(source), name))


def _divides(planes: Layout, size: Size) -> bool:
    """Whether the size is a whole number of chroma samples."""
    return all(side % (1 << shift) == 0 for side, shift in zip(size, planes.shifts, strict=True))


def _loss(source: Layout, name: str) -> tuple[int, int, int, int]:
    """Rate a conversion: lost depth, lost chroma, change of colour model, wasted space."""
    target = layout(name)
    shifts = list(zip(source.shifts, target.shifts, strict=True))
    lost_chroma = sum(max(0, after - before) for before, after in shifts)
    if target.is_gray and not source.is_gray:
        lost_chroma = 4
    spare_chroma = sum(max(0, before - after) for before, after in shifts)
    model = (source.is_rgb != target.is_rgb) + (source.is_gray != target.is_gray)
    range_differs = name.startswith("yuvj") != source.name.startswith("yuvj")
    semi_planar = any(plane.channels > 1 for plane in target.planes)
    alpha = any(plane.is_alpha for plane in target.planes)
    spare_depth = max(0, target.depth - source.depth)
    waste = spare_chroma + spare_depth + 4 * range_differs + 8 * semi_planar + 16 * alpha
    return max(0, source.depth - target.depth), lost_chroma, model, waste


def with_hardware(encoding: Encoding, video: VideoStream, encoder: Encoder) -> Encoding:
    """Return the same encoding on a GPU, if ``encoder`` asks for it.

    With ``auto``, the encoding is returned unchanged if no GPU can do it.

    Raises:
        DeviceError: ``nvenc`` was requested, but no GPU works, or it cannot encode such frames.
    """
    if encoder == "software":
        return encoding
    hardware = _nvenc_encoding(encoding, video)
    if hardware is not None and can_encode(hardware):
        return hardware
    if encoder == "auto":
        return encoding
    what = f"{encoding.codec} of {encoding.pixel_format}, {video.width} x {video.height}"
    raise DeviceError(f"no NVIDIA encoder works here for {what}; use encoder=auto or software")


def _nvenc_encoding(encoding: Encoding, video: VideoStream) -> Encoding | None:
    """Return the same encoding by NVENC, None if that would lose something."""
    name = NVENC.get(encoding.encoder)
    target = _NVENC_FORMATS.get(name or "", {}).get(encoding.pixel_format)
    context = video.codec_context
    interlaced = context.field_order not in _PROGRESSIVE
    if name is None or target is None or interlaced or context.color_trc in _HDR_TRANSFERS:
        return None
    if min(context.width, context.height) < _MIN_NVENC_SIDE:
        return None
    return replace(encoding, encoder=name, pixel_format=target)


def can_encode(encoding: Encoding) -> bool:
    """Whether an encoder can be opened; NVENC needs a GPU with a driver and a free session."""
    context = CodecContext.create(encoding.encoder, "w")
    assert isinstance(context, VideoCodecContext)
    context.width = context.height = 2 * _MIN_NVENC_SIDE
    context.pix_fmt, context.time_base = encoding.pixel_format, Fraction(1, 25)
    try:
        context.open()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def check_encoder(encoder: Encoder) -> None:
    """Check before any work that a GPU can encode, if ``encoder`` is ``nvenc``.

    Raises:
        DeviceError: no GPU can.
    """
    if encoder == "nvenc" and not can_encode(Encoding("h264_nvenc", "yuv420p")):
        raise DeviceError("no NVIDIA encoder works here; use encoder=auto or software")
