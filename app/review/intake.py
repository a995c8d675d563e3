"""Files that are chosen in the page: videos to hide faces in, and photos of people."""

import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from app.config import Settings
from app.errors import FaceBlurError, UsageError
from app.files import replacing, writing
from app.pipeline import Parts, first_possible, load_parts, result_names
from app.pipeline.photo_report import report_people
from app.review.desk import Case, Desk
from app.review.state import Json
from app.validation import check_file_name
from app.video import Media

_CHUNK = 2**20
"""Bytes that are copied at a time: files of gigabytes need no memory."""
_VIDEOS, _PEOPLE, _RESULTS = "videos", "people", "results"
_MAX_NAME = 200
"""Bytes of a name: with additions it fits into the 255 bytes of file systems."""
_CHOICES = ("listed", "others", "everyone")


@dataclass
class Intake:
    """Keeps chosen files in a folder that the user sees, and lets the desk analyse them.

    Args:
        desk: the videos under review.
        folder: gets the folders ``videos``, ``people`` and ``results``.
    """

    desk: Desk
    folder: Path
    _files: list[Path] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take_video(self, name: str, content: BinaryIO) -> str:
        """Keep a video or image, and return its number.

        Raises:
            UsageError: the name cannot be that of a file.
            MediaError, UnsupportedMedia: it is no video or image that can be read.
            OutputError, DiskFull: it cannot be kept.
        """
        path = _free(self._made(_VIDEOS) / _checked(name))
        with _kept(path, content):
            _ = Media(path).kind
        self._files.append(path)
        return str(len(self._files) - 1)

    def take_photo(self, person: str, name: str, content: BinaryIO) -> Json:
        """Keep a photo of a person, and return what is known about the person.

        Raises:
            UsageError: a name cannot be that of a folder or file.
            PeopleError: the photo shows no face, or cannot be read; it is not kept.
            OutputError, DiskFull: it cannot be kept.
        """
        folder = self._made(_PEOPLE) / _checked(person)
        with writing(folder):
            folder.mkdir(exist_ok=True)
        path = _free(folder / _checked(name))
        try:
            with self._lock, _kept(path, content):
                return self._person(folder, photo=path)
        except FaceBlurError:
            with suppress(OSError):  # it has other photos
                folder.rmdir()
            raise

    def people(self) -> list[Json]:
        """Return all people with the number of their photos."""
        root = self.folder / _PEOPLE
        folders = sorted(root.iterdir()) if root.is_dir() else []
        return [self._person(folder) for folder in folders if folder.is_dir()]

    def remove_person(self, name: str) -> None:
        """Remove a person and the photos that were chosen in the page.

        Raises:
            UsageError: there is no such person.
        """
        folder = self.folder / _PEOPLE / _checked(name)
        if not folder.is_dir():
            raise UsageError(f"there is nobody named {name!r}")
        shutil.rmtree(folder)

    def analyse(self, request: Mapping[str, Any]) -> str:
        """Begin to analyse a kept video, and return the number of its review.

        Raises:
            UsageError: there is no such file, or nobody to recognise.
            OutputError: its result cannot be written.
        """
        number, blur = request.get("file"), request.get("blur")
        if not (isinstance(number, str) and number.isdigit() and int(number) < len(self._files)):
            raise UsageError("there is no such file")
        if blur not in _CHOICES:
            raise UsageError(f"blur is {', '.join(_CHOICES)}")
        people = self.folder / _PEOPLE
        if blur != "everyone" and not self.people():
            raise UsageError("choose photos of a person first")
        given = self.desk.settings.model_dump(exclude_unset=True)
        chosen = given | {"blur": blur, "people": None if blur == "everyone" else people}
        settings = Settings(**chosen)
        if blur != "everyone":
            self.desk.settings = self.desk.settings.model_copy(update={"people": people})
        return str(self.desk.add(self._case(self._files[int(number)]), settings))

    def _case(self, media: Path) -> Case:
        results = self._made(_RESULTS)
        kind = Media(media)
        names = result_names(f"{media.stem}.hidden{media.suffix}", kind.kind)
        name, _ = first_possible(kind, results, names, overwrite=True)
        return Case(media, _free(results / f"{media.stem}.plan.json"), _free(results / name))

    def _person(self, folder: Path, *, photo: Path | None = None) -> Json:
        """Describe a person; the people with a new ``photo`` are examined.

        Raises:
            PeopleError: the new photo cannot be used.
        """
        photos = sum(1 for path in folder.iterdir() if not path.name.startswith("."))
        doubts: list[str] = []
        if photo is not None:
            report = report_people(folder.parent, self.parts)
            place = photo.relative_to(folder.parent).as_posix()
            for name, error in report.unusable:
                if name == place:
                    raise error
            doubts = [text for text in report.doubts if folder.name in text]
        return {"name": folder.name, "photos": photos, "doubts": doubts}

    @cached_property
    def parts(self) -> Parts:
        """The models that examine photos."""
        given = self.desk.settings.model_dump(exclude_unset=True)
        models = {key: value for key, value in given.items() if key not in {"blur", "people"}}
        return load_parts(Settings(**models, blur="listed", people=self.folder / _PEOPLE))

    def _made(self, name: str) -> Path:
        folder = self.folder / name
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder


def _checked(name: str) -> str:
    """Return a name that a file or folder may have.

    Raises:
        UsageError: it leads to another folder, is hidden, or too long.
    """
    try:
        checked = check_file_name(name.strip())
    except ValueError as error:
        raise UsageError(f"the name {error}") from error
    if checked.startswith(".") or len(checked.encode()) > _MAX_NAME or not checked.isprintable():
        raise UsageError("the name begins with a dot, is too long, or has odd characters")
    return checked


def _free(path: Path) -> Path:
    """Return the path, with a number before its suffixes if another file has the name."""
    stem, dot, suffix = path.name.partition(".")
    names = (f"{stem}{'' if n == 1 else f'-{n}'}{dot}{suffix}" for n in count(1))
    return next(one for name in names if not (one := path.with_name(name)).exists())


@contextmanager
def _kept(path: Path, content: BinaryIO) -> Iterator[None]:
    """Write a file, and remove it if the block finds that it cannot be used.

    Raises:
        OutputError, DiskFull: it cannot be written.
    """
    with replacing(path, overwrite=False) as file:
        shutil.copyfileobj(content, file, _CHUNK)
    try:
        yield
    except FaceBlurError:
        path.unlink(missing_ok=True)
        raise
