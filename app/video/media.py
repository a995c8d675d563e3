"""The handle of an input file: each fact about it is found once, when it is first asked for."""

import hashlib
import os
import weakref
from collections.abc import Callable
from fractions import Fraction
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal, Protocol, Self, TypeVar, runtime_checkable

from av.container import InputContainer

from app.errors import MediaError, MediaTooLarge, reason_of
from app.types import MediaFile, Size, Window
from app.video.container import open_stream
from app.video.kinds import Kind, check_readable, recognise
from app.video.pinned import PinnedFile

_T = TypeVar("_T")
_HEAD_BYTES = 4096


@runtime_checkable
class HashedFile(Protocol):
    """A file that computes its hash while it is read, so that nothing is read for the hash."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the content in hexadecimal; parts that were not read yet are read now."""


class Media:
    """A video or image to read.

    The kind, the facts and the hash are found when they are first asked for, and kept. All of them,
    and all passes over its frames, are of one content: a change in between is an error, which
    ``check_unchanged`` raises at the latest.

    Args:
        file: a path, or a file that lies elsewhere (see ``app.types.MediaFile``).
        max_seconds: the longest duration that is read, whatever the file declares; default: any.
        max_pixels: the largest width times height of a frame that is read; default: any.

    ``accept_truncated`` may be set before the first use: then a file that is cut off is read as far
    as it goes, without the last packet of each stream, which may be incomplete. ``window`` may be
    set likewise: then only that stretch of a video is read.
    """

    def __init__(
        self,
        file: "str | os.PathLike[str] | MediaFile",
        *,
        max_seconds: float | None = None,
        max_pixels: int | None = None,
    ) -> None:
        self.max_seconds, self.max_pixels = max_seconds, max_pixels
        self.accept_truncated = False
        self.window: Window | None = None
        self.file: MediaFile = Path(file) if isinstance(file, str | os.PathLike) else file
        self._facts: dict[Callable[..., Any], Any] = {}

    @classmethod
    def of(cls, media: "Media | str | os.PathLike[str] | MediaFile") -> "Media":
        """Return ``media`` itself, or a handle of a file."""
        return media if isinstance(media, Media) else cls(media)

    def __str__(self) -> str:
        return str(self.file)

    def __repr__(self) -> str:
        return f"Media({str(self.file)!r})"

    @property
    def name(self) -> str:
        """The name of the file, without its folder; a plan records it."""
        return self.file.name

    @cached_property
    def kind(self) -> Kind:
        """The kind of the file, recognised by its content.

        Raises:
            MediaError: the file is missing, unreadable, not a regular file, or empty.
            UnsupportedMedia: it is neither a self-contained container nor an image that we read.
        """
        check_readable(self.file)
        try:
            head = self.stream().read(_HEAD_BYTES)
        except (OSError, ValueError) as error:
            raise MediaError(
                f"{self}: cannot be read ({reason_of(error)}); check the file"
            ) from error
        return recognise(head, self)

    @property
    def format(self) -> str:
        """Name of the demuxer; of an image, name of the image format."""
        return self.kind.demuxer or self.kind.name

    @property
    def is_image(self) -> bool:
        """Whether it is an image: a video of one frame."""
        return self.kind.is_image

    @property
    def size(self) -> int:
        """The number of bytes.

        Raises:
            MediaError: the file cannot be read.
        """
        return self.stream().seek(0, os.SEEK_END)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the content in hexadecimal.

        Raises:
            MediaError: the file cannot be read.
        """
        if isinstance(self.file, HashedFile):
            return self.file.sha256
        try:
            return hashlib.file_digest(self.stream(), "sha256").hexdigest()
        except OSError as error:
            raise MediaError(f"{self}: cannot be read: {reason_of(error)}") from error

    def fact(self, find: Callable[[Self], _T]) -> _T:
        """Return the result of ``find`` for this file; it is called only once."""
        if find not in self._facts:
            self._facts[find] = find(self)
        found: _T = self._facts[find]
        return found

    def keep_fact(self, find: Callable[[Self], _T], fact: _T) -> None:
        """Keep the result of ``find`` that another pass over the file has found already."""
        self._facts[find] = fact

    def stream(self) -> BufferedReader:
        """The file that all facts are read from, at its first byte.

        It belongs to this handle: do not close it, and use it in one thread at a time.
        """
        stream = self._stream
        stream.seek(0)
        return stream

    @cached_property
    def _stream(self) -> BufferedReader:
        stream = self._content.open("rb")
        weakref.finalize(self, stream.close)
        return stream

    @cached_property
    def _content(self) -> MediaFile:
        """The file that is read. Files that lie elsewhere watch for changes by themselves."""
        return PinnedFile(self.file) if isinstance(self.file, Path) else self.file

    def open(self, mode: Literal["rb"], /) -> BufferedReader:
        """Open the file another time.

        Raises:
            MediaError: it cannot be read.
        """
        return self._content.open(mode)

    def exists(self) -> bool:
        """Whether the file exists."""
        return self.file.exists()

    def is_file(self) -> bool:
        """Whether reading from the file comes to an end."""
        return self.file.is_file()

    def open_container(self) -> InputContainer:
        """Open the container for a pass over its packets.

        Raises:
            MediaError: the container is damaged.
        """
        demuxer = self.format
        return open_stream(self.open("rb"), demuxer, self)

    def open_facts(self) -> InputContainer:
        """Open the container for a look at its facts, without opening the file again.

        Only one such container may be open at a time.

        Raises:
            MediaError: the container is damaged.
        """
        demuxer = self.format
        return open_stream(self.stream(), demuxer, self)

    def check_length(self, seconds: Fraction) -> None:
        """Check the time since the start of a stream that has been read so far.

        Raises:
            MediaTooLarge: it is more than ``max_seconds``.
        """
        if self.max_seconds is not None and seconds > Fraction(self.max_seconds):
            raise MediaTooLarge(
                f"{self}: longer than the {self.max_seconds:g} s that are allowed, although it "
                "declares less"
            )

    def check_size(self, size: Size) -> None:
        """Check the size of a frame.

        Raises:
            MediaTooLarge: it has more than ``max_pixels``.
        """
        if self.max_pixels is not None and size[0] * size[1] > self.max_pixels:
            raise MediaTooLarge(
                f"{self}: {size[0]} x {size[1]} pixels are more than the {self.max_pixels} that "
                "are allowed; make it smaller"
            )

    def check_unchanged(self) -> None:
        """Check that nothing has changed since the first reading, and that the name is still its.

        Raises:
            MediaError: the file was replaced or written to. Files that lie elsewhere check this
                themselves while they are read.
        """
        if isinstance(self._content, PinnedFile):
            self._content.check_unchanged()
