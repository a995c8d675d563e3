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
    """The decision about a track, and the reason. ``uncertain`` asks a reviewer to look first."""

    decision: Literal["blur", "keep"]
    uncertain: bool
    reason: str


Policy = Callable[[Match | None, str], Verdict]
"""Takes a track's match and the name of the matched person ("" without one)."""


def listed(match: Match | None, name: str) -> Verdict:
    """Hide everybody who is, or may be, one of the people given."""
    if match is None:
        return Verdict("keep", uncertain=False, reason="like nobody listed")
    if match.standing == "sure":
        return Verdict("blur", uncertain=False, reason=f"matches {name}")
    if match.standing == "doubtful":
        return Verdict("blur", uncertain=True, reason=f"may be {name}")
    if match.standing == "unclear":
        return Verdict("blur", uncertain=True, reason=f"cannot tell: {match.flaw}")
    return Verdict("keep", uncertain=True, reason=f"like {name}, who is somebody else here")


def listed_if_clear(match: Match | None, name: str) -> Verdict:
    """The same, but keep faces that are too weak to tell."""
    verdict = listed(match, name)
    if match is None or match.standing != "unclear":
        return verdict
    return Verdict("keep", uncertain=True, reason=verdict.reason)


def others(match: Match | None, name: str) -> Verdict:
    """Hide everybody who is not surely one of the people given."""
    if match is None:
        return Verdict("blur", uncertain=False, reason="like nobody to keep")
    if match.standing == "sure":
        return Verdict("keep", uncertain=False, reason=f"matches {name}")
    if match.standing == "unclear":
        return Verdict("blur", uncertain=True, reason=f"cannot tell: {match.flaw}")
    return Verdict("blur", uncertain=True, reason=f"not surely {name}")


def everyone(match: Match | None, name: str) -> Verdict:  # noqa: ARG001 - one signature for all
    """Hide every face."""
    return Verdict("blur", uncertain=False, reason="everyone is hidden")


POLICIES: dict[str, Policy] = {"listed": listed, "others": others, "everyone": everyone}
"""Policies by the setting ``blur``."""


def policy_for(blur: str, unclear: str) -> Policy:
    """The policy of the settings ``blur`` and ``unclear``; only ``listed`` can keep weak faces."""
    return listed_if_clear if (blur, unclear) == ("listed", "keep") else POLICIES[blur]
