"""Draw the states of executions as an SVG file: a column for each, from top to bottom."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

_WIDTH, _HEIGHT, _GAP = 230, 22, 10
_TOP, _LEFT = 44, 12
_FILLS = {"task": "#cfe3f7", "choice": "#f6e7bd", "end": "#cdebcf", "failed": "#f4c7c3"}
"""Colours by kind of state: tasks call AWS, choices branch, the last one ends the execution."""
_OTHER = "#ececec"


@dataclass(frozen=True, slots=True)
class State:
    """A state that was entered ``times`` times in a row of the same loop, with its kind."""

    name: str
    kind: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Column:
    """The states of an execution, with its title."""

    title: str
    states: tuple[State, ...]


def column(title: str, history: Iterable[Mapping[str, Any]]) -> Column:
    """Return the states of a history; the rounds of a loop of polls are counted, not repeated.

    >>> event = {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "Poll"}}
    >>> column("a.mp4", [event, event]).states
    (State(name='Poll', kind='task', times=2),)
    """
    names: list[str] = []
    counts: list[int] = []
    kinds: dict[str, str] = {}
    for event in history:
        if not event["type"].endswith("StateEntered"):
            continue
        name = str(event["stateEnteredEventDetails"]["name"])
        kinds[name] = event["type"].removesuffix("StateEntered").lower()
        for length in range(1, 1 + _longest_loop(names)):
            if names[-length] == name:
                _fold(names, counts, length)
                break
        else:
            names.append(name)
            counts.append(1)
    kind = {"succeed": "end", "fail": "failed"}
    found = zip(names, counts, strict=True)
    return Column(
        title, tuple(State(name, kind.get(kinds[name], kinds[name]), n) for name, n in found)
    )


def _longest_loop(names: Sequence[str]) -> int:
    """Return the length of the longest loop: wait, describe, choose, and two that count."""
    return min(5, len(names))


def _fold(names: list[str], counts: list[int], length: int) -> None:
    """Count the first state of a loop again, and the others when they are entered."""
    place = len(names) - length
    counts[place] += 1
    # The others of the loop move behind it when they come again.
    names.append(names.pop(place))
    counts.append(counts.pop(place))


def draw(columns: Sequence[Column]) -> str:
    """Return an SVG image of some executions."""
    rows = max(len(one.states) for one in columns)
    width = _LEFT + len(columns) * (_WIDTH + 2 * _LEFT)
    height = _TOP + rows * (_HEIGHT + _GAP) + _GAP
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    font = 'font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for number, one in enumerate(columns):
        parts += _column(one, _LEFT + number * (_WIDTH + 2 * _LEFT))
    return "\n".join([*parts, "</svg>", ""])


def _column(one: Column, x: int) -> list[str]:
    middle = x + _WIDTH // 2
    parts = [_text(middle, 26, one.title, ' font-weight="bold"')]
    for number, state in enumerate(one.states):
        y = _TOP + number * (_HEIGHT + _GAP)
        if number:
            parts.append(f'<path d="M{middle} {y - _GAP}v{_GAP}" stroke="#888888"/>')
        fill = _FILLS.get(state.kind, _OTHER)
        size = f'width="{_WIDTH}" height="{_HEIGHT}" rx="5"'
        parts.append(f'<rect x="{x}" y="{y}" {size} fill="{fill}" stroke="#888888"/>')
        times = f" ({state.times} times)" if state.times > 1 else ""
        parts.append(_text(middle, y + 15, state.name + times))
    return parts


def _text(x: int, y: int, text: str, style: str = "") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="middle"{style}>{escape(text)}</text>'
