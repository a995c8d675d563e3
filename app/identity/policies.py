"""Whom to hide: pure functions of a track's match, one for each way to choose.

When in doubt, hide. With ``listed`` a doubtful match is hidden because it may be a listed person;
with ``others`` it is hidden because it is not surely one of those to keep.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from app.identity.matching import Match


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is done with a track, and why. ``uncertain`` asks a reviewer to look first."""

    decision: Literal["blur", "keep"]
    uncertain: bool
    reason: str


Policy = Callable[[Match | None, str], Verdict]
"""Takes a track's match and the name of the matched person ("" without a match)."""


def listed(match: Match | None, name: str) -> Verdict:
    """Hide whoever is, or may be, one of the people given."""
    if match is None:
        return Verdict("keep", uncertain=False, reason="like nobody listed")
    if match.standing == "sure":
        return Verdict("blur", uncertain=False, reason=f"matches {name}")
    if match.standing == "doubtful":
        return Verdict("blur", uncertain=True, reason=f"may be {name}")
    return Verdict("keep", uncertain=True, reason=f"like {name}, who is somebody else here")


def others(match: Match | None, name: str) -> Verdict:
    """Hide whoever is not surely one of the people given."""
    if match is None:
        return Verdict("blur", uncertain=False, reason="like nobody to keep")
    if match.standing == "sure":
        return Verdict("keep", uncertain=False, reason=f"matches {name}")
    return Verdict("blur", uncertain=True, reason=f"not surely {name}")


def everyone(match: Match | None, name: str) -> Verdict:  # noqa: ARG001 - one signature for all
    """Hide every face."""
    return Verdict("blur", uncertain=False, reason="everyone is hidden")


POLICIES: dict[str, Policy] = {"listed": listed, "others": others, "everyone": everyone}
