"""Tickets: requests in JSON that name the media and the result in S3.

::

    {"input": "s3://videos/in/a.mp4", "output": "s3://videos/out/a.mp4",
     "plan": "s3://videos/out/a.json", "overwrite": false,
     "options": {"effect": "solid", "people": "s3://videos/people/"}}

``plan``, ``overwrite`` and ``options`` are optional. With ``edits``, the place of the edits of a
plan, ``plan`` is not written but read, and nothing is analysed. The service reads and writes with
its own credentials, so a ticket may only use the prefixes that the operator allows.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from app.errors import PlaceError, TicketError
from app.storage import S3Uri
from app.validation import StrictModel, explain
from app.video.kinds import BY_SUFFIX
from app.web.options import check_option

_MAX_BYTES = 64 << 10
_SUFFIXES = tuple(dict.fromkeys(kind.suffix for kind in BY_SUFFIX.values()))


def _parse_uri(value: object, info: ValidationInfo) -> S3Uri:
    """Parse a URI, and check that it is below one of the allowed prefixes in the context."""
    if not isinstance(value, str):
        raise ValueError("is not a string")  # noqa: TRY004 - pydantic expects ValueError
    try:
        uri = S3Uri.parse(value, "")
    except PlaceError as error:
        raise ValueError(str(error).removeprefix(": ")) from error
    if not uri.is_below((info.context or {}).get("allowed", ())):
        raise ValueError("is outside the prefixes that this service allows")
    return uri


def _parse_object(value: object, info: ValidationInfo) -> S3Uri:
    uri = _parse_uri(value, info)
    if uri.is_prefix:
        raise ValueError("is a prefix; name one object")
    return uri


def _parse_prefix(value: object, info: ValidationInfo) -> S3Uri:
    return _parse_uri(value.rstrip("/") + "/" if isinstance(value, str) else value, info)


def _option_text(value: object) -> str:
    """Return the value of an option as in a header."""
    if not isinstance(value, str | int | float):
        raise ValueError("must be a string, a number, true or false")  # noqa: TRY004 - see above
    return value if isinstance(value, str) else json.dumps(value)


class TicketOptions(StrictModel):
    """The options of a ticket: those of any request as extra fields, and a prefix of photos."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[str, BeforeValidator(_option_text)]] = Field(init=False)

    people: Annotated[S3Uri | None, BeforeValidator(_parse_prefix)] = None


class Ticket(StrictModel):
    """A ticket. All its URIs are allowed by the service.

    Validate with ``context={"allowed": prefixes}``.
    """

    input: Annotated[S3Uri, BeforeValidator(_parse_object)]
    output: Annotated[S3Uri, BeforeValidator(_parse_object)]
    plan: Annotated[S3Uri | None, BeforeValidator(_parse_object)] = None
    edits: Annotated[S3Uri | None, BeforeValidator(_parse_object)] = None
    all_options: TicketOptions = Field(TicketOptions(), alias="options")
    overwrite: bool = False

    @property
    def options(self) -> dict[str, str]:
        """The options that any request may have."""
        return dict(self.all_options.__pydantic_extra__)

    @property
    def people(self) -> S3Uri | None:
        """The prefix of the photos of people."""
        return self.all_options.people

    @property
    def written_plan(self) -> S3Uri | None:
        """The place of the plan if it is written, which it is not if it is rendered with edits."""
        return self.plan if self.edits is None else None

    @property
    def given(self) -> set[str]:
        """Names of the options, and ``people`` if there are photos."""
        return {*self.options, *(() if self.people is None else ("people",))}

    def as_json(self) -> str:
        """Return the ticket as JSON."""
        options = (
            self.options if self.people is None else {**self.options, "people": str(self.people)}
        )
        values = {"input": str(self.input), "output": str(self.output), "options": options}
        plan = {name: str(uri) for name, uri in (("plan", self.plan), ("edits", self.edits)) if uri}
        return json.dumps({**values, **plan, "overwrite": self.overwrite})

    @property
    def suffix(self) -> str:
        """The suffix of the output's format."""
        suffix = PurePosixPath(self.output.key).suffix.lower()
        return BY_SUFFIX[suffix].suffix if suffix in BY_SUFFIX else suffix

    @property
    def labels(self) -> dict[Path, str]:
        """Replacements for paths in messages: none, because no file came with the ticket."""
        return {}

    @field_validator("output", mode="after")
    @classmethod
    def _check_suffix(cls, output: S3Uri) -> S3Uri:
        if PurePosixPath(output.key).suffix.lower() not in BY_SUFFIX:
            raise ValueError(f"must end with one of {' '.join(_SUFFIXES)}")
        return output

    @model_validator(mode="after")
    def _check_uris(self) -> Self:
        if self.edits is not None and self.plan is None:
            raise ValueError("edits: need the plan that they belong to; name it as plan")
        named = [uri for uri in (self.input, self.output, self.plan, self.edits) if uri is not None]
        if len(set(named)) != len(named):
            raise ValueError("input, output, plan and edits must be different objects")
        written = [uri for uri in (self.output, self.written_plan) if uri is not None]
        if self.people is not None and any(uri.is_below([self.people]) for uri in written):
            raise ValueError("output and plan must not be among the photos of people")
        return self


def is_ticket(block: bytes) -> bool:
    """Whether a body that begins with these bytes is a ticket: no media begins with a brace."""
    return block.lstrip().startswith(b"{")


def receive_ticket(blocks: Iterable[bytes], allowed: Sequence[S3Uri]) -> Ticket:
    """Read and validate a ticket.

    Args:
        blocks: blocks of the body.
        allowed: prefixes that the ticket may use; empty if tickets are disabled.

    Raises:
        TicketError: the ticket is invalid, or uses something that is not allowed.
        ConfigError: an option is unknown.
    """
    _check_enabled(allowed)
    return parse_ticket(_read(blocks), allowed)


def parse_ticket(content: str | bytes, allowed: Sequence[S3Uri]) -> Ticket:
    """Validate a ticket.

    Raises:
        TicketError, ConfigError: as ``receive_ticket``.
    """
    _check_enabled(allowed)
    try:
        ticket = Ticket.model_validate(_parse_json(content), context={"allowed": allowed})
    except ValidationError as error:
        raise TicketError(
            f"the ticket is invalid: {explain(error)}; its keys are input, output, plan, edits, "
            "options and overwrite"
        ) from error
    for key in ticket.options:
        check_option(key)
    return ticket


def _check_enabled(allowed: Sequence[S3Uri]) -> None:
    if not allowed:
        raise TicketError("tickets are disabled in this service; send the media itself")


def _read(blocks: Iterable[bytes]) -> bytes:
    content = b""
    for block in blocks:
        content += block
        if len(content) > _MAX_BYTES:
            raise TicketError(f"a ticket may have at most {_MAX_BYTES} bytes")
    return content


def _parse_json(content: str | bytes) -> Any:
    try:
        return json.loads(content, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:  # ValueError: invalid JSON or UTF-8
        raise TicketError("the ticket is not valid JSON") from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise TicketError("the ticket has a duplicate key")
    return values
