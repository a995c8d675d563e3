"""The contract of all policies, and the verdict of each on every kind of match."""

import pytest

from app.config import Settings
from app.identity.matching import Match, Standing
from app.identity.policies import POLICIES, Policy, listed_if_clear, policy_for

each_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
STANDINGS: tuple[Standing | None, ...] = ("sure", "doubtful", "excluded", "unclear", None)

TABLE = {
    ("listed", "sure"): ("blur", False, "matches alice"),
    ("listed", "doubtful"): ("blur", True, "may be alice"),
    ("listed", "excluded"): ("keep", True, "similar to alice, but alice is another face here"),
    ("listed", "unclear"): ("blur", True, "cannot be recognised: in profile"),
    ("listed", None): ("keep", False, "matches no listed person"),
    ("others", "sure"): ("keep", False, "matches alice"),
    ("others", "doubtful"): ("blur", True, "may not be alice"),
    ("others", "excluded"): ("blur", True, "may not be alice"),
    ("others", "unclear"): ("blur", True, "cannot be recognised: in profile"),
    ("others", None): ("blur", False, "matches no person to keep"),
    ("everyone", "sure"): ("blur", False, "everyone is hidden"),
    ("everyone", "doubtful"): ("blur", False, "everyone is hidden"),
    ("everyone", "excluded"): ("blur", False, "everyone is hidden"),
    ("everyone", "unclear"): ("blur", False, "everyone is hidden"),
    ("everyone", None): ("blur", False, "everyone is hidden"),
}


def found(standing: Standing | None) -> Match | None:
    if standing == "unclear":
        return Match(None, None, standing, "in profile")
    return None if standing is None else Match(0, 0.95, standing)


def test_the_table_has_every_policy_and_standing() -> None:
    assert set(TABLE) == {(name, standing) for name in POLICIES for standing in STANDINGS}


def test_unclear_faces_are_kept_only_with_listed() -> None:
    assert policy_for("listed", "keep") is listed_if_clear
    for blur in POLICIES:
        assert policy_for(blur, "hide") is POLICIES[blur]
    assert policy_for("others", "keep") is POLICIES["others"]
    for standing in STANDINGS:
        kept = listed_if_clear(found(standing), "alice")
        assert (kept == POLICIES["listed"](found(standing), "alice")) is (standing != "unclear")
    assert listed_if_clear(found("unclear"), "").decision == "keep"
    assert listed_if_clear(found("unclear"), "").uncertain


def test_every_choice_of_the_settings_is_a_policy() -> None:
    for name in POLICIES:
        assert Settings(blur=name, select="0,1,1").choice == name


@pytest.mark.parametrize(("case", "expected"), TABLE.items(), ids=lambda v: str(v[:2]))
def test_a_policy_decides(
    case: tuple[str, Standing | None], expected: tuple[str, bool, str]
) -> None:
    name, standing = case
    verdict = POLICIES[name](found(standing), "" if standing is None else "alice")
    assert (verdict.decision, verdict.uncertain, verdict.reason) == expected


@each_policy
def test_a_doubtful_match_is_hidden(policy: Policy) -> None:
    assert policy(found("doubtful"), "alice").decision == "blur"


@each_policy
@pytest.mark.parametrize("standing", STANDINGS)
def test_the_reason_is_one_line(policy: Policy, standing: Standing | None) -> None:
    reason = policy(found(standing), "alice").reason
    assert reason
    assert reason == " ".join(reason.split())


@each_policy
@pytest.mark.parametrize("standing", STANDINGS)
def test_a_policy_is_a_pure_function(policy: Policy, standing: Standing | None) -> None:
    assert policy(found(standing), "alice") == policy(found(standing), "alice")
