"""The types of settings that are more than one word or number."""

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator


def _as_text(value: object) -> object:
    """Return a whole number as text; other values unchanged."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Rotation: TypeAlias = Annotated[
    Literal["auto", "none", "90", "180", "270"], BeforeValidator(_as_text)
]


def _split_commas(value: object) -> object:
    """Split a string at its commas; return other values unchanged.

    Raises:
        ValueError: an item of a list is not text.
    """
    if isinstance(value, list | tuple) and not all(isinstance(item, str) for item in value):
        raise ValueError('must be a list of texts, such as ["a", "b"]')
    if not isinstance(value, str):
        return value
    return tuple(item for part in value.split(",") if (item := part.strip()))


def _check_streams(streams: tuple[str, ...]) -> tuple[str, ...]:
    for stream in streams:
        if not stream.isascii() or not (stream.isdecimal() or stream in _STREAM_TYPES):
            types = ", ".join(sorted(_STREAM_TYPES))
            raise ValueError(f"a stream is its number in the file, or one of {types}")
    return streams


_STREAM_TYPES = frozenset({"audio", "subtitle", "data", "attachment"})
"""Types of streams that can be left out; the video cannot."""
Streams: TypeAlias = Annotated[
    tuple[str, ...], BeforeValidator(_split_commas), AfterValidator(_check_streams)
]


def _check_prefixes(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    for prefix in prefixes:
        if not prefix.startswith("s3://") or not prefix.endswith("/"):
            raise ValueError(
                "a prefix must be s3://BUCKET/ or s3://BUCKET/PREFIX/ (with the / at its end)"
            )
    return prefixes


Prefixes: TypeAlias = Annotated[
    tuple[str, ...], BeforeValidator(_split_commas), AfterValidator(_check_prefixes)
]
