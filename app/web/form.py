"""``multipart/form-data``, so that curl alone is a client: media, people and options.

Parts: ``media`` (a file, once), ``people`` (files called NAME.jpg or NAME/x.jpg) and the options by
their names. Photos are written under numbers: no name of a client becomes a name on the disk.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PurePosixPath

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
)

from app.errors import MediaTooLarge, PeopleError, UsageError
from app.web import options
from app.web.uploads import BLOCK, save_media, saving

_PARTS = 500
_PHOTO_BYTES = 32 * 2**20
_OPTION_BYTES = 4096
_NAME = re.compile(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,99}")


@dataclass(frozen=True, slots=True)
class Upload:
    """What a request brought.

    ``names`` are those of the people whose photos lie in the folders of ``people``; ``labels`` is
    what to call the files in messages.
    """

    media: Path
    people: Path | None = None
    names: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[Path, str] = field(default_factory=dict)


def receive_form(blocks: Iterable[bytes], boundary: str, folder: Path) -> Upload:
    """Write the parts of a form to the disk while they come.

    Raises:
        UsageError: it is no form, or has other parts than it should.
        FaceBlurError: as ``save_media``.
    """
    events = _Events(blocks, boundary)
    upload = Upload(folder / "media", folder / "people", labels={folder / "media": "media"})
    for event in events:
        if isinstance(event, File) and event.name == "media":
            if upload.media.exists():
                raise UsageError("the form has several parts called media; send one")
            save_media(events.data(), upload.media)
        elif isinstance(event, File) and event.name == "people":
            _save_photo(events, event.filename, upload)
        elif isinstance(event, Field):
            value = b"".join(_at_most(_OPTION_BYTES, events.data()))
            options.add(upload.options, str(event.name), value.decode(errors="replace").strip())
        else:
            raise UsageError("the files of the form are called media or people")
    if not upload.media.exists():
        raise UsageError("the form has no file called media; add -F media=@FILE")
    if upload.names:
        return upload
    return Upload(upload.media, options=upload.options, labels=upload.labels)


def _save_photo(events: "_Events", filename: str, upload: Upload) -> None:
    """Write a photo to ``people/<number of the person>/<number of the photo>``."""
    assert upload.people is not None
    name, suffix = _person(filename)
    numbers = {known: number for number, known in upload.names.items()}
    number = numbers.get(name, f"{len(upload.names):04}")
    upload.names[number] = name
    path = upload.people / number / f"{len(upload.labels):04}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    upload.labels[path] = f"photo {len(upload.labels)} of the form"
    with saving(path) as file:
        for block in _at_most(_PHOTO_BYTES, events.data()):
            file.write(block)


def _person(filename: str) -> tuple[str, str]:
    """The name of a person, and the suffix of the photo.

    Raises:
        PeopleError: it is neither NAME.jpg nor NAME/x.jpg.

    >>> _person("alice.JPG"), _person("bob/1.png")
    (('alice', '.jpg'), ('bob', '.png'))
    """
    path = PurePosixPath(filename)
    parts = filename.split("/")
    name = parts[0] if len(parts) == 2 else path.stem
    if len(parts) > 2 or not all(_NAME.fullmatch(part) for part in (*parts, name)):
        raise PeopleError("a file called people is named NAME.jpg or NAME/x.jpg after the person")
    return name, path.suffix.lower()


def _at_most(size: int, blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        size -= len(block)
        if size < 0:
            raise MediaTooLarge("a photo or an option of the form is too large; make it smaller")
        yield block


class _Events:
    """The parts of a form; the data of each has to be read before the next one comes.

    Raises:
        UsageError: it is not what the header says.
    """

    def __init__(self, blocks: Iterable[bytes], boundary: str) -> None:
        # Twice a block: less than one is ever left over, unless somebody sends endless headers.
        self._decoder = MultipartDecoder(
            boundary.encode(), max_form_memory_size=2 * BLOCK, max_parts=_PARTS
        )
        self._blocks = chain(blocks, (None,))

    def __iter__(self) -> Iterator[Event]:
        """The heads of the parts."""
        while not isinstance(event := self._next(), Epilogue):
            if isinstance(event, File | Field):
                yield event

    def data(self) -> Iterator[bytes]:
        """What the part holds whose head came last."""
        more = True
        while more:
            event = self._next()
            if not isinstance(event, Data):
                raise UsageError("the form is malformed; send it again")
            yield event.data
            more = event.more_data

    def _next(self) -> Event:
        while True:
            with _translated():
                event = self._decoder.next_event()
            if not isinstance(event, NeedData):
                return event
            # What reading raises is no fault of the form: it passes as it is.
            block = next(self._blocks)
            with _translated():
                self._decoder.receive_data(block)


@contextmanager
def _translated() -> Iterator[None]:
    """What the decoder raises as ours."""
    try:
        yield
    except (ValueError, RequestEntityTooLarge) as error:
        raise UsageError("the form is malformed; send it again") from error
