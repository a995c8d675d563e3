"""Request bodies: written to disk block by block, with limits that are checked on the way.

A body is the media itself or ``multipart/form-data``, so that curl alone is a client. A form has
one file ``media``, files ``people`` named NAME.jpg or NAME/x.jpg or a file ``plan`` with or without
its ``edits``, and options as fields. Photos are stored under numbers: no name from a client becomes
a file name.
"""

import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from app.config import ServiceSettings
from app.errors import DiskFull, IncompleteUpload, MediaTooLarge, PeopleError, UsageError
from app.files import is_disk_full
from app.plan import edits_path
from app.video.kinds import kind_of
from app.web.options import add_option

_BLOCK_BYTES = 1 << 20
_HEAD_BYTES = 1 << 16
"""Bytes of a file that are enough to recognise its kind."""
_RESULT_FACTOR = 2
"""Space for the results, as a multiple of the request: a plan, and a video that may be larger."""
_MAX_PARTS = 500
_MAX_PHOTO_BYTES = 32 * 2**20
MAX_PLAN_BYTES = 256 * 2**20
"""Six million boxes of about 42 bytes: ten faces in each frame of seven hours of film."""
_MAX_OPTION_BYTES = 4096
_FILES = frozenset({"media", "people", "plan", "edits"})
"""Parts of a form that are files; all others are options."""
_MAX_SUFFIX = 10
"""Longest suffix of a photo; the suffix of the client becomes part of a file name."""
_NAME = re.compile(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,99}")


class BodyReader:
    """Reads the body of one request.

    Args:
        stream: the bytes of the body, chunked or not.
        declared: the Content-Length, or None if the body is chunked.
        folder: folder to which the body will be written.
        limits: limits of the body, and of the free space on the disk.
        check: called for each block; raises to stop the upload.
    """

    def __init__(
        self,
        stream: IO[bytes],
        declared: int | None,
        folder: Path,
        limits: ServiceSettings,
        check: Callable[[], None],
    ) -> None:
        self._stream, self._declared, self._check = stream, declared, check
        self._folder, self._limits = folder, limits
        self.received = 0

    def blocks(self) -> Iterator[bytes]:
        """Yield the body in blocks.

        Raises:
            MediaTooLarge: it is larger than allowed.
            DiskFull: there is no space for it and its result.
            IncompleteUpload: it ends too early, or stops arriving.
            Interrupted: the service is stopping.
        """
        self._check_size(self._declared or 0)
        self._check_space((self._declared or 0) * (1 + _RESULT_FACTOR))
        while block := self._read():
            self.received += len(block)
            self._check_size(self.received)
            if self._declared is None:
                self._check_space(self.received * _RESULT_FACTOR + len(block))
            yield block
        if self._declared not in {None, self.received}:
            raise IncompleteUpload(
                f"the body ends after {self.received} of {self._declared} bytes; send it again"
            )

    def _read(self) -> bytes:
        try:
            block = self._stream.read(_BLOCK_BYTES)
        except (OSError, ParseException) as error:  # the latter: malformed chunks
            self._check()
            raise IncompleteUpload(
                "the body is cut off, malformed or too slow; send it again"
            ) from error
        self._check()
        return block

    def _check_size(self, size: int) -> None:
        if size > self._limits.max_bytes:
            raise MediaTooLarge(f"larger than the {self._limits.max_bytes} bytes that are allowed")

    def _check_space(self, needed: int) -> None:
        if shutil.disk_usage(self._folder).free < needed + self._limits.min_free:
            raise DiskFull(
                "no space on the disk for this request; free some space or send a smaller request"
            )


@dataclass(frozen=True, slots=True)
class Upload:
    """The content of a request.

    ``people`` is a folder of photos, in numbered folders; ``names`` are the people of these
    folders. ``plan`` is a plan to render, and ``edits`` is its journal. ``labels`` are replacements
    for paths in messages.
    """

    media: Path
    people: Path | None = None
    names: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[Path, str] = field(default_factory=dict)
    plan: Path | None = None
    edits: Path | None = None

    @property
    def given(self) -> set[str]:
        """Names of the options, and ``people`` if there are photos."""
        return {*self.options, *(() if self.people is None else ("people",))}


def receive_media(blocks: Iterable[bytes], folder: Path) -> Upload:
    """Write a body that is the media itself.

    Raises:
        FaceBlurError: as ``save_media``.
    """
    upload = Upload(folder / "media", labels={folder / "media": "media"})
    save_media(blocks, upload.media)
    return upload


def receive_form(blocks: Iterable[bytes], boundary: str, folder: Path) -> Upload:
    """Write the parts of a form while they arrive.

    Raises:
        UsageError: the form is malformed, or has unexpected parts.
        FaceBlurError: as ``save_media``.
    """
    events = _FormEvents(blocks, boundary)
    single = {"media": folder / "media", "plan": folder / "given.json"}
    single["edits"] = edits_path(single["plan"])
    upload = Upload(single["media"], folder / "people", labels={single["media"]: "media"})
    for event in events:
        if isinstance(event, File) and event.name in single:
            _save_single(events.data(), event.name, single[event.name])
        elif isinstance(event, File) and event.name == "people":
            _save_photo(events.data(), event.filename, folder / "people", upload)
        elif isinstance(event, Field) and event.name in _FILES:
            raise UsageError(f"{event.name} must be a file; add -F {event.name}=@FILE")
        elif isinstance(event, Field):
            value = b"".join(_limit(_MAX_OPTION_BYTES, events.data()))
            text = value.decode(errors="replace").strip()
            add_option(upload.options, str(event.name), text)
        else:
            raise UsageError("a file in the form must be called media, people, plan or edits")
    return _complete(upload, single["plan"], single["edits"])


def _save_single(blocks: Iterable[bytes], name: str, path: Path) -> None:
    """Write a part that a form has once."""
    if path.exists():
        raise UsageError(f"the form has several parts called {name}; send one")
    save = save_media if name == "media" else _save_plan
    save(blocks, path)


def _complete(upload: Upload, plan: Path, edits: Path) -> Upload:
    """Return the upload with the parts that arrived.

    Raises:
        UsageError: one is missing.
    """
    if not upload.media.exists():
        raise UsageError("the form has no file called media; add -F media=@FILE")
    if edits.exists() and not plan.exists():
        raise UsageError("the edits need the plan that they belong to; add -F plan=@FILE")
    given = {path: f"the {name}" for name, path in (("plan", plan), ("edits", edits))}
    return replace(
        upload,
        people=upload.people if upload.names else None,
        plan=plan if plan.exists() else None,
        edits=edits if edits.exists() else None,
        labels=upload.labels | given,
    )


def _save_plan(blocks: Iterable[bytes], path: Path) -> None:
    """Write a plan or its edits to a file; only the child process reads it."""
    with new_file(path) as file:
        for block in _limit(MAX_PLAN_BYTES, blocks):
            file.write(block)


def _save_photo(blocks: Iterable[bytes], filename: str, people: Path, upload: Upload) -> None:
    """Write a photo to ``people/<number of the person>/<number of the photo>``."""
    name, suffix = _parse_photo_name(filename)
    numbers = {known: number for number, known in upload.names.items()}
    number = numbers.get(name, f"{len(upload.names):04}")
    upload.names[number] = name
    path = people / number / f"{len(upload.labels):04}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    upload.labels[path] = f"photo {len(upload.labels)} of the form"
    with new_file(path) as file:
        for block in _limit(_MAX_PHOTO_BYTES, blocks):
            file.write(block)


def _parse_photo_name(filename: str) -> tuple[str, str]:
    """Return the name of the person and the suffix of the photo.

    Raises:
        PeopleError: the file name is neither NAME.jpg nor NAME/x.jpg.

    >>> _parse_photo_name("alice.JPG"), _parse_photo_name("bob/1.png")
    (('alice', '.jpg'), ('bob', '.png'))
    """
    path = PurePosixPath(filename)
    parts = filename.split("/")
    name = parts[0] if len(parts) == 2 else path.stem
    suffix = path.suffix.lower()
    is_valid = len(parts) <= 2 and all(_NAME.fullmatch(part) for part in (*parts, name))
    if not is_valid or len(suffix) > _MAX_SUFFIX:
        raise PeopleError("a file called people must be named NAME.jpg or NAME/x.jpg")
    return name, suffix


def _limit(size: int, blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        size -= len(block)
        if size < 0:
            raise MediaTooLarge(
                "a photo, plan, journal or option of the form is too large; make it smaller"
            )
        yield block


class _FormEvents:
    """Iterates over the headers of the parts; ``data`` must be read before the next header.

    Raises:
        UsageError: the form is malformed.
    """

    def __init__(self, blocks: Iterable[bytes], boundary: str) -> None:
        # The decoder buffers less than a block of data; more is an endless header.
        self._decoder = MultipartDecoder(
            boundary.encode(), max_form_memory_size=2 * _BLOCK_BYTES, max_parts=_MAX_PARTS
        )
        self._blocks = chain(blocks, (None,))

    def __iter__(self) -> Iterator[Event]:
        while not isinstance(event := self._next(), Epilogue):
            if isinstance(event, File | Field):
                yield event

    def data(self) -> Iterator[bytes]:
        """Yield the data of the current part."""
        more = True
        while more:
            event = self._next()
            if not isinstance(event, Data):
                raise UsageError("the form is malformed; send it again")
            yield event.data
            more = event.more_data

    def _next(self) -> Event:
        while True:
            with _translate_form_errors():
                event = self._decoder.next_event()
            if not isinstance(event, NeedData):
                return event
            # Errors of reading the body are not errors of the form, and are not translated.
            block = next(self._blocks)
            with _translate_form_errors():
                self._decoder.receive_data(block)


@contextmanager
def _translate_form_errors() -> Iterator[None]:
    try:
        yield
    except (ValueError, RequestEntityTooLarge) as error:
        raise UsageError("the form is malformed; send it again") from error


def save_media(blocks: Iterable[bytes], path: Path) -> None:
    """Write media to a file. Stops early if the first bytes are not those of media.

    Raises:
        UnsupportedMedia: it is not a supported video or image.
        MediaError: it is empty.
        DiskFull: there is no space for it.
    """
    with new_file(path) as file:
        is_checked = False
        for block in blocks:
            file.write(block)
            if not is_checked and file.tell() >= _HEAD_BYTES:
                file.flush()
                kind_of(path)
                is_checked = True
    kind_of(path)


@contextmanager
def request_folder(spool: Path) -> Iterator[Path]:
    """Create a folder for one request; remove it and its content after the block.

    Raises:
        DiskFull: there is no space for it.
    """
    with ExitStack() as stack:
        with _translate_disk_full():
            folder = stack.enter_context(TemporaryDirectory(dir=spool, prefix="request-"))
        yield Path(folder)


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Create a file for writing.

    Raises:
        DiskFull: there is no space for it.
    """
    with _translate_disk_full(), path.open("xb") as file:
        yield file


@contextmanager
def _translate_disk_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull("no space left on the disk for this request; free some space") from error
        raise
