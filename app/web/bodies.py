"""The bodies of responses: one file, or the media and its plan together, streamed from disk.

Two files are sent as ``multipart/mixed`` or as a ZIP archive. Neither is built in memory or on the
disk: their blocks are made while they are sent.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from zipfile import ZipFile, ZipInfo

from app.video.kinds import CONTENT_TYPES
from app.web.options import ResponseKind

_SEND_BYTES = 1 << 20
_BOUNDARY_BYTES = 32
"""Random bytes of a boundary, 64 characters of the 70 that RFC 2046 allows. It is drawn after the
files are complete, so nobody can put it into one: that a file holds it is as likely as that a
key of 256 bits is guessed."""
_NAMES = ("media", "plan")
"""Names of the parts, in their order."""


@dataclass(frozen=True, slots=True)
class _Part:
    """An open file of a response; ``size`` is in bytes."""

    name: str
    filename: str
    file: IO[bytes]
    size: int

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES[Path(self.filename).suffix]

    def blocks(self) -> Iterator[bytes]:
        return iter(lambda: self.file.read(_SEND_BYTES), b"")

    def head(self) -> bytes:
        """Return the headers of the part in a multipart body, without its boundary."""
        return (
            f"Content-Type: {self.content_type}\r\n"
            f'Content-Disposition: attachment; name="{self.name}"; filename="{self.filename}"\r\n'
            f"Content-Length: {self.size}\r\n\r\n"
        ).encode()


class Body:
    """The body of a response; closing it closes its files, which may have been removed meanwhile.

    gunicorn sends each block within the time limit of the connection: this is also the least rate
    at which a client must read.

    Attributes:
        content_type: value of the header of this name.
        size: number of bytes, or None if it is not known: then the body is sent in chunks.
        content_bytes: number of bytes of the files in it.
    """

    def __init__(
        self,
        parts: Sequence[_Part],
        content_type: str,
        size: int | None,
        blocks: Iterator[bytes],
    ) -> None:
        self.content_type, self.size = content_type, size
        self.content_bytes = sum(part.size for part in parts)
        self._files, self._blocks = [part.file for part in parts], blocks

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()


def open_body(paths: Sequence[Path], kind: ResponseKind) -> Body:
    """Open the files of a response: a single one is sent as it is, whatever the kind.

    Args:
        paths: the result, and its plan if both are sent.
        kind: how two files are sent.
    """
    with ExitStack() as stack:
        parts = []
        for name, path in zip(_NAMES, paths, strict=False):
            file = stack.enter_context(path.open("rb"))
            parts.append(_Part(name, path.name, file, path.stat().st_size))
        body = _single(parts) if len(parts) == 1 else _PACKERS[kind](parts)
        stack.pop_all()  # the body closes them
    return body


def _single(parts: Sequence[_Part]) -> Body:
    (part,) = parts
    return Body(parts, part.content_type, part.size, part.blocks())


def _multipart(parts: Sequence[_Part]) -> Body:
    boundary = secrets.token_hex(_BOUNDARY_BYTES)
    line = f"--{boundary}\r\n".encode()
    heads = [line, *[b"\r\n" + line] * (len(parts) - 1)]
    heads = [start + part.head() for start, part in zip(heads, parts, strict=True)]
    end = f"\r\n--{boundary}--\r\n".encode()

    def blocks() -> Iterator[bytes]:
        for head, part in zip(heads, parts, strict=True):
            yield head
            yield from part.blocks()
        yield end

    size = sum(map(len, heads)) + sum(part.size for part in parts) + len(end)
    return Body(parts, f"multipart/mixed; boundary={boundary}", size, blocks())


def _zip(parts: Sequence[_Part]) -> Body:
    return Body(parts, "application/zip", None, _zip_blocks(parts))


def _zip_blocks(parts: Sequence[_Part]) -> Iterator[bytes]:
    """Yield an archive of stored files: video is compressed already. Any size is possible."""
    pipe = _Pipe()
    with ZipFile(pipe, "w") as archive:
        for part in parts:
            with archive.open(ZipInfo(part.filename), "w", force_zip64=True) as entry:
                for block in part.blocks():
                    entry.write(block)
                    yield pipe.take()
    yield pipe.take()


class _Pipe:
    """Receives the bytes of an archive, which cannot go back in it."""

    def __init__(self) -> None:
        self._content = bytearray()

    def write(self, data: bytes) -> int:
        self._content += data
        return len(data)

    def flush(self) -> None:
        """Do nothing: ``take`` returns all that was written."""

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def take(self) -> bytes:
        """Return what was written since the last call."""
        content = bytes(self._content)
        self._content.clear()
        return content


_PACKERS: dict[ResponseKind, Callable[[Sequence[_Part]], Body]] = {
    "multipart": _multipart,
    "zip": _zip,
}
