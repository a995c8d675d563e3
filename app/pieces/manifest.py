"""The manifest of a split: which frames of the source each piece holds.

It is a versioned JSON file beside the pieces. It is written last, so all pieces are complete if it
exists.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, PlainSerializer, PlainValidator, ValidationError, model_validator

from app.errors import UsageError, reason_of
from app.files import replacing
from app.validation import FrozenList, StrictModel, check_file_name, explain, parse_json

VERSION: Final = 1
MANIFEST = "manifest.json"
_MAX_FRAMES = 10**8
"""More than a month at 30 frames per second."""
_MAX_INT64 = 2**63 - 1
_REMEDY = "undo the change, or split the video again"
_RATIO = re.compile(r"[1-9][0-9]{0,9}/[1-9][0-9]{0,9}")


def _to_ratio(value: object) -> Fraction:
    """Accept a ratio above 0, as text such as ``1/25`` or as a ``Fraction``."""
    if isinstance(value, Fraction) and value > 0:
        return value
    if not isinstance(value, str) or _RATIO.fullmatch(value) is None:
        raise ValueError("is not a ratio such as 1/25")
    return Fraction(value)


def _to_file_name(value: object) -> str:
    # No ``str`` field: file names may hold bytes that are not Unicode, as surrogates.
    if not isinstance(value, str):
        raise ValueError("is not a string")  # noqa: TRY004 - pydantic collects value errors only
    return check_file_name(value)


_FileName: TypeAlias = Annotated[str, PlainValidator(_to_file_name)]
_Ratio: TypeAlias = Annotated[
    Fraction,
    PlainValidator(_to_ratio),
    PlainSerializer(lambda ratio: f"{ratio.numerator}/{ratio.denominator}"),
]
_Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Ticks: TypeAlias = Annotated[int, Field(ge=-_MAX_INT64, le=_MAX_INT64)]
_FrameCount: TypeAlias = Annotated[int, Field(ge=1, le=_MAX_FRAMES)]
_Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class SourceFile(StrictModel):
    """The video that was split.

    Attributes:
        name: its file name.
        sha256: the hash of its content, in hexadecimal.
        size: in bytes.
        frames: the number of its frames.
        time_base: the unit of its times, in seconds.
        rate: frames per second.
        duration: in seconds.
    """

    name: _FileName
    sha256: _Sha256
    size: Annotated[int, Field(ge=1, le=_MAX_INT64)]
    frames: _FrameCount
    time_base: _Ratio
    rate: _Ratio
    duration: _Seconds


class Piece(StrictModel):
    """A piece: a file with consecutive frames of the source.

    Attributes:
        file: its file name.
        sha256: the hash of its content before rendering, in hexadecimal.
        first: the number of its first frame in the source, from 0.
        frames: the number of its frames.
        first_pts: the time of its first frame in the source; in the piece it is 0.
        last_pts: the time of its last frame in the source.
        duration: in seconds.
    """

    file: _FileName
    sha256: _Sha256
    first: Annotated[int, Field(ge=0, le=_MAX_FRAMES)]
    frames: _FrameCount
    first_pts: _Ticks
    last_pts: _Ticks
    duration: _Seconds


class Manifest(StrictModel):
    """A video and its pieces; see ``make_manifest``.

    ``id`` identifies the split in the tags of all pieces.

    Raises:
        ValidationError: a value is wrong, or the pieces are not all frames of the video, in order
            and without a gap.
    """

    version: Literal[1]
    id: str
    source: SourceFile
    pieces: FrozenList[Piece]

    @model_validator(mode="after")
    def _check(self) -> "Manifest":
        _check_names(self.pieces)
        _check_order(self.pieces, self.source.frames)
        if self.id != split_id(self.source.sha256, [piece.first for piece in self.pieces]):
            raise ValueError("id: is not that of this source and these pieces")
        return self


def _check_names(pieces: Sequence[Piece]) -> None:
    names = [piece.file for piece in pieces]
    if len(set(names)) != len(names):
        raise ValueError("pieces: two have the same file name")


def _check_order(pieces: Sequence[Piece], frames: int) -> None:
    end, last_pts = 0, None
    for number, piece in enumerate(pieces):
        if piece.last_pts < piece.first_pts:
            raise ValueError(f"pieces[{number}]: ends before it begins")
        if piece.first != end or (last_pts is not None and piece.first_pts <= last_pts):
            raise ValueError(f"pieces[{number}]: does not follow the piece before it")
        end, last_pts = piece.first + piece.frames, piece.last_pts
    if end != frames:
        raise ValueError(f"pieces: are not all of {frames} frames")


def make_manifest(source: SourceFile, pieces: Sequence[Piece]) -> Manifest:
    """Return the manifest of a split."""
    identity = split_id(source.sha256, [piece.first for piece in pieces])
    return Manifest(version=VERSION, id=identity, source=source, pieces=tuple(pieces))


def split_id(sha256: str, firsts: Iterable[int]) -> str:
    """Return an id of 16 hexadecimal digits that differs for other videos and other borders.

    Args:
        sha256: the hash of the video.
        firsts: the number of the first frame of each piece.
    """
    text = f"{sha256} {' '.join(map(str, firsts))}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write a manifest; it gets its name when it is complete.

    Raises:
        OutputError: the file already exists, or cannot be written.
        DiskFull: there is no space.
    """
    text = json.dumps(manifest.model_dump(), indent=1) + "\n"
    with replacing(path, overwrite=False) as file:
        file.write(text.encode())


def read_manifest(path: Path) -> Manifest:
    """Read a manifest and check it completely.

    Raises:
        UsageError: it cannot be read, has another version, or holds a wrong value.
    """
    try:
        data = parse_json(path.read_bytes())
        if isinstance(data, dict) and data.get("version") != VERSION:
            raise UsageError(f"{path}: its version is not supported; this program reads {VERSION}")
        return Manifest.model_validate(data)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {reason_of(error)}") from error
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error)}; {_REMEDY}") from error
    except ValueError as error:  # errors of JSON and of UTF-8
        raise UsageError(f"{path}: {error}; {_REMEDY}") from error
