"""Names of objects and of prefixes, taken apart and checked."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from app.errors import PlaceError

SCHEME = "s3://"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_KEY_BYTES = 1024


@dataclass(frozen=True, slots=True)
class S3Uri:
    """An object, or a prefix of objects where ``key`` is empty or ends with a slash."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str, label: str) -> Self:
        """Take ``s3://BUCKET/KEY`` apart.

        Args:
            text: what was given.
            label: what a message calls it.

        Raises:
            PlaceError: it is not of this form, or a part of the key is empty, ``.`` or ``..``.
        """
        bucket, slash, key = text.removeprefix(SCHEME).partition("/")
        if not text.startswith(SCHEME) or not slash or not _BUCKET.fullmatch(bucket):
            raise PlaceError(f"{label}: is not of the form s3://BUCKET/KEY")
        parts = key.removesuffix("/").split("/") if key else []
        if {"", ".", ".."} & set(parts) or _CONTROL.search(key) or not _fits(key):
            raise PlaceError(f"{label}: has a key that is not taken; use plain names between /")
        return cls(bucket, key)

    @property
    def is_prefix(self) -> bool:
        """Whether it can only be the beginning of keys."""
        return not self.key or self.key.endswith("/")

    def is_below(self, prefixes: "Iterable[S3Uri]") -> bool:
        """Whether it lies below one of these prefixes.

        >>> allowed = [S3Uri("films", "in/")]
        >>> S3Uri("films", "in/a.mp4").is_below(allowed), S3Uri("films", "into").is_below(allowed)
        (True, False)
        """
        return any(
            self.bucket == prefix.bucket and self.key.startswith(prefix.key) for prefix in prefixes
        )

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"


def _fits(key: str) -> bool:
    try:
        return len(key.encode()) <= _KEY_BYTES
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def parse_prefixes(texts: Iterable[str]) -> tuple[S3Uri, ...]:
    """Prefixes, each of the form ``s3://BUCKET/`` or ``s3://BUCKET/PREFIX/``.

    Raises:
        PlaceError: one of them is of another form; without the slash at its end it would also
            allow what only begins alike.
    """
    places = tuple(S3Uri.parse(text, "a prefix") for text in texts)
    if not all(place.is_prefix for place in places):
        raise PlaceError("a prefix: must end with /")
    return places
