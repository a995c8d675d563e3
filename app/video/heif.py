"""Read HEIC images, and what Pillow does not tell about AVIF images.

Both are HEIF (ISO/IEC 23008-12). Pillow reads and writes AVIF; it does not know HEIC, so libheif
does: it applies the rotation of the file, which is the valid one, whatever EXIF says.
"""

from dataclasses import dataclass
from typing import Any, BinaryIO

from PIL import Image as Pillow

from app.types import Size

HEAD_BYTES = 4096
"""The beginning of a file that holds the descriptions of its images."""
_SEQUENCES = frozenset({b"hevc", b"hevx", b"msf1"})
"""Major brands of sequences of images."""
_PLAIN_PRIMARIES = frozenset({1, 2, 5, 6})
"""Colour primaries (ISO/IEC 23091-2) that are shown like sRGB: BT.709, unknown, and BT.601."""
_WIDE_TRANSFERS = frozenset({16, 18})
"""Transfer characteristics of high dynamic range: PQ and HLG."""
_AV1_FLAGS = 6
"""Byte with the flags of depth, from the name of the box ``av1C`` on."""
_HIGH_BITDEPTH = 0x40


@dataclass(frozen=True, slots=True)
class HeicImage:
    """The main image of a HEIC file, upright; its pixels are decoded by ``decode``.

    Attributes:
        size: width and height.
        images: number of images in the file, without thumbnails and depth maps.
        is_sequence: whether the file is a sequence of images.
        lost_depth: whether it has more than 8 bits, which are reduced to 8.
        lost_colours: whether its colours are described by numbers that are not those of sRGB.
    """

    size: Size
    images: int
    is_sequence: bool
    lost_depth: bool
    lost_colours: bool
    _file: Any

    def decode(self) -> Pillow.Image:
        """Decode the pixels: 8 bits, or 16 bits if they are gray.

        Raises:
            Exception: the library's, see ``app.video.image_codec``.
        """
        image: Pillow.Image = self._file.to_pillow()
        return image


def open_heic(file: BinaryIO) -> HeicImage:
    """Read the headers of a HEIC file from its first byte on, without decoding pixels.

    Raises:
        Exception: the library's, see ``app.video.image_codec``.
    """
    # Slow to load, and used by few files.
    import pi_heif  # type: ignore[import-untyped]

    head = file.read(HEAD_BYTES)
    heif = pi_heif.open_heif(file)
    info = heif.info
    colours = info.get("nclx_profile") or {}
    primaries = int(colours.get("color_primaries", 2))
    transfer = int(colours.get("transfer_characteristics", 2))
    is_plain = primaries in _PLAIN_PRIMARIES and transfer not in _WIDE_TRANSFERS
    return HeicImage(
        size=heif.size,
        images=len(heif),
        is_sequence=head[8:12] in _SEQUENCES,
        lost_depth=info["bit_depth"] > 8 and not heif.mode.startswith("I;16"),
        lost_colours=not is_plain and not info.get("icc_profile"),
        _file=heif,
    )


def is_deep_avif(head: bytes) -> bool:
    """Whether an AVIF has more than 8 bits, of which Pillow reads 8 (AV1 in ISOBMFF, 2.3.3).

    >>> is_deep_avif(b"....av1C" + bytes([0x81, 0x04, 0x4C, 0x00]))
    True
    """
    at = head.find(b"av1C")
    flags = head[at + _AV1_FLAGS : at + _AV1_FLAGS + 1] if at >= 0 else b""
    return bool(flags and flags[0] & _HIGH_BITDEPTH)
