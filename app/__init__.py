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
    from app.edits import edited_plan
    from app.errors import (
        Busy,
        ConfigError,
        Crashed,
        DeviceError,
        DiskFull,
        EditConflict,
        EditsError,
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
    )
    from app.pipeline import FaceBlur, LastResult, Rendered
    from app.plan import Plan
    from app.video import Media

__all__ = [
    "Busy",
    "ConfigError",
    "Crashed",
    "DeviceError",
    "DiskFull",
    "EditConflict",
    "EditsError",
    "FaceBlur",
    "FaceBlurError",
    "IncompleteUpload",
    "Interrupted",
    "LastResult",
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
    "Rendered",
    "Settings",
    "StorageError",
    "TicketError",
    "Unreachable",
    "UnsupportedMedia",
    "UsageError",
    "edited_plan",
]

_MODULES = {
    "FaceBlur": "app.pipeline",
    "LastResult": "app.pipeline",
    "Media": "app.video",
    "Plan": "app.plan",
    "Rendered": "app.pipeline",
    "Settings": "app.config",
    "edited_plan": "app.edits",
}
"""The modules of the classes and functions; all other names are errors."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES.get(name, "app.errors")), name)
