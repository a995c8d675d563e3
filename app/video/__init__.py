"""Read frames from files, and write files from frames.

The names are imported when they are first used: the parent of the service's child process needs the
table of kinds only, and no library that reads media.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.video.bitstream.nal import Uncopyable
    from app.video.encodings import check_encoder
    from app.video.images import read_photo
    from app.video.kinds import CONTENT_TYPES, MATROSKA, Kind
    from app.video.media import Media
    from app.video.opening import check_output, open_mixing_sink, open_sink, open_source
    from app.video.writing import Writing

__all__ = [
    "CONTENT_TYPES",
    "MATROSKA",
    "Kind",
    "Media",
    "Uncopyable",
    "Writing",
    "check_encoder",
    "check_output",
    "open_mixing_sink",
    "open_sink",
    "open_source",
    "read_photo",
]

_MODULES = {
    "CONTENT_TYPES": "kinds",
    "MATROSKA": "kinds",
    "Kind": "kinds",
    "Media": "media",
    "Uncopyable": "bitstream.nal",
    "Writing": "writing",
    "check_encoder": "encodings",
    "read_photo": "images",
}
"""The modules of the names; all others are in ``opening``."""


def __getattr__(name: str) -> Any:
    """Import a name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"app.video.{_MODULES.get(name, 'opening')}"), name)
