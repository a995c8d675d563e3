"""Tickets: requests that say in JSON where in S3 the media is, and where the result goes.

::

    {"input": "s3://films/in/a.mp4", "output": "s3://films/out/a.mp4",
     "plan": "s3://films/out/a.json", "overwrite": false,
     "options": {"effect": "solid", "people": "s3://films/people/"}}

``plan``, ``overwrite`` and ``options`` may be left out. What is written in a ticket is done with
the rights of the service: so nothing outside the prefixes that its operator allows is touched.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from app.errors import PlaceError, TicketError
from app.storage import S3Uri
from app.video.kinds import BY_SUFFIX
from app.web import options

_LARGEST = 64 << 10
_KEYS = frozenset({"input", "output", "plan", "options", "overwrite"})
_PEOPLE = "people"
_SUFFIXES = tuple(dict.fromkeys(kind.suffix for kind in BY_SUFFIX.values()))


@dataclass(frozen=True, slots=True)
class Ticket:
    """What is wanted; every place in it is allowed. ``people`` is a prefix."""

    source: S3Uri
    output: S3Uri
    plan: S3Uri | None = None
    people: S3Uri | None = None
    options: dict[str, str] = field(default_factory=dict)
    overwrite: bool = False

    @property
    def suffix(self) -> str:
        """The suffix that names the kind of the output."""
        found = PurePosixPath(self.output.key).suffix.lower()
        return BY_SUFFIX[found].suffix if found in BY_SUFFIX else found

    @property
    def labels(self) -> dict[Path, str]:
        """What to call the files that came with it: there are none."""
        return {}


def is_ticket(block: bytes) -> bool:
    """Whether a body that begins like this is a ticket: no media begins with a brace."""
    return block.lstrip().startswith(b"{")


def receive_ticket(blocks: Iterable[bytes], allowed: Sequence[S3Uri]) -> Ticket:
    """Read a ticket to its end, and check all of it.

    Args:
        blocks: of the body.
        allowed: prefixes below which places may lie; none where tickets are turned off.

    Raises:
        TicketError: something in it is wrong, or not allowed.
        ConfigError: an option of it is none.
    """
    if not allowed:
        raise TicketError("tickets are turned off in this service; send the media itself")
    content = b""
    for block in blocks:
        content += block
        if len(content) > _LARGEST:
            raise TicketError(f"a ticket has at most {_LARGEST} bytes")
    try:
        told = json.loads(content, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:  # also of UTF-8
        raise TicketError("the ticket is not JSON, or has a key twice") from error
    try:
        return _ticket(told, allowed)
    except PlaceError as error:
        raise TicketError(str(error)) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is twice")
    return found


def _ticket(told: Mapping[str, Any], allowed: Sequence[S3Uri]) -> Ticket:
    if not told.keys() <= _KEYS or not {"input", "output"} <= told.keys():
        raise TicketError(
            "a ticket has the keys input and output, and may have plan, options and overwrite"
        )
    asked, overwrite = told.get("options", {}), told.get("overwrite", False)
    if not isinstance(asked, dict) or not isinstance(overwrite, bool):
        raise TicketError("options of a ticket are an object, overwrite is true or false")
    people = asked.pop(_PEOPLE, None)
    ticket = Ticket(
        source=_place(told["input"], "the input", allowed),
        output=_place(told["output"], "the output", allowed),
        plan=None if "plan" not in told else _place(told["plan"], "the plan", allowed),
        people=None if people is None else _prefix(people, allowed),
        options=_options(asked),
        overwrite=overwrite,
    )
    _check(ticket)
    return ticket


def _place(text: object, label: str, allowed: Sequence[S3Uri]) -> S3Uri:
    if not isinstance(text, str):
        raise TicketError(f"{label}: is not text")
    place = S3Uri.parse(text, label)
    if place.is_prefix:
        raise TicketError(f"{label}: is a prefix; name one object")
    return _allowed(place, label, allowed)


def _prefix(text: object, allowed: Sequence[S3Uri]) -> S3Uri:
    if not isinstance(text, str):
        raise TicketError("people: is not text")
    return _allowed(S3Uri.parse(text.rstrip("/") + "/", "people"), "people", allowed)


def _allowed(place: S3Uri, label: str, allowed: Sequence[S3Uri]) -> S3Uri:
    if not place.is_below(allowed):
        raise TicketError(f"{label}: lies outside the prefixes that this service allows")
    return place


def _options(asked: Mapping[str, object]) -> dict[str, str]:
    """Options as a header would have them."""
    found: dict[str, str] = {}
    for key, value in asked.items():
        if not isinstance(value, str | int | float):
            raise TicketError("an option of a ticket is a text, a number, true or false")
        options.add(found, key, value if isinstance(value, str) else json.dumps(value))
    return found


def _check(ticket: Ticket) -> None:
    written = [ticket.output] if ticket.plan is None else [ticket.output, ticket.plan]
    if len({ticket.source, *written}) != 1 + len(written):
        raise TicketError("input, output and plan are different objects; give each a name")
    if ticket.people is not None and any(place.is_below([ticket.people]) for place in written):
        raise TicketError("the output lies among the photos of people; put it elsewhere")
    if ticket.suffix not in _SUFFIXES:
        raise TicketError(f"the output: ends in none of {' '.join(_SUFFIXES)}")
