"""Output files: checked before any work, written beside their place, put there when finished."""

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from app.errors import OutputError
from app.types import MediaFile

_NAME = 50
"""Characters: in UTF-8 up to 200 of the 255 bytes that a name may have."""


def check_place(source: MediaFile, output: Path, *, overwrite: bool) -> None:
    """Whether ``output`` may and can be written.

    Raises:
        OutputError: it is the input, exists (without ``overwrite``), or its folder is missing or
            not writable.
    """
    try:
        _check(source, output, overwrite=overwrite)
    except (OSError, ValueError) as error:  # names that are too long, or hold a zero
        raise OutputError(f"{output}: cannot be written ({error}); choose another name") from error


def _check(source: MediaFile, output: Path, *, overwrite: bool) -> None:
    folder = output.absolute().parent
    if not folder.is_dir():
        raise OutputError(f"{output}: the folder {folder} does not exist; create it first")
    if output.is_dir():
        raise OutputError(f"{output}: is a folder; give the name of a file")
    # A link that leads nowhere has the name, too.
    if output.exists() or output.is_symlink():
        if isinstance(source, Path) and source.exists() and _same(output, source):
            raise OutputError(f"{output}: is the input itself; choose another name")
        if not overwrite:
            raise OutputError(f"{output}: exists already; choose another name or overwrite it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{output}: the folder {folder} is not writable; choose another one")


def _same(output: Path, source: Path) -> bool:
    return output.exists() and output.samefile(source)


class PendingFile:
    """A file that gets its name only when it is finished.

    ``path`` lies in the same folder, so that the move is atomic, is hidden, and ends in
    ``.part``: no player and no watcher of folders takes it for a result.
    """

    def __init__(self, output: Path, *, overwrite: bool) -> None:
        self.output = output
        # Cut, as it is longer than the name, which may be as long as names can be.
        name = f".{output.name[:_NAME]}.{uuid4().hex}.part"
        self.path = output.absolute().with_name(name)
        self._overwrite = overwrite

    def commit(self) -> None:
        """Give the file its name.

        Raises:
            OutputError: the name was taken meanwhile and may not be overwritten.
        """
        if not self._overwrite:
            try:
                # A link fails where a rename would replace.
                self.output.hardlink_to(self.path)
            except FileExistsError as error:
                raise OutputError(f"{self.output}: exists already; choose another name") from error
            except OSError:
                self._rename_checked()
            else:
                self.path.unlink()
            return
        self.path.replace(self.output)

    def _rename_checked(self) -> None:
        """For file systems without links."""
        if self.output.exists():
            raise OutputError(f"{self.output}: exists already; choose another name")
        self.path.replace(self.output)

    def discard(self) -> None:
        """Remove what was written; nothing happens when it has its name already."""
        with suppress(FileNotFoundError):
            self.path.unlink()
