"""Recognise files that systems leave in folders beside those of people."""

from pathlib import PurePosixPath

_NAMES = frozenset(
    {
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),  # Windows
        *(".ds_store", "icon\r", ".localized", ".volumeicon.icns", ".apdisk"),  # macOS
        ".directory",  # KDE
    }
)
"""Names of files, in lower case: file systems of Windows and macOS ignore case."""
_FOLDERS = frozenset(
    {
        *("$recycle.bin", "system volume information"),  # Windows
        *("__macosx", ".fseventsd", ".trashes", ".temporaryitems"),  # macOS
        *("@eadir", "#recycle"),  # network storage by Synology
        "lost+found",  # Linux
    }
)
"""Names of folders, in lower case, whose whole content belongs to the system."""
_PREFIXES = ("._", ".spotlight-", ".documentrevisions-", ".trash-", ".nfs", ".fuse_hidden")
"""Beginnings of names: AppleDouble files beside each file, indexes, and files that are deleted."""


def is_system_path(name: str) -> bool:
    """Whether a relative path with slashes is a file of the system, or lies in its folder.

    >>> is_system_path("alice/Thumbs.db"), is_system_path("__MACOSX/alice/1.jpg")
    (True, True)
    >>> is_system_path("alice/._1.jpg"), is_system_path("alice/thumbs.jpg")
    (True, False)
    """
    parts = [part.lower() for part in PurePosixPath(name).parts]
    if any(part in _FOLDERS or part.startswith(_PREFIXES) for part in parts):
        return True
    return bool(parts) and parts[-1] in _NAMES
