"""Face blur: hide chosen people's faces in video.

::

    import app

    face_blur = app.FaceBlur(app.Settings(people="photos/"))
    media = app.Media("interview.mp4")
    plan = face_blur.analyse(media)
    face_blur.render(media, plan, "hidden.mp4")

This module exports the public interface of the library; docs/library.md describes it. Names are
imported when they are first used, so that ``import app`` is cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.config import Settings
    from app.errors import (
        Busy,
        ConfigError,
        Crashed,
        DeviceError,
        DiskFull,
        FaceBlurError,
        IncompleteUpload,
        Interrupted,
        MediaError,
        MediaTooLarge,
        ModelError,
        OutputError,
        PackError,
        PeopleError,
        PlaceError,
        PlanError,
        StorageError,
        TicketError,
        Unreachable,
        UnsupportedMedia,
        UsageError,
        VerificationError,
    )
    from app.pipeline import FaceBlur
    from app.plan import Plan
    from app.video import Media

__all__ = [
    "Busy",
    "ConfigError",
    "Crashed",
    "DeviceError",
    "DiskFull",
    "FaceBlur",
    "FaceBlurError",
    "IncompleteUpload",
    "Interrupted",
    "Media",
    "MediaError",
    "MediaTooLarge",
    "ModelError",
    "OutputError",
    "PackError",
    "PeopleError",
    "PlaceError",
    "Plan",
    "PlanError",
    "Settings",
    "StorageError",
    "TicketError",
    "Unreachable",
    "UnsupportedMedia",
    "UsageError",
    "VerificationError",
]

_MODULES = {
    "FaceBlur": "app.pipeline",
    "Media": "app.video",
    "Plan": "app.plan",
    "Settings": "app.config",
}
"""The modules of the classes; all other names are errors."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES.get(name, "app.errors")), name)
