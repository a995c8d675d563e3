"""Encoders of NVIDIA GPUs (NVENC), where there is one that works.

Films are still decoded by the CPU: a GPU's decoder conceals damage without saying so
(docs/decisions/gpu.md).
"""

from dataclasses import replace
from fractions import Fraction
from typing import Literal

import av
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from app.errors import DeviceError
from app.video.codecs import NVENC, Encoding

Encoder = Literal["software", "auto", "nvenc"]
_FORMATS: dict[str, dict[str, str]] = {
    "h264_nvenc": {"yuv420p": "yuv420p"},
    "hevc_nvenc": {"yuv420p": "yuv420p", "yuv420p10le": "p010le"},
    "av1_nvenc": {"yuv420p": "yuv420p", "yuv420p10le": "p010le"},
}
"""Pixel formats that are encoded without a loss, and what the encoder is given for each."""
_HDR = frozenset({16, 18})
"""Transfers of PQ and HLG (H.273, table 3), whose facts of light the encoder may not tell."""
_PROGRESSIVE = frozenset({0, 1})
"""Field orders of FFmpeg: not known, and progressive."""
_LEAST = 160
"""Smallest side that all generations of the hardware take."""


def with_hardware(encoding: Encoding, video: VideoStream, wanted: Encoder) -> Encoding:
    """The encoding by a GPU instead, if it is ``wanted``.

    With ``auto`` the encoding stays as it is where a GPU cannot do it.

    Raises:
        DeviceError: ``nvenc`` is wanted, and no GPU works, or it cannot encode such pictures.
    """
    if wanted == "software":
        return encoding
    found = _translated(encoding, video)
    if found is not None and works(found):
        return found
    if wanted == "auto":
        return encoding
    what = f"{encoding.codec} of {encoding.pixel_format}, {video.width} x {video.height}"
    raise DeviceError(f"no NVIDIA encoder works here for {what}; use encoder=auto or software")


def _translated(encoding: Encoding, video: VideoStream) -> Encoding | None:
    """The same encoding by NVENC, where that loses nothing."""
    name = NVENC.get(encoding.encoder)
    target = _FORMATS.get(name or "", {}).get(encoding.pixel_format)
    context = video.codec_context
    interlaced = context.field_order not in _PROGRESSIVE
    if name is None or target is None or interlaced or context.color_trc in _HDR:
        return None
    if min(context.width, context.height) < _LEAST:
        return None
    return replace(encoding, encoder=name, pixel_format=target)


def works(encoding: Encoding) -> bool:
    """Whether an encoder can be opened: there is a GPU with a driver and a free session."""
    context = CodecContext.create(encoding.encoder, "w")
    assert isinstance(context, VideoCodecContext)
    context.width = context.height = 2 * _LEAST
    context.pix_fmt, context.time_base = encoding.pixel_format, Fraction(1, 25)
    try:
        context.open()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def require(wanted: Encoder) -> None:
    """Refuse ``nvenc`` before any work where no GPU encodes.

    Raises:
        DeviceError: there is none.
    """
    if wanted == "nvenc" and not works(Encoding("h264_nvenc", "yuv420p")):
        raise DeviceError("no NVIDIA encoder works here; use encoder=auto or software")
