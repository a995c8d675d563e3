"""Which encoder writes a film again, and with what settings.

Quality 1..100 is mapped to each encoder's constant rate factor by ``_CRF``; 90 is visually
lossless (x264 CRF 17). Presets were chosen by CPU time at equal size and PSNR: x264 ``faster``
needs 63 % of the time of ``medium`` for 0.1 dB less at the same size.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.codec import Codec

from app.video.pixel_formats import Layout, layout
from app.video.sidedata import ContentLight, Mastering, Point, content_light, mastering

_QUALITIES = (1, 50, 90, 100)
_CRF: dict[str, tuple[int, int, int, int]] = {
    "libx264": (42, 28, 17, 10),
    "libx265": (42, 29, 17, 10),
    "libvpx-vp9": (60, 38, 20, 8),
    "libsvtav1": (60, 38, 18, 8),
    "mpeg4": (31, 10, 2, 1),
    "h264_nvenc": (45, 31, 19, 12),
    "hevc_nvenc": (45, 31, 19, 12),
    "av1_nvenc": (51, 34, 20, 10),
}
_NVENC = {"preset": "p5", "tune": "hq", "rc": "vbr", "b": "0"}
_OPTIONS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "faster"},
    "libx265": {"preset": "faster"},
    "libvpx-vp9": {"deadline": "good", "cpu-used": "5", "row-mt": "1"},
    "libsvtav1": {"preset": "8"},
    "mpeg4": {"flags": "+qscale", "bf": "0"},
    "h264_nvenc": _NVENC,
    "hevc_nvenc": _NVENC,
    "av1_nvenc": _NVENC,
}
_LAMBDA = 118
"""``FF_QP2LAMBDA``: what one step of a quantiser is in ``global_quality``."""
_PARAMS = {"libx264": "x264-params", "libx265": "x265-params", "libsvtav1": "svtav1-params"}
_OF_CODEC = {
    "h264": "libx264",
    "hevc": "libx265",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "mpeg4": "mpeg4",
}
_OF_MUXER: dict[str, tuple[str, ...]] = {
    "mp4": ("libx264", "libx265", "libvpx-vp9", "libsvtav1"),
    "mov": ("libx264", "libx265"),
    "matroska": ("libx264", "libx265", "libvpx-vp9", "libsvtav1"),
    "webm": ("libvpx-vp9", "libsvtav1"),
    # Times of H.264 are not told in AVI: readers guess them, one frame late.
    "avi": ("mpeg4",),
    "mpegts": ("libx264", "libx265"),
    "flv": ("libx264",),
}
"""Encoders whose output a container holds, the preferred one first."""
_ODD_SIDES = frozenset({"libvpx-vp9", "libsvtav1", "mpeg4"})
"""Encoders that halve the chroma of an odd width or height."""
NVENC = {"libx264": "h264_nvenc", "libx265": "hevc_nvenc", "libsvtav1": "av1_nvenc"}
"""Encoders of a GPU in the place of others."""
CODEC_NAMES = {encoder: codec for codec, encoder in _OF_CODEC.items()}
CODEC_NAMES |= {NVENC[encoder]: CODEC_NAMES[encoder] for encoder in NVENC}


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoder and the pixel format it is given."""

    encoder: str
    pixel_format: str

    @property
    def codec(self) -> str:
        """Name of the coded format: ``h264``, ``hevc``, ``vp9``, ``av1``."""
        return CODEC_NAMES[self.encoder]


def choose(codec: str, muxer: str, pixel_format: str, size: tuple[int, int]) -> Encoding:
    """The encoding that follows the source's ``codec`` and loses least of its pixel format.

    The encoder of the same codec comes first, then those that the container prefers; one that
    would lose depth or chroma gives way to the next that does not.
    """
    allowed = _OF_MUXER[muxer]
    same = _OF_CODEC.get(codec)
    order = sorted(allowed, key=lambda encoder: encoder != same)
    options = [Encoding(encoder, _nearest(encoder, pixel_format, size)) for encoder in order]
    return min(options, key=lambda option: _loss(layout(pixel_format), option.pixel_format)[:2])


def _nearest(encoder: str, wanted: str, size: tuple[int, int]) -> str:
    """The pixel format of an encoder that loses least, and of those the smallest."""
    formats = [f.name for f in Codec(encoder, "w").video_formats or ()]
    usable = [name for name in formats if encoder in _ODD_SIDES or _divides(layout(name), size)]
    if wanted in usable:
        return wanted
    return min(usable, key=lambda name: _loss(layout(wanted), name))


def _divides(kind: Layout, size: tuple[int, int]) -> bool:
    return all(side % (1 << shift) == 0 for side, shift in zip(size, kind.shifts, strict=True))


def _loss(wanted: Layout, name: str) -> tuple[int, int, int, int]:
    """What is lost, weightiest first: depth, chroma, the colour model; then what is wasted."""
    given = layout(name)
    lost = sum(max(0, b - a) for a, b in zip(wanted.shifts, given.shifts, strict=True))
    if given.is_gray and not wanted.is_gray:
        lost = 4
    spare = sum(max(0, a - b) for a, b in zip(wanted.shifts, given.shifts, strict=True))
    model = (wanted.is_rgb != given.is_rgb) + (wanted.is_gray != given.is_gray)
    is_j = name.startswith("yuvj") != wanted.name.startswith("yuvj")
    semi = any(plane.channels > 1 for plane in given.planes)
    alpha = any(plane.is_alpha for plane in given.planes)
    waste = spare + max(0, given.depth - wanted.depth) + 4 * is_j + 8 * semi + 16 * alpha
    return max(0, wanted.depth - given.depth), lost, model, waste


def crf(encoder: str, quality: int) -> int:
    """Constant rate factor (of MPEG-4: quantiser) for a quality of 1..100.

    >>> crf("libx264", 90), crf("libsvtav1", 1)
    (17, 60)

    Raises:
        ValueError: ``quality`` is out of range.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1..100, got {quality}")
    return round(float(np.interp(quality, _QUALITIES, _CRF[encoder])))


def options(encoder: str, quality: int, picture: av.VideoFrame) -> dict[str, str]:
    """Options of an encoder, with the HDR facts of the first picture where it takes them."""
    factor = crf(encoder, quality)
    chosen = {**_OPTIONS[encoder], **_rate(encoder, factor)}
    params = [*_quiet(encoder), *_hdr(encoder, mastering(picture), content_light(picture))]
    if params:
        chosen[_PARAMS[encoder]] = ":".join(params)
    return chosen


def _rate(encoder: str, factor: int) -> dict[str, str]:
    """The option that asks for constant quality."""
    if encoder == "mpeg4":
        return {"global_quality": str(factor * _LAMBDA)}
    return {"cq" if encoder in NVENC.values() else "crf": str(factor)}


def _quiet(encoder: str) -> Sequence[str]:
    """x265 writes to standard error whatever the caller's level of logging."""
    return ("log-level=error",) if encoder == "libx265" else ()


def silence(encoder: str) -> None:
    """SVT-AV1 writes to standard error too, and listens to nothing but this variable.

    Whoever has set it wants to see more.
    """
    if encoder == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")


def _hdr(encoder: str, display: Mastering | None, light: ContentLight | None) -> Sequence[str]:
    if encoder not in _PARAMS:
        return ()
    names = {
        "libx264": ("mastering-display", "cll"),
        "libx265": ("master-display", "max-cll"),
        "libsvtav1": ("mastering-display", "content-light"),
    }[encoder]
    found = []
    if display is not None:
        text = _decimals(display) if encoder == "libsvtav1" else _integers(display)
        found.append(f"{names[0]}={text}")
    if light is not None:
        found.append(f"{names[1]}={light.maximum},{light.average}")
    return found


def _integers(display: Mastering) -> str:
    """In units of 0.00002 and 0.0001 cd/m2 (H.265 D.2.28)."""
    return _display(display, lambda x: str(round(x * 50000)), lambda x: str(round(x * 10000)))


def _decimals(display: Mastering) -> str:
    return _display(display, lambda x: f"{float(x):.5f}", lambda x: f"{float(x):.4f}")


def _display(
    display: Mastering,
    place: Callable[[Fraction], str],
    light: Callable[[Fraction], str],
) -> str:
    def point(name: str, at: Point) -> str:
        return f"{name}({place(at[0])},{place(at[1])})"

    return (
        point("G", display.green)
        + point("B", display.blue)
        + point("R", display.red)
        + point("WP", display.white)
        + f"L({light(display.brightest)},{light(display.darkest)})"
    )
