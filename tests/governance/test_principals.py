"""Who may do what: every role with every capability, chains, substitutes, keys, and names however they are typed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay import App
from backstay.errors import Conflict, InvalidInput, NotAllowed, NotFound
from backstay.events import Noted, SystemRecorded
from backstay.governance.keys import KEY, hash_of, id_of, new_key
from backstay.governance.principals import (
    ABOUT,
    BY_KIND,
    CAPABILITIES,
    FOR_PEOPLE,
    NO_KEY,
    PERSONAL,
    Capability,
    Directory,
    Entry,
    Kind,
    Role,
)
from backstay.governance.registration import (
    delegated,
    delegation_ended,
    key_made,
    key_revoked,
    registered,
    revoked,
)
from backstay.testing import harness

NOW = "2026-01-05T09:00:00.000000Z"
LATER = "2026-02-01T00:00:00.000000Z"

MAY = {
    "viewer": "see",
    "operator": "see start signal cancel work settle retry switch reassign delegate",
    "approver": "see work decide delegate",
    "author": "see start signal",
    "risk-owner": "see switch policy",
    "auditor": "see audit",
    "administrator": "see manage-people erase",
}
"""Written a second time on purpose: whoever changes the table changes what people may do."""


class Office:
    """A directory with its administrator, to which entries are added as the engine adds them."""

    def __init__(self) -> None:
        self.directory = Directory()
        self.entries: list[Entry] = []
        self.add("root", roles=["administrator"])

    def record(self, *entries: Entry) -> None:
        for entry in entries:
            self.entries.append(entry)
            self.directory.apply(event_of(entry))

    def add(self, name: str, *, by: str = "root", **more: Any) -> None:
        self.record(registered(self.directory, name, by=by, **more))

    def revoke(self, name: str, by: str = "root") -> None:
        self.record(*revoked(self.directory, name, by=by))

    def key(self, name: str, *, by: str, expires: str | None = None, seed: int = 1) -> str:
        text, hash = new_key(random.Random(seed).getrandbits)
        self.record(key_made(self.directory, name, id=id_of(text), hash=hash, expires=expires, at=NOW, by=by))
        return text

    def delegate(self, giver: str, to: str, *, until: str = LATER, **more: Any) -> None:
        self.record(delegated(self.directory, giver, to, until=until, at=NOW, **{"by": giver, **more}))


def event_of(entry: Entry) -> SystemRecorded:
    return SystemRecorded(at=NOW, by="root", what=entry.what, subject=entry.subject, detail=entry.detail)


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def treasury(office: Office) -> Office:
    """Ann and bob approve; cas and dora could stand in."""
    for name in ("ann", "bob", "cas", "dora", "eve"):
        office.add(name, roles=["approver"], groups=["treasury"] if name in ("ann", "bob") else [])
    return office


# --- roles ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", get_args(Role))
@pytest.mark.parametrize("capability", get_args(Capability))
def test_a_person_of_a_role_may_exactly_this(office: Office, role: Role, capability: Capability) -> None:
    office.add("ann", roles=[role])
    allowed = capability in MAY[role].split()
    assert (capability in office.directory.capabilities("ann")) == allowed
    if allowed:
        office.directory.check("ann", capability)
        return
    with pytest.raises(NotAllowed) as denied:
        office.directory.check("ann", capability)
    told = str(denied.value)
    assert f"'ann' is {role}" in told
    assert repr(capability) in told
    assert all(f"role {holder}" in told for holder, what in MAY.items() if capability in what.split())


@pytest.mark.parametrize("kind", ["service", "agent"])
@pytest.mark.parametrize("role", sorted(set(get_args(Role)) - FOR_PEOPLE))
@pytest.mark.parametrize("capability", get_args(Capability))
def test_a_service_or_agent_may_nothing_that_is_personal(
    office: Office, kind: Kind, role: Role, capability: Capability
) -> None:
    office.add("bot", kind=kind, roles=[role])
    own = {"service": {"start", "signal"}, "agent": set[str]()}[kind]
    personal = {"decide", "settle", "delegate", "manage-people", "erase", "policy"}
    allowed = capability in ({*MAY[role].split()} | own) - personal
    assert (capability in office.directory.capabilities("bot")) == allowed


@pytest.mark.parametrize("kind", ["service", "agent"])
@pytest.mark.parametrize("role", ["approver", "risk-owner", "administrator"])
def test_a_role_for_people_is_not_given_to_a_program(office: Office, kind: str, role: str) -> None:
    with pytest.raises(InvalidInput, match="is for people") as refused:
        office.add("bot", kind=kind, roles=[role])
    assert refused.value.fields == {"roles": "is for people"}


def test_the_tables_are_whole() -> None:
    assert tuple(CAPABILITIES) == get_args(Role)
    assert tuple(ABOUT) == get_args(Capability)
    assert tuple(BY_KIND) == get_args(Kind)
    assert frozenset().union(*CAPABILITIES.values()) == frozenset(ABOUT)
    assert all(CAPABILITIES[role] & PERSONAL for role in FOR_PEOPLE)


def test_the_page_in_the_docs_shows_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "roles.md").read_text("utf-8")
    rows = [f"| | {' | '.join(get_args(Role))} |", "|---" * (len(CAPABILITIES) + 1) + "|"]
    for capability, about in ABOUT.items():
        marks = ["yes" if capability in CAPABILITIES[role] else "" for role in get_args(Role)]
        person = " *" if capability in PERSONAL else ""
        rows.append(f"| `{capability}`{person}: {about} | {' | '.join(marks)} |")
    assert "\n".join(rows) in page, "the table of docs/roles.md should be:\n" + "\n".join(rows)


def test_roles_add_up_and_change(office: Office) -> None:
    office.add("ann", roles=["viewer", "approver"])
    office.directory.check("ann", "decide")
    office.add("ann", roles=["auditor"])
    assert office.directory.capabilities("ann") == {"see", "audit"}
    office.add("ann")
    assert office.directory.capabilities("ann") == set()


# --- who is registered ----------------------------------------------------------------------------------


def test_an_open_installation_trusts_names_and_a_closed_one_does_not(office: Office) -> None:
    nobody = Directory()
    assert nobody.empty
    nobody.check("whoever", "decide")
    with pytest.raises(NotAllowed, match="name"):
        nobody.check(" \u200b", "decide")
    assert not office.directory.empty
    with pytest.raises(NotAllowed, match="'whoever' is not registered .* may not 'decide': that takes role approver"):
        office.directory.check("whoever", "decide")


@pytest.mark.parametrize("more", [{}, {"roles": ["operator"]}, {"kind": "service"}])
def test_the_first_one_is_an_administrator(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="the first to be registered"):
        registered(Directory(), "ann", by="ann", **more)


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "a\x07b"}),
        ("name", {"name": "group:treasury"}),
        ("name", {"name": "an\u200bn"}),
        ("name", {"name": "x" * 101}),
        ("name", {"name": 7}),
        ("kind", {"kind": "robot"}),
        ("roles", {"roles": ["king"]}),
        ("roles", {"roles": "viewer"}),
        ("roles", {"roles": [None]}),
        ("groups", {"groups": ["role:approver"]}),
        ("groups", {"groups": "treasury"}),
        ("acts_for", {"acts_for": "root"}),
    ],
)
def test_what_will_not_do_is_named_by_its_field(office: Office, field: str, more: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        office.add(more.pop("name", "ann"), **more)
    assert field in refused.value.fields


def test_only_an_administrator_registers_and_nobody_gives_themselves_anything(office: Office) -> None:
    office.add("ann", roles=["operator", "approver", "author", "risk-owner", "auditor", "viewer"])
    with pytest.raises(NotAllowed, match="manage-people"):
        office.add("eve", by="ann")
    with pytest.raises(NotAllowed, match="cannot give themselves approver"):
        office.add("root", roles=["administrator", "approver"], by="ROOT")
    with pytest.raises(NotAllowed, match="cannot give themselves treasury"):
        office.add("root", roles=["administrator"], groups=["treasury"])


def test_somebody_is_left_who_may_manage_people(office: Office) -> None:
    with pytest.raises(Conflict, match="nobody would be left"):
        office.revoke("root")
    with pytest.raises(Conflict, match="nobody would be left"):
        office.add("root")
    office.add("ann", roles=["administrator"])
    office.revoke("root", by="ann")
    with pytest.raises(NotAllowed, match="'root' is revoked"):
        office.add("eve", by="root")


def test_a_name_keeps_its_kind(office: Office) -> None:
    office.add("bot", kind="agent")
    office.revoke("bot")
    with pytest.raises(InvalidInput, match="'bot' is of kind agent") as refused:
        office.add("bot", roles=["approver"])
    assert "kind" in refused.value.fields


TYPED: Sequence[Callable[[str], str]] = [
    str.upper,
    str.title,
    lambda name: f"  {name} ",
    lambda name: name[0] + "\u200b" + name[1:],
    lambda name: "\u2060" + name + "\u00ad",
    lambda name: "".join(chr(ord(sign) + 0xFEE0) for sign in name),
]
"""Case, spaces, characters that do not show, full width."""


@given(ways=st.lists(st.sampled_from(TYPED), max_size=3).filter(lambda ways: TYPED[-1] not in ways[:-1]))
def test_a_name_is_the_same_however_it_is_typed(ways: list[Callable[[str], str]]) -> None:
    office = Office()
    office.add("zoe", roles=["approver"], groups=["treasury"])
    typed = "zoe"
    for way in reversed(ways):
        typed = way(typed)
    directory = office.directory
    assert (found := directory.find(typed)) is not None
    assert found.id == "zoe"
    directory.check(typed, "decide")
    assert directory.covers(typed, ["zoe"])
    assert directory.covers("zoe", [typed])
    assert directory.stands_in(typed, ["group:TREASURY"], NOW) == "zoe"
    assert directory.persons_behind(typed) == {"zoe"}
    office.revoke(typed)
    assert directory.capabilities("zoe") == set()


def test_a_revoked_one_may_nothing_and_is_not_forgotten(office: Office) -> None:
    office.add("ann", roles=["approver"])
    office.revoke("ann")
    with pytest.raises(NotAllowed, match="'ann' is revoked and may not 'see'$"):
        office.directory.check("ann", "see")
    assert not office.directory.covers("ann", ["ann", "role:approver"])
    assert office.directory.persons_behind("ann") == {"ann"}
    with pytest.raises(Conflict, match="revoked already"):
        office.revoke("ann")
    with pytest.raises(NotFound):
        office.revoke("nobody")


def test_events_about_other_things_are_passed_over(office: Office) -> None:
    before = office.directory.principals
    office.directory.apply(SystemRecorded(at=NOW, what="switch", subject="all", detail={"off": True}))
    office.directory.apply(Noted(at=NOW, command="1", site="s", text="principal"))
    assert office.directory.principals == before


# --- acting for somebody --------------------------------------------------------------------------------


def test_persons_behind_are_found_through_the_chain(office: Office) -> None:
    office.add("ann", roles=["viewer"])
    office.add("crm", kind="service", acts_for="ann")
    office.add("writer", kind="agent", acts_for="crm")
    office.add("cron", kind="service")
    assert office.directory.persons_behind("WRITER") == {"ann"}
    assert office.directory.persons_behind("cron") == set()
    assert office.directory.persons_behind("Stranger") == office.directory.persons_behind("stranger")


def test_a_chain_has_at_most_three_links_from_either_end(office: Office) -> None:
    office.add("a1", kind="agent", acts_for="root", roles=["viewer"])
    office.add("a2", kind="agent", acts_for="a1", roles=["viewer"])
    office.add("a3", kind="agent", acts_for="a2", roles=["viewer"])
    office.directory.check("a3", "see")
    with pytest.raises(InvalidInput, match="at most 3 links"):
        office.add("a4", kind="agent", acts_for="a3")
    office.add("front", kind="service", acts_for="root")
    with pytest.raises(InvalidInput, match="at most 3 links") as refused:
        office.add("a1", kind="agent", acts_for="front")
    assert "acts_for" in refused.value.fields


def test_a_circle_is_refused_and_one_that_was_recorded_gives_nothing(office: Office) -> None:
    office.add("a1", kind="agent")
    office.add("a2", kind="agent", acts_for="a1")
    with pytest.raises(InvalidInput, match="a circle"):
        office.add("a1", kind="agent", acts_for="a2")
    with pytest.raises(InvalidInput, match="a circle"):
        office.add("a1", kind="agent", acts_for="A1")
    round_corner = {"kind": "agent", "roles": ["viewer"], "groups": [], "acts_for": "a2"}
    office.record(Entry("principal", "a1", round_corner))
    assert office.directory.capabilities("a1") == set()
    assert office.directory.persons_behind("a1") == set()
    with pytest.raises(NotAllowed, match="broken or longer than 3"):
        office.directory.check("a1", "see")


def test_who_acts_for_a_revoked_one_stops_too(office: Office) -> None:
    office.add("ann")
    office.add("crm", kind="service", acts_for="ann")
    office.add("bot", kind="agent", roles=["viewer"], acts_for="crm")
    office.revoke("ann")
    with pytest.raises(NotAllowed, match="'bot' acts for 'ann', who is revoked, and may not 'see'"):
        office.directory.check("bot", "see")
    assert office.directory.persons_behind("bot") == {"ann"}
    with pytest.raises(InvalidInput, match="revoked"):
        office.add("bot2", kind="agent", acts_for="ann")
    with pytest.raises(NotFound):
        office.add("bot2", kind="agent", acts_for="nobody")


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=14))
def test_no_sequence_of_registrations_makes_a_long_chain_or_a_circle(pairs: list[tuple[int, int]]) -> None:
    office = Office()
    for number in range(6):
        office.add(f"a{number}", kind="agent", roles=["viewer"])
    for one, other in pairs:
        try:
            office.add(f"a{one}", kind="agent", roles=["viewer"], acts_for=f"a{other}")
        except InvalidInput:
            continue
    for number in range(6):
        assert len(office.directory.chain(f"a{number}")) <= 4
        office.directory.check(f"a{number}", "see")


# --- members and substitutes ------------------------------------------------------------------------------


def test_members_are_names_groups_and_roles(treasury: Office) -> None:
    covers = treasury.directory.covers
    assert covers("ann", ["ann"])
    assert covers("ann", ("bob", "group:treasury"))
    assert covers("cas", ("role:approver",))
    assert not covers("cas", ("ann", "group:treasury", "role:administrator"))
    assert not covers("ann", ())
    assert not covers("stranger", ("stranger", "group:treasury"))


def test_in_an_open_installation_nobody_knows_who_is_in_a_group() -> None:
    nobody = Directory()
    assert nobody.covers("ann", ("ann",))
    assert not nobody.covers("bob", ("ann",))
    assert nobody.covers("bob", ("group:treasury",))
    assert not nobody.covers(" ", ("group:treasury",))
    assert nobody.stands_in("bob", ("ann",), NOW) is None
    nobody.apply(event_of(delegated(nobody, "ann", "bob", until=LATER, at=NOW, by="ann")))
    assert nobody.stands_in("BOB", ("ann",), NOW) == "ann"


def test_a_member_stands_for_themselves_first(treasury: Office) -> None:
    treasury.delegate("ann", "bob")
    assert treasury.directory.stands_in("bob", ("group:treasury",), NOW) == "bob"
    assert treasury.directory.stands_in("bob", ("ann",), NOW) == "ann"


def test_a_delegation_counts_from_its_beginning_until_just_before_its_end(treasury: Office) -> None:
    treasury.delegate("ann", "cas", start="2026-01-10T01:00:00+01:00", until="2026-01-20T00:00:00Z")
    stands_in = treasury.directory.stands_in
    assert stands_in("cas", ("ann",), "2026-01-09T23:59:59.999999Z") is None
    assert stands_in("cas", ("ann",), "2026-01-10T00:00:00.000000Z") == "ann"
    assert stands_in("cas", ("ann",), "2026-01-19T23:59:59.999999Z") == "ann"
    assert stands_in("cas", ("ann",), "2026-01-20T00:00:00.000000Z") is None
    assert stands_in("cas", ("ann",), "2026-01-20T00:59:59+01:00") == "ann"


@given(at=st.integers(0, 60), start=st.integers(0, 60), length=st.integers(1, 60))
def test_the_exact_moment_of_expiry_is_too_late(at: int, start: int, length: int) -> None:
    office = Office()
    office.add("ann", roles=["approver"])
    office.add("bob", roles=["approver"])

    def minute(number: int) -> str:
        return f"2026-03-01T{number // 60:02d}:{number % 60:02d}:00.000000Z"

    office.delegate("ann", "bob", start=minute(start), until=minute(start + length))
    found = office.directory.stands_in("bob", ("ann",), minute(at))
    assert (found == "ann") == (start <= at < start + length)


def test_a_delegation_may_be_for_one_queue(treasury: Office) -> None:
    treasury.delegate("ann", "cas", queue="payments")
    stands_in = treasury.directory.stands_in
    assert stands_in("cas", ("ann",), NOW, "payments") == "ann"
    assert stands_in("cas", ("ann",), NOW, "claims") is None
    assert stands_in("cas", ("ann",), NOW) is None
    treasury.delegate("ann", "cas")
    assert stands_in("cas", ("ann",), NOW, "claims") == "ann"
    treasury.record(delegation_ended(treasury.directory, "ann", "cas", queue="payments", by="cas"))
    assert stands_in("cas", ("ann",), NOW, "payments") == "ann"
    treasury.record(delegation_ended(treasury.directory, "ann", "cas", by="ann"))
    assert stands_in("cas", ("ann",), NOW, "payments") is None
    with pytest.raises(NotFound):
        delegation_ended(treasury.directory, "ann", "cas", by="ann")


def test_a_chain_of_substitutes_has_three_links_and_ends_at_a_circle(treasury: Office) -> None:
    stands_in = treasury.directory.stands_in
    for giver, to in (("ann", "bob"), ("bob", "cas"), ("cas", "dora"), ("dora", "eve")):
        treasury.delegate(giver, to)
    assert stands_in("dora", ("ann",), NOW) == "ann"
    assert stands_in("eve", ("ann",), NOW) is None
    assert stands_in("eve", ("bob",), NOW) == "bob"
    treasury.delegate("eve", "ann")
    assert stands_in("ann", ("root",), NOW) is None
    treasury.revoke("cas")
    assert stands_in("dora", ("ann",), NOW) is None
    assert stands_in("cas", ("ann",), NOW) is None


def test_what_the_requester_asked_for_is_not_decided_in_their_place(treasury: Office) -> None:
    treasury.add("ann-bot", kind="agent", acts_for="ann")
    treasury.delegate("ann", "dora")
    treasury.delegate("bob", "dora")
    stands_in = treasury.directory.stands_in
    assert stands_in("dora", ("group:treasury",), NOW) == "ann"
    assert stands_in("dora", ("group:treasury",), NOW, requesters=("ann",)) == "bob"
    assert stands_in("dora", ("group:treasury",), NOW, requesters=("crm", "Ann-Bot")) == "bob"
    assert stands_in("dora", ("ann",), NOW, requesters=("ann", "")) is None


NAMES = ("ann", "bob", "cas", "dora", "eve")


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=12), st.sampled_from(NAMES))
def test_somebody_stands_in_exactly_where_a_short_path_leads(pairs: list[tuple[str, str]], name: str) -> None:
    office = Office()
    for each in NAMES:
        office.add(each, roles=["approver"])
    given_to = {(giver, to) for giver, to in pairs if giver != to}
    for giver, to in sorted(given_to):
        office.delegate(giver, to)
    reached = {name}
    for _ in range(3):
        reached |= {giver for giver, to in given_to if to in reached}
    for member in NAMES:
        expected = member if member in reached else None
        assert office.directory.stands_in(name, (member,), NOW) == expected


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("until", {"until": NOW}),
        ("until", {"until": "2025-01-01T00:00:00Z", "start": "2024-12-01T00:00:00Z"}),
        ("until", {"until": "2027-02-01T00:00:00Z"}),
        ("until", {"until": "tomorrow"}),
        ("until", {"until": "2026-02-01"}),
        ("until", {"until": "9999-12-31T23:59:59-23:00"}),
        ("start", {"start": 7}),
        ("to", {"to": "ANN"}),
        ("to", {"to": "root"}),
        ("to", {"to": "bot"}),
        ("queue", {"queue": " "}),
    ],
)
def test_a_delegation_that_will_not_do_is_named_by_its_field(
    treasury: Office, field: str, more: dict[str, Any]
) -> None:
    treasury.add("bot", kind="agent", roles=["operator"])
    with pytest.raises(InvalidInput) as refused:
        treasury.delegate("ann", more.pop("to", "bob"), **more)
    assert field in refused.value.fields


def test_one_names_ones_own_substitute_and_an_administrator_somebody_elses(treasury: Office) -> None:
    treasury.add("ad", roles=["administrator", "approver"])
    with pytest.raises(NotAllowed, match="manage-people"):
        treasury.delegate("ann", "bob", by="bob")
    with pytest.raises(NotAllowed, match="cannot make themselves the substitute"):
        treasury.delegate("ann", "ad", by="AD")
    treasury.delegate("ann", "bob", by="ad")
    assert treasury.directory.stands_in("bob", ("ann",), NOW) == "ann"
    with pytest.raises(NotAllowed, match="manage-people"):
        delegation_ended(treasury.directory, "ann", "bob", by="cas")


def test_delegations_of_a_revoked_one_are_over_when_they_come_back(treasury: Office) -> None:
    treasury.delegate("ann", "cas")
    treasury.delegate("cas", "dora")
    treasury.revoke("cas")
    treasury.add("cas", roles=["approver"])
    assert treasury.directory.stands_in("cas", ("ann",), NOW) is None
    assert treasury.directory.stands_in("dora", ("cas",), NOW) is None


# --- keys -------------------------------------------------------------------------------------------------


def test_a_key_authenticates_and_only_its_hash_is_recorded(office: Office) -> None:
    office.add("crm", kind="service")
    key = office.key("CRM", by="root")
    assert KEY.fullmatch(key)
    assert office.directory.authenticate(key, NOW).id == "crm"
    entry = office.entries[-1]
    assert entry.detail["hash"] == hash_of(key)
    assert key.rpartition("_")[2] not in str(entry)


def test_a_key_has_256_bits_of_chance() -> None:
    asked: list[int] = []

    def entropy(bits: int) -> int:
        asked.append(bits)
        return (1 << bits) - 1

    assert new_key(entropy)[0] == f"bsk_{'f' * 16}_{'f' * 64}"
    assert asked == [64, 256]


def refusal(office: Office, key: str, at: str = NOW) -> str:
    with pytest.raises(NotAllowed) as refused:
        office.directory.authenticate(key, at)
    return str(refused.value)


def test_every_key_that_does_not_count_is_refused_in_the_same_words(office: Office) -> None:
    office.add("crm", kind="service")
    office.add("ann")
    office.add("bot", kind="agent", acts_for="ann")
    good = office.key("crm", by="root", expires=LATER)
    bots, anns = office.key("bot", by="root", seed=2), office.key("ann", by="ann", seed=3)
    assert refusal(office, good, LATER) == NO_KEY
    assert office.directory.authenticate(good, "2026-01-31T23:59:59.999999Z").id == "crm"
    for wrong in (
        "",
        "bsk",
        good[:-1],
        good[:-1] + "g",
        good.upper(),
        f"{good}\n",
        "bsk_\udc80",
        new_key(lambda b: 7)[0],
    ):
        assert refusal(office, wrong) == NO_KEY
    assert refusal(office, f"{good[:-1]}{'0' if good[-1] != '0' else '1'}") == NO_KEY
    office.record(key_revoked(office.directory, id_of(good), by="root"))
    assert refusal(office, good) == NO_KEY
    office.revoke("ann")
    assert refusal(office, anns) == NO_KEY
    assert refusal(office, bots) == NO_KEY


def test_a_key_stays_dead_when_its_principal_comes_back(office: Office) -> None:
    office.add("ann", roles=["viewer"])
    old = office.key("ann", by="ann")
    office.revoke("ann")
    office.add("ann", roles=["viewer"])
    assert refusal(office, old) == NO_KEY
    assert office.directory.authenticate(office.key("ann", by="ann", seed=5), NOW).id == "ann"


def test_nobody_makes_a_key_for_another_person(office: Office) -> None:
    office.add("ann", roles=["approver"])
    office.add("crm", kind="service")
    with pytest.raises(NotAllowed, match="only 'ann' can make a key"):
        office.key("ann", by="root")
    with pytest.raises(NotAllowed, match="manage-people"):
        office.key("crm", by="ann")
    with pytest.raises(InvalidInput) as refused:
        office.key("crm", by="root", expires=NOW)
    assert "expires" in refused.value.fields
    with pytest.raises(NotFound):
        office.key("nobody", by="root")


def test_a_key_is_revoked_by_its_owner_or_an_administrator(office: Office) -> None:
    office.add("ann")
    office.add("eve")
    key = id_of(office.key("ann", by="ann"))
    with pytest.raises(NotAllowed, match="manage-people"):
        key_revoked(office.directory, key, by="eve")
    office.record(key_revoked(office.directory, key, by="Ann"))
    with pytest.raises(Conflict):
        key_revoked(office.directory, key, by="root")
    with pytest.raises(NotFound):
        key_revoked(office.directory, "0" * 16, by="root")


def test_an_outsider_does_not_learn_whether_there_is_a_key_or_a_substitute(office: Office) -> None:
    office.add("ann")
    office.add("eve")
    key = id_of(office.key("ann", by="ann"))
    for asked in (key, "0" * 16):
        with pytest.raises(NotAllowed, match="manage-people"):
            key_revoked(office.directory, asked, by="eve")
    with pytest.raises(NotAllowed, match="manage-people"):
        delegation_ended(office.directory, "ann", "bob", by="eve")
    with pytest.raises(NotFound):
        delegation_ended(office.directory, "ann", "bob", by="root")
    with pytest.raises(NotFound):
        delegation_ended(office.directory, "ann", "bob", by="ann")


# --- the reading itself -----------------------------------------------------------------------------------


@given(st.randoms(use_true_random=False))
def test_the_kinds_of_events_may_be_read_one_after_another(chance: random.Random) -> None:
    """The store lists the events of one kind at a time: however the kinds are mixed, the directory is the same."""
    office = Office()
    for name in ("ann", "bob"):
        office.add(name, roles=["approver"])
    keys = [office.key("ann", by="ann")]
    office.delegate("ann", "bob")
    office.revoke("ann")
    office.add("ann", roles=["approver"])
    keys.append(office.key("ann", by="ann", seed=9))
    queues = {what: [e for e in office.entries if e.what == what] for what in ("principal", "api-key", "delegation")}
    mixed = Directory()
    while left := [what for what, entries in queues.items() if entries]:
        mixed.apply(event_of(queues[chance.choice(left)].pop(0)))
    assert mixed.principals == office.directory.principals
    assert mixed.stands_in("bob", ("ann",), NOW) is None
    assert mixed.authenticate(keys[1], NOW).id == "ann"
    with pytest.raises(NotAllowed):
        mixed.authenticate(keys[0], NOW)


def test_looking_ahead_changes_nothing(treasury: Office) -> None:
    before = treasury.directory.principals
    ahead = treasury.directory.after(revoked(treasury.directory, "ann", by="root")[-1])
    assert ahead.capabilities("ann") == set()
    assert treasury.directory.principals == before
    treasury.directory.check("ann", "decide")


# --- through the client -----------------------------------------------------------------------------------


async def test_of_two_administrators_who_revoke_each_other_at_once_one_stays() -> None:
    async with harness(App("office", workflows=())) as it:
        await it.client.register("ann", roles=["administrator"], by="ann")
        await it.client.register("bob", roles=["administrator"], by="ann")
        outcomes = await asyncio.gather(
            it.client.revoke("bob", by="ann"), it.client.revoke("ann", by="bob"), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [type(None), NotAllowed]
        assert it.client.directory.administered


async def test_the_directory_is_the_same_after_a_restart() -> None:
    async with harness(App("office", workflows=())) as it:
        await it.client.register("ann", roles=["administrator"], by="ann")
        await it.client.register("bob", roles=["approver"], by="ann")
        await it.client.register("cas", roles=["approver"], by="ann")
        key = await it.client.make_key("bob", by="bob")
        await it.client.delegate("bob", "cas", until=LATER, by="bob")
        await it.restart()
        assert [each.id for each in it.client.directory.principals] == ["ann", "bob", "cas"]
        assert it.client.directory.authenticate(key, NOW).id == "bob"
        assert it.client.directory.stands_in("cas", ("bob",), it.clock.stamp()) == "bob"
        await it.client.revoke("bob", by="ann")
        with pytest.raises(NotAllowed, match=NO_KEY):
            it.client.directory.authenticate(key, NOW)


def test_what_every_role_may_takes_any_role(office: Office) -> None:
    office.add("ann")
    with pytest.raises(NotAllowed, match="may not 'see': that takes any role$"):
        office.directory.check("ann", "see")
