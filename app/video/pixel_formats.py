"""Pixel formats: the planes of a frame, and the planar formats that others are converted to."""

import functools
from dataclasses import dataclass

from av.video.format import VideoFormat, VideoFormatComponent

FULL_RANGE = 2
"""``AVCOL_RANGE_JPEG``."""

_HIGH_BITS = frozenset({"p0", "p2", "p4"})
"""Prefixes of P010 and similar formats, which use the upper bits of 16."""
_SAMPLE_SIDE = 64
"""Side of the frame from which the subsampling of planes is derived."""


@dataclass(frozen=True, slots=True)
class PlaneLayout:
    """One plane of a pixel format.

    Attributes:
        index: the number of the plane.
        channels: samples that lie side by side.
        itemsize: bytes of a sample.
        shift_x: subsampling, as a power of 2; so is ``shift_y``.
        blacks: black in limited and in full range, one value for each channel.
        is_alpha: whether it is transparency.
    """

    index: int
    channels: int
    itemsize: int
    shift_x: int
    shift_y: int
    blacks: tuple[tuple[int, ...], tuple[int, ...]]
    is_alpha: bool

    def black(self, *, full: bool) -> tuple[int, ...]:
        """Return black, one value for each channel."""
        return self.blacks[full]


@dataclass(frozen=True, slots=True)
class Layout:
    """The planes of a pixel format, and the bits of a sample (``depth``)."""

    name: str
    planes: tuple[PlaneLayout, ...]
    is_rgb: bool
    is_gray: bool
    depth: int

    @property
    def shifts(self) -> tuple[int, int]:
        """The largest subsampling of a plane, (x, y), as powers of 2."""
        return max(p.shift_x for p in self.planes), max(p.shift_y for p in self.planes)

    @property
    def step(self) -> int:
        """The difference of two luma or gray samples that is one step of 8 bits."""
        uses_high_bits = self.name[:2] in _HIGH_BITS and self.depth > 8
        return 1 << ((16 if uses_high_bits else self.depth) - 8)

    def is_full_range(self, color_range: int) -> bool:
        """Whether black is 0: in RGB, ``yuvj``, full range by its tag, and gray without a tag."""
        if self.is_rgb or self.name.startswith("yuvj") or color_range == FULL_RANGE:
            return True
        return self.is_gray and color_range == 0


_PLANAR = {
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "yvyu422": "yuv422p",
    "uyyvyy411": "yuv411p",
    "yuvj411p": "yuv411p",
    "nv21": "yuv420p",
    "nv42": "yuv444p",
    "nv20le": "yuv422p10le",
    "nv20be": "yuv422p10le",
    "y210le": "yuv422p10le",
    "y210be": "yuv422p10le",
    "y212le": "yuv422p12le",
    "y216le": "yuv422p16le",
    "xv30le": "yuv444p10le",
    "xv36le": "yuv444p12le",
    "xv48le": "yuv444p16le",
    "v30xle": "yuv444p10le",
    "vyu444": "yuv444p",
    "ayuv": "yuva444p",
    "vuya": "yuva444p",
    "uyva": "yuva444p",
    "vuyx": "yuv444p",
    "ayuv64le": "yuva444p16le",
    "ayuv64be": "yuva444p16le",
    "monow": "gray",
    "monob": "gray",
    "ya8": "gray",
    "ya16le": "gray16le",
    "ya16be": "gray16le",
    "pal8": "gbrap",
    "rgba": "gbrap",
    "bgra": "gbrap",
    "argb": "gbrap",
    "abgr": "gbrap",
    "rgba64le": "gbrap16le",
    "rgba64be": "gbrap16le",
    "bgra64le": "gbrap16le",
    "bgra64be": "gbrap16le",
    "rgb48le": "gbrp16le",
    "rgb48be": "gbrp16le",
    "bgr48le": "gbrp16le",
    "bgr48be": "gbrp16le",
    "x2rgb10le": "gbrp10le",
    "x2bgr10le": "gbrp10le",
    "xyz12le": "gbrp16le",
    "xyz12be": "gbrp16le",
    "gbrpf32le": "gbrp16le",
    "gbrpf32be": "gbrp16le",
    "gbrapf32le": "gbrap16le",
    "gbrapf32be": "gbrap16le",
    "grayf32le": "gray16le",
    "grayf32be": "gray16le",
}
"""The nearest planar format, without loss of depth, of formats that are not planar."""


def planar_format(name: str) -> str | None:
    """Return the planar format that frames of the format ``name`` are converted to, None if none.

    >>> planar_format("yuv420p10le"), planar_format("yuyv422"), planar_format("bgr24")
    ('yuv420p10le', 'yuv422p', 'gbrp')
    """
    if name in _PLANAR:
        return _PLANAR[name]
    if name.endswith("be"):
        return planar_format(name[:-2] + "le")
    format_ = VideoFormat(name)
    if format_.has_palette or format_.is_bit_stream or format_.is_bayer:
        return None
    if format_.is_planar or name == "rgb24" or name.startswith("gray"):
        return name
    if not format_.is_rgb:
        return None
    alpha = any(part.is_alpha for part in format_.components)
    deep = max(part.bits for part in format_.components) > 8
    return ("gbrap" if alpha else "gbrp") + ("16le" if deep else "")


def full_chroma(name: str) -> str:
    """Return the format of the same depth with one chroma sample for each pixel.

    >>> full_chroma("yuv420p10le"), full_chroma("nv12"), full_chroma("yuvj422p")
    ('yuv444p10le', 'yuv444p', 'yuvj444p')
    """
    for sampled in ("420p", "422p", "440p", "411p", "410p"):
        if sampled in name:
            return name.replace(sampled, "444p")
    depths = {"p0": 10, "p2": 10}
    if name[:2] in depths:
        bits = int(name[2:4])
        return f"yuv444p{bits}le"
    return "yuv444p"


@functools.cache
def layout(name: str) -> Layout:
    """Return the planes of a planar, semi-planar or ``rgb24`` format; results are cached."""
    format_ = VideoFormat(name, _SAMPLE_SIDE, _SAMPLE_SIDE)
    components = format_.components
    depth = max(part.bits for part in components)
    is_gray = len(components) == 1 or name.startswith("gray")
    count = max(part.plane for part in components) + 1
    planes = tuple(_plane(format_, index) for index in range(count))
    return Layout(name, planes, format_.is_rgb, is_gray, depth)


def _plane(format_: VideoFormat, index: int) -> PlaneLayout:
    parts = [part for part in format_.components if part.plane == index]
    first = parts[0]
    itemsize = 1 if first.bits <= 8 else 2
    limited, full = zip(*(_black(format_, part) for part in parts), strict=True)
    return PlaneLayout(
        index=index,
        channels=len(parts),
        itemsize=itemsize,
        shift_x=(_SAMPLE_SIDE // first.width).bit_length() - 1,
        shift_y=(_SAMPLE_SIDE // first.height).bit_length() - 1,
        blacks=(limited, full),
        is_alpha=first.is_alpha,
    )


def _black(format_: VideoFormat, part: VideoFormatComponent) -> tuple[int, int]:
    """Return black in limited and in full range (BT.601, H.273: 16 and 128 of 8 bits, shifted)."""
    padded = 16 - part.bits if format_.name[:2] in _HIGH_BITS and part.bits > 8 else 0
    scale = part.bits - 8 + padded
    # The scaler treats gray as full range, whatever its tag, and so does every conversion to RGB.
    if format_.is_rgb or part.is_alpha or len(format_.components) == 1:
        return 0, 0
    return (16 << scale, 0) if part.is_luma else (128 << scale, 128 << scale)
