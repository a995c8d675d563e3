"""Policies decide who is hidden: pure functions of the match of a track.

When in doubt, hide. With ``listed``, a doubtful match is hidden because it may be a listed person.
With ``others``, it is hidden because it may not be one of the people to keep.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from app.identity.matching import Match


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision about a track, and its reason. Reviewers see ``uncertain`` ones first."""

    decision: Literal["blur", "keep"]
    uncertain: bool
    reason: str


Policy = Callable[[Match | None, str], Verdict]
"""Takes the match of a track and the name of the matched person ("" without a match)."""


def listed(match: Match | None, name: str) -> Verdict:
    """Hide everybody who is, or may be, one of the listed people."""
    if match is None:
        return Verdict("keep", uncertain=False, reason="matches no listed person")
    if match.standing == "sure":
        return Verdict("blur", uncertain=False, reason=f"matches {name}")
    if match.standing == "doubtful":
        return Verdict("blur", uncertain=True, reason=f"may be {name}")
    if match.standing == "unclear":
        return Verdict("blur", uncertain=True, reason=f"cannot be recognised: {match.flaw}")
    return Verdict(
        "keep", uncertain=True, reason=f"similar to {name}, but {name} is another face here"
    )


def listed_if_clear(match: Match | None, name: str) -> Verdict:
    """Decide as ``listed``, but keep faces in which nobody can be recognised."""
    verdict = listed(match, name)
    if match is None or match.standing != "unclear":
        return verdict
    return Verdict("keep", uncertain=True, reason=verdict.reason)


def others(match: Match | None, name: str) -> Verdict:
    """Hide everybody who is not surely one of the listed people."""
    if match is None:
        return Verdict("blur", uncertain=False, reason="matches no person to keep")
    if match.standing == "sure":
        return Verdict("keep", uncertain=False, reason=f"matches {name}")
    if match.standing == "unclear":
        return Verdict("blur", uncertain=True, reason=f"cannot be recognised: {match.flaw}")
    return Verdict("blur", uncertain=True, reason=f"may not be {name}")


def everyone(match: Match | None, name: str) -> Verdict:  # noqa: ARG001 - one signature for all
    """Hide every face."""
    return Verdict("blur", uncertain=False, reason="everyone is hidden")


POLICIES: dict[str, Policy] = {"listed": listed, "others": others, "everyone": everyone}
"""Policies by the setting ``blur``."""


def policy_for(blur: str, unclear: str) -> Policy:
    """Return the policy of the settings ``blur`` and ``unclear``.

    Only ``listed`` can keep unclear faces.
    """
    return listed_if_clear if (blur, unclear) == ("listed", "keep") else POLICIES[blur]
