"""The journal: the edits of a plan in a file beside it, one line each, of which none is changed.

Each line holds the SHA-256 of its own content and that of the line before; the first line holds
that of the plan file. So a line that was changed, removed or inserted is noticed. Lines that are
missing at the end cannot be noticed in the file itself: a report names the number of edits and the
hash of the last one.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app.edits.records import Edit
from app.errors import EditConflict, EditsError, reason_of
from app.files import writing
from app.validation import explain, parse_json

_EDIT = TypeAdapter(Edit)
_MAX_BYTES = 256 * 2**20
"""Size of a journal: a million edits. A larger file is something else."""


class Journal:
    """The edits of one plan file.

    Args:
        path: the journal; it need not exist.
        plan_sha256: the SHA-256 of the plan file.

    Raises:
        EditsError: a line is changed, missing or malformed, or the edits are those of another plan.
    """

    def __init__(self, path: Path, plan_sha256: str) -> None:
        self.path, self._plan = path, plan_sha256
        self._edits: list[Edit] = []
        self.head = plan_sha256
        """The hash of the last line, or of the plan if the journal is empty."""
        self._size = 0
        for line in self._lines(_content(path)):
            self._take(line)

    @property
    def edits(self) -> Sequence[Edit]:
        """All edits in the order in which they were made."""
        return tuple(self._edits)

    def _lines(self, content: bytes) -> list[bytes]:
        """Return the complete lines. One without its end was interrupted, and never confirmed."""
        lines = content.split(b"\n")
        self._size = len(content) - len(lines[-1])
        return lines[:-1]

    def _take(self, line: bytes) -> None:
        number = len(self._edits) + 1
        try:
            edit = _EDIT.validate_python(_loaded(line))
        except ValidationError as error:
            raise self._wrong(number, explain(error)) from error
        except ValueError as error:
            raise self._wrong(number, f"is not JSON: {error}") from error
        if number == 1 and edit.previous != self._plan:
            raise EditsError(f"{self.path}: the edits belong to another plan, or the plan changed")
        if edit.number != number or edit.previous != self.head:
            raise self._wrong(number, "a line before it was changed, removed or inserted")
        if _line(edit) != line:
            raise self._wrong(number, "was changed")
        self._edits.append(edit)
        self.head = _hash(edit)

    def _wrong(self, number: int, reason: str) -> EditsError:
        return EditsError(f"{self.path}: line {number}: {reason}; restore the file")

    def append(self, edit: Edit) -> None:
        """Add an edit; when this returns, it is on the disk.

        Raises:
            EditConflict: the file has other edits than those that were read.
            OutputError: it cannot be written.
            DiskFull: there is no space for it.
        """
        line = _line(edit)
        with writing(self.path), self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if edit.previous != self.head or not self._is_unchanged(file.fileno()):
                raise EditConflict(f"{self.path}: somebody else has edited the plan; read it again")
            _write(file.fileno(), self._size, line + b"\n")
        if not self._edits:
            _sync_folder(self.path.parent)
        self._edits.append(edit)
        self.head = _hash(edit)
        self._size += len(line) + 1

    def _is_unchanged(self, descriptor: int) -> bool:
        """Return whether the file has exactly the lines that were read, locked as it is now."""
        content = os.pread(descriptor, _MAX_BYTES, 0)
        complete = content[: content.rfind(b"\n") + 1]
        if len(complete) != self._size:
            return False
        last = complete[:-1].rpartition(b"\n")[2]
        return not self._edits or last == _line(self._edits[-1])


def _line(edit: Edit) -> bytes:
    """Return the line of an edit, without its end."""
    return _content_of(edit)[:-1] + f',"hash":"{_hash(edit)}"}}'.encode()


def _hash(edit: Edit) -> str:
    return hashlib.sha256(_content_of(edit)).hexdigest()


def _content_of(edit: Edit) -> bytes:
    target = {edit.target.kind: edit.target.name}
    values = asdict(edit) | {"target": target, "before": edit.before, "after": edit.after}
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def _loaded(line: bytes) -> Any:
    """Return the values of a line, with its target as a record has it."""
    values = parse_json(line)
    if isinstance(values, dict):
        values.pop("hash", None)  # compared with the whole line
    if isinstance(values, dict) and isinstance(target := values.get("target"), dict):
        if len(target) != 1:
            raise ValueError("target must have one key")
        [(kind, name)] = target.items()
        values = values | {"target": {"kind": kind, "name": name}}
    return values


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError as error:
        if path.is_symlink():
            raise EditsError(f"{path}: is a link to a file that is missing; restore it") from error
        return b""
    except OSError as error:
        raise EditsError(f"{path}: cannot be read: {reason_of(error)}") from error
    if len(content) > _MAX_BYTES:
        raise EditsError(f"{path}: is larger than {_MAX_BYTES // 2**20} MiB; it is no journal")
    return content


def _write(descriptor: int, size: int, line: bytes) -> None:
    """Write a line after the complete ones, and remove it again if that fails."""
    os.ftruncate(descriptor, size)
    try:
        written = 0
        while written < len(line):
            written += os.write(descriptor, line[written:])
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _sync_folder(folder: Path) -> None:
    """Let the name of a new file survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
