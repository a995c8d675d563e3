"""Plans, tickets and reports of errors never repeat the words of libraries."""

import copy
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.errors import ConfigError, PlanError, TicketError, reason_of
from app.plan import read_plan
from app.storage import parse_prefixes
from app.web.tickets import parse_ticket
from tests.foreign_phrases import foreign

WRONG: tuple[Any, ...] = (
    *("?", "", "x" * 300, -1, 2.5, 10**30, 1e300, True, None),
    *([], [1], [None], ["?"], [[]], {}, {"a": 1}, {"": {"": []}}),
)
PLAN: dict[str, Any] = {
    "version": 1,
    "source": {
        "sha256": "0" * 64,
        "name": "a.mp4",
        "frames": 4,
        "width": 64,
        "height": 48,
        "duration": 0.16,
    },
    "settings": {"effect": "blur"},
    "models": {
        "pack": "open",
        "detector": {"file": "a.onnx", "sha256": "1" * 64},
        "recogniser": {"file": "b.onnx", "sha256": "2" * 64},
    },
    "people": [{"name": "alice", "photos": 2}],
    "shots": [[0, 2], [2, 4]],
    "tracks": [
        {
            "id": 0,
            "shot": 0,
            "first": 0,
            "last": 1,
            "person": "alice",
            "similarity": 0.5,
            "decision": "blur",
            "uncertain": False,
            "reason": "matches",
            "unclear": None,
            "boxes": [[0, 1.0, 2.0, 10.0, 20.0], [1, 1.0, 2.0, 10.0, 20.0]],
        }
    ],
}
TICKET: dict[str, Any] = {
    "input": "s3://bucket/in/a.mp4",
    "output": "s3://bucket/out/a.mp4",
    "plan": "s3://bucket/out/a.json",
    "options": {"effect": "solid", "people": "s3://bucket/people/"},
    "overwrite": False,
}


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    """The keys that lead to each value in JSON, from the outside to the inside."""
    yield ()
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from ((key, *rest) for rest in places(value[key]))


def changed(data: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    out = copy.deepcopy(data)
    inner = out
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return out


def check_words(error: Exception, beginning: str = "") -> None:
    said = str(error)
    assert said.startswith(beginning)
    assert (foreign(said), "\n" in said) == ([], False), said
    assert len(said) < 500, said


@pytest.mark.parametrize("place", list(places(PLAN)), ids=str)
def test_wrong_fields_of_a_plan_are_in_own_words(tmp_path: Path, place: tuple[Any, ...]) -> None:
    path = tmp_path / "plan.json"
    refused = 0
    for value in WRONG:
        path.write_text(json.dumps(changed(PLAN, place, value)))
        try:
            read_plan(path)
        except PlanError as error:
            refused += 1
            check_words(error, f"{path}: ")
    assert refused or place[:2] == ("settings", "effect")


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b'{"version": 1,}', b"[1] [2]", b'{"version": "', b"\xff\xfe{}", b"nul"),
        *(b"\0", b'{"version": NaN}', b'{"version": 1, "version": 1}', b"{}", b"[]", b"1"),
        *(b"[" * 5000, b'{"version": ' + b"9" * 5000 + b"}", b'"\\ud800"', b"\xef\xbb\xbf"),
        b'{"version": 1e999}',
    ],
)
def test_what_is_not_a_plan_is_refused_in_own_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(PlanError) as caught:
        read_plan(path)
    check_words(caught.value)


@pytest.mark.parametrize("place", list(places(TICKET)), ids=str)
def test_wrong_fields_of_a_ticket_are_in_own_words(place: tuple[Any, ...]) -> None:
    allowed = parse_prefixes(["s3://bucket/"])
    assert parse_ticket(json.dumps(TICKET), allowed).options == {"effect": "solid"}
    for value in WRONG:
        try:
            parse_ticket(json.dumps(changed(TICKET, place, value)), allowed)
        except (TicketError, ConfigError) as error:
            check_words(error)
        else:
            assert place[:1] in {("options",), ("plan",), ("overwrite",)}


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_no_error_of_the_system_shows_its_own_text(number: int) -> None:
    said = reason_of(OSError(number, os.strerror(number), "file"))
    assert foreign(said) == []
    assert os.strerror(number) not in said
