"""Find model packs and read their descriptions.

A pack is a folder below ``models`` with a ``pack.toml`` file. Another ``NAME.toml`` file beside it
describes a variant with other weights, ``PACK:NAME``. Unknown keys are errors, so that a spelling
mistake cannot disable a check.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from pydantic import ValidationError

from app.errors import ConfigError, PackError, reason_of
from app.files import file_hash
from app.packs.description import (
    Description,
    Licence,
    PackScale,
    Part,
    PartName,
    Source,
    Substitute,
)
from app.packs.download import cache_folder
from app.validation import explain, parse_toml

DESCRIPTION_NAME: Final = "pack.toml"
AUTO: Final = "auto"
PREFERRED: Final = ("open", "dlib", "opencv")
"""The packs for commercial use, best first. ``bench/identity.py`` and ``bench/quality.py`` rank the
first two; the third has not been measured."""


@dataclass(frozen=True, slots=True)
class Pack:
    """A model pack: a description with its name and its folder."""

    name: str
    folder: Path
    summary: str
    licences: Mapping[PartName, Licence]
    sources: tuple[Source, ...]
    files: Mapping[str, str]
    """The SHA-256 of each file of weights, by file name."""
    parts: Mapping[PartName, Part]
    identity: PackScale | None
    """None if there is no recogniser."""
    substitute: Substitute | None = None

    @classmethod
    def create(cls, name: str, folder: Path, description: Description) -> Self:
        """Combine a description with the pack's name and folder."""
        return cls(
            name=name,
            folder=folder,
            summary=description.summary,
            licences=description.licences,
            sources=description.sources,
            files=description.files,
            parts=description.parts,
            identity=description.identity if description.recogniser else None,
            substitute=description.substitute,
        )

    def part(self, name: PartName) -> Part:
        """Return a part of the pack.

        Raises:
            PackError: the pack does not have this part.
        """
        if name not in self.parts:
            raise PackError(f"{self.name}: the pack has no {name}; choose another pack for it")
        return self.parts[name]

    @property
    def scale(self) -> PackScale:
        """The similarity scale of the pack's recogniser.

        Raises:
            PackError: the pack has no recogniser.
        """
        self.part("recogniser")
        assert self.identity is not None
        return self.identity

    @property
    def commercial(self) -> bool:
        """Whether every part may be used commercially."""
        return all(licence.commercial for licence in self.licences.values())

    def only(self, part: PartName) -> Self:
        """Return the same pack with one part only.

        Raises:
            PackError: the pack does not have this part.
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
    def is_present(self) -> bool:
        """Whether every file of weights exists; the contents are not checked."""
        return all(self.path(file).is_file() for file in self.files)

    def path(self, file: str) -> Path:
        """Return where a file of weights is; if it is missing, the path in the pack's folder."""
        inside = self.folder / file
        return next((path for path in (inside, self.cache_path(file)) if path.is_file()), inside)

    def cache_path(self, file: str) -> Path:
        """Return the path of a file of weights in the user's cache."""
        return cache_folder() / "weights" / self.files[file]

    def checked(self, file: str) -> Path:
        """Return the path of a file of weights after checking its hash.

        Raises:
            PackError: the file is missing, unreadable or damaged.
        """
        path = self.path(file)
        remedy = f"run: face-blur models fetch {self.name}"
        try:
            actual = file_hash(path)
        except FileNotFoundError as error:
            raise PackError(f"{path}: the weights are missing; {remedy}") from error
        except OSError as error:
            raise PackError(f"{path}: {reason_of(error)}; {remedy}") from error
        if actual != self.files[file]:
            raise PackError(f"{path}: the weights are damaged; {remedy}")
        return path


def models_folder() -> Path:
    """Return the ``models`` folder beside the ``app`` package."""
    return Path(__file__).resolve().parents[2] / "models"


def find_packs(root: Path | None = None) -> list[str]:
    """Return the names of the packs and variants below ``root`` (default: ``models_folder()``)."""
    return sorted(_descriptions(root or models_folder()))


def _descriptions(root: Path) -> dict[str, Path]:
    """Return the description file of each pack and each variant."""
    files: dict[str, Path] = {}
    for main in root.glob(f"*/{DESCRIPTION_NAME}"):
        pack = main.parent.name
        files[pack] = main
        others = (path for path in main.parent.glob("*.toml") if path.name != DESCRIPTION_NAME)
        files |= {f"{pack}:{path.stem}": path for path in others}
    return files


def choose_pack(name: str, root: Path | None = None) -> str:
    """Return ``name`` itself or, for ``auto``, the best pack whose weights are present.

    If no pack has weights, return the best one, so that errors say how to fetch it. The weights are
    not read: if they are damaged, loading them fails, and no other pack is chosen instead.
    """
    if name != AUTO:
        return name
    known = [pack for pack in PREFERRED if pack in _descriptions(root or models_folder())]
    present = (pack for pack in known if load_pack(pack, root).is_present)
    return next(present, (known or [*PREFERRED])[0])


def load_pack(name: str, root: Path | None = None) -> Pack:
    """Read the description of a pack or of a variant.

    Raises:
        ConfigError: there is no such pack.
        PackError: its description is not valid.
    """
    root = root or models_folder()
    paths = _descriptions(root)
    if name not in paths:
        known = ", ".join(sorted(paths)) or "none"
        raise ConfigError(f"there is no model pack {name!r} in {root}; available: {known}")
    path = paths[name]
    try:
        table = parse_toml(path.read_bytes())
        return Pack.create(name, path.parent, Description.model_validate(table))
    except ValidationError as error:
        raise PackError(f"{path}: {explain(error, container='table')}") from error
    except OSError as error:
        raise PackError(f"{path}: cannot be read: {reason_of(error)}") from error
    except ValueError as error:
        raise PackError(f"{path}: {error}") from error
