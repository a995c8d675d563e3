"""The mark of a piece of a longer film: which one it is, and whether faces were hidden in it.

It stands in the tag ``comment`` of the container, as pieces travel as ordinary files through jobs
that know nothing of them. Only what writes a rendered film ever says ``processed``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

_KEY = "comment"
_FORM = re.compile(
    r"face-blur piece (\d{1,6})/(\d{1,6}) of ([0-9a-f]{16}) at (\d{1,9})/(\d{1,9}): "
    r"(processed|unprocessed)"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """Piece ``number`` (from 1) of ``count``; ``split`` is the id of the split (16 hex digits).

    ``rate`` is the frame rate of the whole film: encoders write it into their headers, which must
    be the same in all pieces.
    """

    number: int
    count: int
    split: str
    rate: Fraction
    processed: bool

    def __str__(self) -> str:
        rate = f"{self.rate.numerator}/{self.rate.denominator}"
        state = "processed" if self.processed else "unprocessed"
        return f"face-blur piece {self.number}/{self.count} of {self.split} at {rate}: {state}"


def mark_of(metadata: Mapping[str, str]) -> Mark | None:
    """The mark among the tags of a container, None for a film that is no piece.

    >>> tags = {"COMMENT": "face-blur piece 3/12 of 00112233445566aa at 30000/1001: unprocessed"}
    >>> mark_of(tags).number, mark_of(tags).processed, mark_of({"comment": "At home"})
    (3, False, None)
    """
    key = _key(metadata)
    found = _FORM.fullmatch(metadata[key]) if key is not None else None
    if found is None:
        return None
    number, count, split, over, under, state = found.groups()
    if not (1 <= int(number) <= int(count) and int(over) and int(under)):
        return None
    rate = Fraction(int(over), int(under))
    return Mark(int(number), int(count), split, rate, state == "processed")


def is_piece(metadata: Mapping[str, str]) -> bool:
    """Whether the tags of a container are those of a piece."""
    return mark_of(metadata) is not None


def handed_on(metadata: Mapping[str, str]) -> dict[str, str]:
    """The tags for a rendered film: as they are, but a piece says that it was processed.

    >>> handed_on({"comment": "face-blur piece 1/2 of 00112233445566aa at 25/1: unprocessed"})
    {'comment': 'face-blur piece 1/2 of 00112233445566aa at 25/1: processed'}
    """
    mark, key = mark_of(metadata), _key(metadata)
    if mark is None or key is None:
        return dict(metadata)
    return {**metadata, key: str(replace(mark, processed=True))}


def without_mark(metadata: Mapping[str, str]) -> dict[str, str]:
    """The tags without the mark of a piece, if there is one."""
    key = _key(metadata) if is_piece(metadata) else None
    return {name: value for name, value in metadata.items() if name != key}


def _key(metadata: Mapping[str, str]) -> str | None:
    """How the container spells the name of the tag."""
    return next((key for key in metadata if key.lower() == _KEY), None)
