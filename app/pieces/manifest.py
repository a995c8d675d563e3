"""The manifest of a split: which piece has which frames of the source.

Versioned JSON beside the pieces. It is written last: where it is, all pieces are complete.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

from app.errors import FaceBlurError, UsageError
from app.files import PendingFile
from app.video.container import translated

VERSION = 1
MANIFEST = "manifest.json"
_HEX = re.compile(r"[0-9a-f]{64}")
_RATIO = re.compile(r"[1-9]\d{0,9}/[1-9]\d{0,9}")
_Kinds: TypeAlias = Mapping[str, tuple[type, ...]]
_WHOLE: _Kinds = {"version": (int,), "id": (str,), "source": (dict,), "pieces": (list,)}
_SOURCE: _Kinds = {
    "name": (str,),
    "sha256": (str,),
    "size": (int,),
    "frames": (int,),
    "time_base": (str,),
    "rate": (str,),
    "duration": (int, float),
}
_PIECE: _Kinds = {
    "file": (str,),
    "sha256": (str,),
    "first": (int,),
    "frames": (int,),
    "first_pts": (int,),
    "last_pts": (int,),
    "duration": (int, float),
}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The film that was split: ``size`` in bytes, ``duration`` in seconds."""

    name: str
    sha256: str
    size: int
    frames: int
    time_base: Fraction
    rate: Fraction
    duration: float


@dataclass(frozen=True, slots=True)
class Piece:
    """A file with ``frames`` frames of the source, from its frame ``first`` on.

    ``first_pts`` and ``last_pts`` are those of its frames in the source; in the piece the first
    frame is at 0. ``duration`` in seconds.
    """

    file: str
    sha256: str
    first: int
    frames: int
    first_pts: int
    last_pts: int
    duration: float


@dataclass(frozen=True, slots=True)
class Manifest:
    """A film and its pieces.

    Raises:
        ValueError: the pieces are not all frames of the film, in order and without a gap.
    """

    source: SourceFile
    pieces: tuple[Piece, ...]

    def __post_init__(self) -> None:
        for sha256 in (self.source.sha256, *(piece.sha256 for piece in self.pieces)):
            _require(_HEX.fullmatch(sha256), "sha256: 64 hexadecimal digits")
        names = [piece.file for piece in self.pieces]
        _require(all(map(_is_plain, names)), "file: a name without a folder")
        _require(len(set(names)) == len(names), "file: a name is there twice")
        first, pts = 0, None
        for number, piece in enumerate(self.pieces):
            where = f"pieces[{number}]"
            _require(piece.frames >= 1 and piece.last_pts >= piece.first_pts, f"{where}: is empty")
            follows = piece.first == first and (pts is None or piece.first_pts > pts)
            _require(follows, f"{where}: does not follow the piece before it")
            first, pts = piece.first + piece.frames, piece.last_pts
        _require(first == self.source.frames, f"pieces: are not all of {self.source.frames} frames")

    @property
    def id(self) -> str:
        """What the marks of all pieces say: 16 hexadecimal digits."""
        return split_id(self.source.sha256, [piece.first for piece in self.pieces])


def split_id(sha256: str, firsts: Iterable[int]) -> str:
    """Tell this split from others: those of other films, and those of this film elsewhere."""
    text = f"{sha256} {' '.join(map(str, firsts))}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write a manifest and put it in place when it is complete.

    Raises:
        OutputError: it exists already, or cannot be written.
        DiskFull: there is no room.
    """
    data = {
        "version": VERSION,
        "id": manifest.id,
        "source": asdict(manifest.source)
        | {name: _spelt(getattr(manifest.source, name)) for name in ("time_base", "rate")},
        "pieces": [asdict(piece) for piece in manifest.pieces],
    }
    pending = PendingFile(path, overwrite=False)
    try:
        with translated(path, writing=True):
            pending.path.write_text(json.dumps(data, indent=1) + "\n", "utf-8")
            pending.commit()
    finally:
        pending.discard()


def _spelt(ratio: Fraction) -> str:
    return f"{ratio.numerator}/{ratio.denominator}"


def read_manifest(path: Path) -> Manifest:
    """Read a manifest and check all of it.

    Raises:
        UsageError: it cannot be read, is of another version, or something in it is wrong.
    """
    try:
        return _manifest(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except FaceBlurError as error:
        raise UsageError(f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:  # also of JSON and of UTF-8
        raise UsageError(f"{path}: {error}; undo the change, or split the film again") from error


def _manifest(data: object) -> Manifest:
    if isinstance(data, dict) and data.get("version") != VERSION:
        raise UsageError(f"version {data.get('version')!r} is unknown; this reads {VERSION}")
    whole = _fields(data, _WHOLE, "the manifest")
    source = _fields(whole["source"], _SOURCE, "source")
    for name in ("time_base", "rate"):
        _require(_RATIO.fullmatch(source[name]), f"source.{name}: a ratio such as 1/25")
        source[name] = Fraction(source[name])
    pieces = [
        Piece(**_fields(item, _PIECE, f"pieces[{number}]"))
        for number, item in enumerate(whole["pieces"])
    ]
    manifest = Manifest(SourceFile(**source), tuple(pieces))
    _require(whole["id"] == manifest.id, "id: is not that of this source and these pieces")
    return manifest


def _fields(item: object, kinds: _Kinds, where: str) -> dict[str, Any]:
    """Check that ``item`` is a JSON object with just these keys, each of its kind."""
    if not isinstance(item, dict):
        raise ValueError(f"{where}: is not an object")  # noqa: TRY004 - as all that is wrong in it
    for key in sorted(item.keys() ^ kinds.keys()):
        raise ValueError(f"{where}: {key} {'is unknown' if key in item else 'is missing'}")
    for key, kind in kinds.items():
        _require(type(item[key]) in kind, f"{where}: {key} is not of the right kind")
    return dict(item)


def _is_plain(name: str) -> bool:
    return name == Path(name).name and name not in {"", ".", ".."} and "\\" not in name


def _require(condition: object, message: str) -> None:
    if not condition:
        raise ValueError(message)
