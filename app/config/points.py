"""Points that select a face, and the times in them. Both keep their exact values."""

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from numbers import Integral, Real
from typing import Annotated, NamedTuple, TypeAlias

from pydantic import PlainSerializer, PlainValidator

_FORM = "a point is FRAME,X,Y or TIME,X,Y, such as 120,640,360 or 0:04.8,640,360"
_TIME_FORM = "a time is M:SS, H:MM:SS or seconds with an s, such as 0:08.3 or 8.3s"
_CLOCK = re.compile(r"(?:(\d{1,6}):)?(\d{1,6}):(\d{1,2}(?:\.\d{1,30})?)", re.ASCII)
"""Hours, minutes and seconds. More digits than these are a mistake, and slow to read."""
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,30})?|\d{1,18}/\d{1,18})s", re.ASCII)
"""Seconds, as a decimal number or as a fraction."""
_WHOLE = re.compile(r"\d{1,12}", re.ASCII)
_NUMBER = re.compile(r"\d{1,12}(?:\.\d{0,30})?", re.ASCII)
_SHOWN_TEXT = 60
"""Characters of a wrong value that a message shows."""
_MOST_DECIMALS = 30
"""Decimal places of a time that is written; it is a fraction if they do not suffice."""
_MILLISECOND = 1000


class Point(NamedTuple):
    """Selects a face: the one at pixel (x, y) of an upright frame.

    ``at`` is the number of the frame (int), or seconds since the first frame (Fraction): the frame
    that is shown at that time.

    >>> str(Point(120, 640, 360.5)), str(Point(Fraction(83, 10), 430, 110))
    ('120,640,360.5', '0:08.3,430,110')
    """

    at: int | Fraction
    x: float
    y: float

    def __str__(self) -> str:
        return f"{_format_at(self.at)},{self.x:.10g},{self.y:.10g}"


def parse_time(text: str) -> Fraction:
    """Parse a time: ``M:SS``, ``H:MM:SS`` or seconds with an ``s``; return exact seconds.

    Raises:
        ValueError: it has another form.

    >>> parse_time("0:08.3"), parse_time("1:02:03.5"), parse_time("8.3s")
    (Fraction(83, 10), Fraction(7447, 2), Fraction(83, 10))
    """
    if match := _SECONDS.fullmatch(text):
        numerator, _, denominator = match[1].partition("/")
        if not denominator or int(denominator):
            return Fraction(numerator) / int(denominator or 1)
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = match[1], int(match[2]), Fraction(match[3])
        if seconds < 60 and (hours is None or minutes < 60):
            return int(hours or 0) * 3600 + minutes * 60 + seconds
    raise ValueError(f"{shown(text)}: {_TIME_FORM}")


def format_time(seconds: Fraction) -> str:
    """Format a time exactly; ``parse_time`` returns the same one.

    >>> format_time(Fraction(83, 10)), format_time(Fraction(7447, 2)), format_time(Fraction(1, 3))
    ('0:08.3', '1:02:03.5', '1/3s')
    """
    places = next((n for n in range(_MOST_DECIMALS) if 10**n % seconds.denominator == 0), None)
    if places is None:
        return f"{seconds}s"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    whole, part = divmod(rest, 1)
    tail = f".{int(part * 10**places):0{places}}" if places else ""
    clock = f"{hours}:{minutes:02}" if hours else str(minutes)
    return f"{clock}:{int(whole):02}{tail}"


def brief_time(seconds: Fraction) -> str:
    """Format a time with at most three decimal places, rounded up.

    Rounded up, the time of a frame is still within this frame.

    >>> brief_time(Fraction(1001, 30000))
    '0:00.034'
    """
    return format_time(Fraction(-(-seconds * _MILLISECOND // 1), _MILLISECOND))


def shown(value: object) -> str:
    """Return a wrong value for a message: on one line, and not too long."""
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]}..."


def _format_at(at: int | Fraction) -> str:
    return format_time(at) if isinstance(at, Fraction) else str(at)


def _parse_points(value: object) -> tuple[Point, ...]:
    """Return the points of a text ``AT,X,Y;AT,X,Y``, or of a list of lists.

    Raises:
        ValueError: a point has another form, or a number is out of range.
    """
    if isinstance(value, str):
        return tuple(_parse_point(one.split(",")) for one in value.split(";") if one.strip())
    if not isinstance(value, Sequence) or isinstance(value, bytes):
        raise ValueError(_FORM)  # noqa: TRY004 - an error of content
    return tuple(map(_parse_point, value))


def _parse_point(value: object) -> Point:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Sequence) or len(value) != 3:
        raise ValueError(_FORM)
    try:
        return Point(_parse_at(value[0]), _parse_pixel(value[1]), _parse_pixel(value[2]))
    except ValueError as error:
        raise ValueError(f"{shown(','.join(map(str, value)))}: {error}") from error


def _parse_at(value: object) -> int | Fraction:
    if isinstance(value, str):
        text = value.strip()
        if ":" in text or text.endswith("s"):
            return parse_time(text)
        if _WHOLE.fullmatch(text):
            return int(text)
    elif isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 0:
        return int(value)
    elif isinstance(value, Fraction) and value >= 0:
        return value
    raise ValueError(f"{shown(value)} is not a frame (0, 1, ...), and {_TIME_FORM}")


def _parse_pixel(value: object) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value)
    if isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) < math.inf:
        return float(value)
    raise ValueError(f"X and Y are pixels from the left and the top, not {shown(value) or 'empty'}")


def points_as_json(points: Sequence[Point]) -> list[list[int | float | str]]:
    """Return points as lists for JSON; a time is text."""
    return [
        [point.at if isinstance(point.at, int) else format_time(point.at), point.x, point.y]
        for point in points
    ]


Points: TypeAlias = Annotated[
    tuple[Point, ...], PlainValidator(_parse_points), PlainSerializer(points_as_json)
]
