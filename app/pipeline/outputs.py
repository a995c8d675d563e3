"""What a result is called, and of what kind it is, where nobody has named it."""

from pathlib import Path

from app.errors import OutputError
from app.types import MediaInfo
from app.video import check_output, natural_suffix

CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".avi": "video/x-msvideo",
    ".ts": "video/mp2t",
    ".flv": "video/x-flv",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".json": "application/json",
}
"""Of the files that are made, by their suffix."""
_ANYTHING = ".mkv"
"""For films that their own container could not hold again; it holds nearly everything."""


def output_for(media: Path, info: MediaInfo) -> Path:
    """Where the result goes: beside the media, of the same kind, or of one that holds everything.

    Raises:
        OutputError: it cannot be written at all.
    """
    own = media.with_name("result" + natural_suffix(media))
    try:
        check_output(media, own)
    except OutputError:
        if info.is_image or own.suffix == _ANYTHING:
            raise
        own = own.with_suffix(_ANYTHING)
        check_output(media, own)
    return own
