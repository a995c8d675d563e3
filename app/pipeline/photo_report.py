"""Report on all reference photos of a folder: which are usable, and whom they resemble."""

from dataclasses import dataclass
from pathlib import Path

from app.errors import PeopleError
from app.identity.comparison import Likeness, compare_photos
from app.pipeline.parts import Parts
from app.pipeline.people import make_gallery, usable_references


@dataclass(frozen=True, slots=True)
class PhotoReport:
    """One usable photo.

    Attributes:
        person: the name of its person.
        file: its path relative to the folder of people.
        side: mean side of the face, in pixels of the photo.
        quality: how well the face shows the person, 0..1.
        flaw: its main flaw if the quality is too low to recognise anybody, otherwise "".
        likeness: how much it resembles the other photos.
    """

    person: str
    file: str
    side: float
    quality: float
    flaw: str
    likeness: Likeness


@dataclass(frozen=True, slots=True)
class PeopleReport:
    """All photos of a folder of people.

    Attributes:
        photos: the usable ones, sorted by person and file.
        doubts: sentences about them, see ``Gallery``.
        unusable: path relative to the folder, and error, of each other file.
    """

    photos: tuple[PhotoReport, ...]
    doubts: tuple[str, ...]
    unusable: tuple[tuple[str, PeopleError], ...]


def report_people(folder: Path, parts: Parts) -> PeopleReport:
    """Examine all photos of ``folder``.

    Raises:
        PeopleError: there is no folder, or it is empty.
    """
    references, faults = usable_references(folder, parts)
    photos = (
        PhotoReport(
            person=one.person,
            file=_relative(Path(one.photo), folder),
            side=one.side,
            quality=one.quality,
            flaw=one.flaw if one.quality < parts.scale.least else "",
            likeness=likeness,
        )
        for one, likeness in zip(references, compare_photos(references, parts.scale), strict=True)
    )
    return PeopleReport(
        photos=tuple(photos),
        doubts=make_gallery(references, parts, folder).doubts,
        unusable=tuple((_relative(path, folder), error) for path, error in faults),
    )


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
