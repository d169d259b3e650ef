"""What a decision is bound to: digests that stay what they are, and differ with everything that was decided about."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from backstay import Rule
from backstay.errors import AuthorError, NotAllowed
from backstay.governance.approvals import call_digest, check_decider, proposal_digest
from backstay.governance.policy import Facts, Policy

CALL: dict[str, Any] = {"version": "v1", "action": "pay", "interface": "i1", "args": {"amount": "7"}}
PROPOSAL: dict[str, Any] = {"call": "c", "policy": "p", "show": {"what": "a desk"}, "evidence": ["offer.pdf"]}
HOLD = Rule(id="h", verdict="hold", action="pay", owner="risk")


def test_the_digests_are_these_for_ever() -> None:
    """Approvals that are open when a new release is deployed are bound to what the old one computed."""
    assert call_digest(**CALL) == "79f7d7072219302e6277bea93aa0532ca75d8aab030d575c151416d8aadf5716"
    assert proposal_digest(**PROPOSAL) == "12eed205ce2d1a7a2465f040c86c24875e3ac5526b0b787bd66d066ce4663e45"
    assert Policy().digest == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"


def test_large_values_that_were_shown_count_by_their_digests_and_no_other_reference_does() -> None:
    shown = {"/show/scan": "blob:ab", "/show/name": "seal:pii:1", "/args/x": "blob:cd"}
    assert proposal_digest(**PROPOSAL, refs=shown) == "0860c4e2907b5d3214c37f2bd1283dd2dd8a8a8463c828a7085a9b824176e503"
    assert proposal_digest(**PROPOSAL, refs={"/show/scan": "blob:ab"}) == proposal_digest(**PROPOSAL, refs=shown)
    assert proposal_digest(**PROPOSAL, refs={"/show/name": "seal:pii:1"}) == proposal_digest(**PROPOSAL)


@pytest.mark.parametrize("field", CALL)
def test_another_call_has_another_digest(field: str) -> None:
    assert call_digest(**{**CALL, field: "other"}) != call_digest(**CALL)


@pytest.mark.parametrize("field", PROPOSAL)
def test_another_proposal_has_another_digest(field: str) -> None:
    assert proposal_digest(**{**PROPOSAL, field: "other"}) != proposal_digest(**PROPOSAL)


@pytest.mark.parametrize(
    "other",
    [{"id": "i"}, {"verdict": "deny"}, {"action": "p*"}, {"effect": "read"}, {"workflow": "w"}, {"reason": "r"}],
)
def test_another_rule_is_another_version_of_the_policy(other: dict[str, Any]) -> None:
    changed = Rule(**{"id": "h", "verdict": "hold", "action": "pay", "owner": "risk", **other})
    assert len({Policy([rule]).digest for rule in (HOLD, changed)} | {Policy().digest}) == 3


@pytest.mark.parametrize("by", [None, 7, "", " ", "\u200b"])
def test_nobody_decides_namelessly(by: Any) -> None:
    with pytest.raises(NotAllowed, match="^every change needs the name of who asks for it, and .* a person's name$"):
        check_decider(by=by, requester="ann", claimed_by=None)


# --- the rule table ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "help"),
    [
        ({"verdict": "alow"}, r"use one of deny, (draft, )?hold, allow for one of \*, read, write, irreversible$"),
        ({"effect": "wirte"}, r"use one of deny, (draft, )?hold, allow for one of \*, read, write, irreversible$"),
        ({"verdict": "allow"}, "without a person: name an owner and an expiry, or restrict it with effect='read' or 'write'$"),
    ],
)  # fmt: skip
def test_a_refused_rule_says_what_to_write_instead(rule: dict[str, Any], help: str) -> None:
    with pytest.raises(AuthorError, match=help):
        Policy([Rule(**{"id": "r", "verdict": "deny", **rule})])


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker whose machine is nine hours ahead."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("tokyo")
@pytest.mark.parametrize("expires", ["2026-01-05", "2026-01-06T00:00:00"])
def test_an_expiry_without_a_zone_is_in_utc_wherever_the_worker_is(expires: str) -> None:
    policy, facts = Policy([Rule(id="r", verdict="deny", expires=expires)]), Facts("pay", "write", "buy")
    assert policy.decide(facts, lambda: "2026-01-05T23:59:59.999999Z").id == "r"
    assert policy.decide(facts, lambda: "2026-01-06T00:00:00.000000Z").id == "baseline-writes"
