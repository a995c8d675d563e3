"""The tag of a piece of a split video: which piece it is, and whether faces were hidden in it.

It is stored in the tag ``comment`` of the container, because jobs that know nothing about pieces
process them as ordinary files. Only code that writes a rendered video sets ``processed``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

_KEY = "comment"
_PATTERN = re.compile(
    r"face-blur piece (\d{1,6})/(\d{1,6}) of ([0-9a-f]{16}) at (\d{1,9})/(\d{1,9}): "
    r"(processed|unprocessed)"
)


@dataclass(frozen=True, slots=True)
class PieceTag:
    """The tag of one piece.

    Attributes:
        number: the number of the piece, from 1.
        count: the number of pieces.
        split: the id of the split, 16 hexadecimal digits.
        rate: frames per second of the whole video. Encoders write it into their headers, which must
            be equal in all pieces.
        processed: whether the piece has been rendered.
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


def piece_tag_of(tags: Mapping[str, str]) -> PieceTag | None:
    """Return the piece tag among the tags of a container, None if the file is not a piece.

    >>> tags = {"COMMENT": "face-blur piece 3/12 of 00112233445566aa at 30000/1001: unprocessed"}
    >>> piece_tag_of(tags).number, piece_tag_of(tags).processed
    (3, False)
    >>> piece_tag_of({"comment": "At home"})
    """
    key = _comment_key(tags)
    match = _PATTERN.fullmatch(tags[key]) if key is not None else None
    if match is None:
        return None
    number, count, split, numerator, denominator, state = match.groups()
    if not (1 <= int(number) <= int(count) and int(numerator) and int(denominator)):
        return None
    rate = Fraction(int(numerator), int(denominator))
    return PieceTag(int(number), int(count), split, rate, state == "processed")


def is_piece(tags: Mapping[str, str]) -> bool:
    """Whether the tags of a container are those of a piece."""
    return piece_tag_of(tags) is not None


def as_processed(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags for a rendered video: unchanged, except that a piece becomes ``processed``.

    >>> as_processed({"comment": "face-blur piece 1/2 of 00112233445566aa at 25/1: unprocessed"})
    {'comment': 'face-blur piece 1/2 of 00112233445566aa at 25/1: processed'}
    """
    piece, key = piece_tag_of(tags), _comment_key(tags)
    if piece is None or key is None:
        return dict(tags)
    return {**tags, key: str(replace(piece, processed=True))}


def _comment_key(tags: Mapping[str, str]) -> str | None:
    """Return the key of the comment in the spelling of the container."""
    return next((key for key in tags if key.lower() == _KEY), None)
