"""Check TIFF images before their pixels are decoded: what else than one plain picture they hold."""

from PIL import Image as Pillow

from app.errors import UnsupportedMedia

_DNG_VERSION = 0xC612
_NEW_SUBFILE_TYPE = 0x00FE
_REDUCED = 1
"""Bit of NewSubfileType: a smaller version of another image (TIFF 6.0, page 36)."""
_BITS_PER_SAMPLE = 0x0102
_PHOTOMETRIC = 0x0106
_WHITE_IS_ZERO = 0
_MODES = frozenset(
    {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "I;16", "I;16B"}
)
"""Modes of Pillow that are converted without loss of brightness. 32 bits would be clipped, so that
faces would not be found."""


def check_tiff(image: Pillow.Image, label: object) -> int:
    """Check a TIFF whose header is read; return the number of images in it.

    Further images may only be smaller versions of the first one.

    Raises:
        UnsupportedMedia: it is a raw photo of a camera, has several pages, or pixels of an unusual
            kind.
    """
    tags = image.getexif()
    # Raw photos begin with a thumbnail: it would be all that is read.
    if _DNG_VERSION in tags or _is_reduced(image):
        raise UnsupportedMedia(f"{label}: a raw photo; develop it to JPEG or TIFF first")
    count: int = getattr(image, "n_frames", 1)
    for number in range(1, count):
        image.seek(number)
        if not _is_reduced(image):
            raise UnsupportedMedia(f"{label}: has several pages; save each as a file")
    image.seek(0)
    deep = image.mode.startswith("I;16")
    if image.mode not in _MODES or (deep and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO):
        raise UnsupportedMedia(f"{label}: unusual pixels ({image.mode}); save it as RGB of 8 bits")
    return count


def _is_reduced(image: Pillow.Image) -> bool:
    kind = image.tag_v2.get(_NEW_SUBFILE_TYPE, 0)  # type: ignore[attr-defined]
    return isinstance(kind, int) and bool(kind & _REDUCED)


def is_deep_tiff(image: Pillow.Image) -> bool:
    """Whether a TIFF has more than 8 bits in a colour, of which Pillow reads 8."""
    bits = image.tag_v2.get(_BITS_PER_SAMPLE, (1,))  # type: ignore[attr-defined]
    return not image.mode.startswith("I;16") and max(bits) > 8
