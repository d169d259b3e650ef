"""The rule table to the letter: what a refusal of a rule says, what cannot be answered, what a table's version counts."""

from __future__ import annotations

from typing import Any

import pytest

from backstay import Rule
from backstay.canonical import digest
from backstay.errors import AuthorError, NotAllowed
from backstay.governance.approvals import check_decider, check_person, folded
from backstay.governance.policy import AGENTS, BASELINE, DENIED, Facts, Policy

NOON = "2026-01-05T12:00:00.000000Z"
POST = Facts("post", "write", "buy")


def rule(id: str, verdict: Any, **fields: Any) -> Rule:
    return Rule(id=id, verdict=verdict, **{"effect": "write", "owner": "ann", **fields})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"verdict": "no"}, "policy rule 'r' has verdict 'no' for effect 'write'; use one of "),
        ({"effect": "no"}, "policy rule 'r' has verdict 'deny' for effect 'no'; use one of "),
        ({"autonomy": "no"}, "policy rule 'r' has autonomy 'no'; use one of recommend, propose, execute, or '*'"),
        (
            {"verdict": "allow", "effect": "*"},
            "policy rule 'r' lets irreversible actions pass without a person: "
            "name an owner and an expiry, or restrict it with effect='read' or 'write'",
        ),
        (
            {"expires": "soon"},
            "policy rule 'r' expires 'soon', which is no date or moment; write for example '2027-03-31'",
        ),
    ],
    ids=["verdict", "effect", "autonomy", "open", "expiry"],
)
def test_a_rule_that_cannot_count_is_refused_in_these_words(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(AuthorError) as refused:
        Policy([rule("r", **{"verdict": "deny", **fields})])
    assert str(refused.value).startswith(words)


def test_two_rules_of_one_id_are_refused_in_these_words() -> None:
    with pytest.raises(AuthorError) as refused:
        Policy([rule("r", "deny"), rule("r", "hold")])
    assert str(refused.value) == "policy rule 'r' stands twice; give each rule its own id"


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({"amount": 600}, ""),
        ({"amount": 7}, "no rule"),
        ({}, "'amount > 500' cannot be answered: "),
        (None, "'amount > 500' cannot be answered: "),
        ({"amount": "much"}, "'amount > 500' cannot be answered: "),
    ],
)
def test_a_condition_without_an_answer_denies_and_says_so(args: Any, reason: str) -> None:
    decided = Policy([rule("r", "hold", when="amount > 500")]).decide(POST, lambda: NOON, args)
    if reason == "no rule":
        assert decided == BASELINE[1]
    elif reason:
        assert (decided.id, decided.verdict) == ("r", "deny")
        assert decided.reason.startswith(reason)
    else:
        assert (decided.id, decided.verdict, decided.reason) == ("r", "hold", "")


def test_the_moment_is_asked_for_only_where_a_rule_expires() -> None:
    asked: list[str] = []

    def now() -> str:
        asked.append(NOON)
        return NOON

    Policy([rule("r", "deny")]).decide(POST, now)
    assert asked == []
    assert Policy([rule("q", "hold"), rule("r", "deny", expires="2026-01-04")]).decide(POST, now).id == "q"
    assert Policy([rule("r", "deny", expires="2026-01-04"), rule("q", "hold")]).decide(POST, now).id == "q"
    assert asked == [NOON, NOON]


def test_what_no_rule_speaks_of_is_denied() -> None:
    nothing: Any = "unheard-of"
    decided = Policy().decide(Facts("post", nothing, "buy"), lambda: NOON)
    assert decided == DENIED
    assert (decided.id, decided.verdict, decided.owner) == ("no-rule", "deny", "backstay")
    assert decided.reason == "no rule of the policy allows it"


def test_rules_that_speak_of_a_call_are_listed_in_their_order() -> None:
    rules = [
        rule("late", "deny", expires="2026-01-05T12:00:00Z"),
        rule("in-time", "hold", expires="2026-01-05T12:00:01Z"),
        rule("dear", "hold", when="amount > 500"),
        rule("cheap", "hold", when="amount <= 500"),
        rule("unanswered", "deny", when="colour == 'red'"),
        rule("elsewhere", "deny", workflow="sell"),
        rule("other", "deny", action="pay"),
        rule("agents", "deny", agent="?*"),
        rule("executing", "deny", autonomy="execute"),
        rule("any", "hold", effect="*"),
    ]
    policy = Policy(rules)
    found = [each.id for each in policy.matching(POST, NOON, {"amount": 600})]
    assert found == ["in-time", "dear", "unanswered", "any"]
    helper = Facts("post", "write", "buy", "helper", "execute")
    assert [each.id for each in policy.about(helper)] == [
        "late", "in-time", "dear", "cheap", "unanswered", "agents", "executing", "any",
    ]  # fmt: skip


def test_the_version_of_a_table_counts_what_its_rules_say_and_not_what_they_leave_out() -> None:
    told = {
        "id": "r", "verdict": "deny", "action": "*", "effect": "write", "workflow": "*", "owner": "ann", "reason": "",
        "approvers": "",
    }  # fmt: skip
    assert Policy([rule("r", "deny")]).digest == digest([told])
    more = {"agent": "?*", "autonomy": "execute", "when": "amount > 5"}
    assert Policy([rule("r", "deny", **more)]).digest == digest([{**told, **more}])
    assert Policy([rule("r", "deny", expires="2027-03-31")]).digest == digest([{**told, "expires": "2027-03-31"}])
    assert Policy().digest == digest([])


@pytest.mark.parametrize(
    ("autonomy", "verdict", "reason"),
    [
        ("recommend", "draft", "this agent recommends: what it would do is written down, and not done"),
        ("propose", "hold", "this agent proposes: a person decides"),
    ],
)
@pytest.mark.parametrize("effect", ["write", "irreversible"])
def test_an_agents_autonomy_decides_where_the_table_is_silent(
    autonomy: Any, verdict: str, reason: str, effect: Any
) -> None:
    decided = Policy().decide(Facts("post", effect, "buy", "helper", autonomy), lambda: NOON)
    assert decided in AGENTS
    assert (decided.id, decided.verdict, decided.reason, decided.owner) == (
        f"baseline-{autonomy}-{effect}", verdict, reason, "backstay",
    )  # fmt: skip


# --- who decides --------------------------------------------------------------------------------------------------


def test_whoever_may_not_decide_is_told_why_in_these_words() -> None:
    for given, words in (
        ({"by": "Ann "}, "'Ann ' asked for this and cannot also approve it; somebody else must decide"),
        (
            {"by": "bob", "claimed_by": "Cid"},
            "'Cid' has claimed this item; it must be released before 'bob' can decide",
        ),
        ({"by": " "}, "every change needs the name of who asks for it, and a decision a person's name"),
    ):
        with pytest.raises(NotAllowed) as refused:
            check_decider(**{"requester": "ann", "claimed_by": None, **given})  # type: ignore[arg-type]
        assert str(refused.value) == words
    check_decider(by="bob", requester="ann", claimed_by="BOB")


@pytest.mark.parametrize("name", ["", " ", "\u200b", None, 7])
def test_nobody_is_nobody_however_written(name: Any) -> None:
    with pytest.raises(NotAllowed):
        check_person(name)


def test_a_name_is_folded_and_keeps_its_words_apart() -> None:
    assert folded(" ＡＮＮ\u200b  of the\tSTRASSE ") == "ann of the strasse"
    assert folded("Straße") == "strasse"
