"""Principals and roles: who may ask for what. A reading of the system's chain, without I/O and without a clock.

While nobody is registered an installation is *open*: names are trusted, as in the demo and in tests. From the first
registration on, a name that is not registered may do nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple, Self, TypeAlias

from backstay.errors import InvalidInput, NotAllowed
from backstay.events import Event, SystemRecorded
from backstay.governance.approvals import check_person, folded
from backstay.governance.delegation import LONGEST_CHAIN, Delegation, moment
from backstay.governance.keys import ApiKey, fits, id_of
from backstay.types import Json

Kind: TypeAlias = Literal["person", "service", "agent"]
"""person: a natural person, who answers for what they do. service: a program that feeds cases in or looks after them.
agent: a program whose next step a model chooses."""

Role: TypeAlias = Literal["viewer", "operator", "approver", "author", "risk-owner", "auditor", "administrator"]

Capability: TypeAlias = Literal[
    "see", "start", "signal", "cancel", "work", "decide", "settle", "retry", "switch", "reassign", "delegate",
    "manage-people", "audit", "erase", "policy",
]  # fmt: skip

ABOUT: Final[dict[Capability, str]] = {
    "see": "read lists, runs, events and logs",
    "start": "start runs",
    "signal": "send events to runs",
    "cancel": "stop runs",
    "work": "claim, release and complete what lies in a queue; comment, ask and answer",
    "decide": "approve or reject",
    "settle": "say what became of an unknown effect, or answer a failed call",
    "retry": "send calls and runs back to the gate",
    "switch": "pull a kill switch, or put it back",
    "reassign": "give an item to somebody else",
    "delegate": "name a substitute for oneself",
    "manage-people": "register, revoke and give roles; make and revoke keys of services and agents",
    "audit": "export, verify, and sign checkpoints",
    "erase": "destroy the key of a person's private values",
    "policy": "change the rules, limits and grants",
}
"""What each capability lets somebody do."""

CAPABILITIES: Final[dict[Role, frozenset[Capability]]] = {
    "viewer": frozenset({"see"}),
    "operator": frozenset(
        {"see", "start", "signal", "cancel", "work", "settle", "retry", "switch", "reassign", "delegate"}
    ),
    "approver": frozenset({"see", "work", "decide", "delegate"}),
    "author": frozenset({"see", "start", "signal"}),
    "risk-owner": frozenset({"see", "switch", "policy"}),
    "auditor": frozenset({"see", "audit"}),
    "administrator": frozenset({"see", "manage-people", "erase"}),
}
"""What each role may ask for. Roles add up; none contains another, and an administrator decides nothing."""

BY_KIND: Final[dict[Kind, frozenset[Capability]]] = {
    "person": frozenset(),
    "service": frozenset({"start", "signal"}),
    "agent": frozenset(),
}
"""What a principal may do without any role: feeding cases in is what a service is registered for."""

PERSONAL: Final[frozenset[Capability]] = frozenset({"decide", "settle", "delegate", "manage-people", "erase", "policy"})
"""What only a person may do, whatever role a service or agent has."""

FOR_PEOPLE: Final[frozenset[Role]] = frozenset({"approver", "risk-owner", "administrator"})
"""Roles that are not given to services and agents: what makes them is personal."""

WHATS: Final = ("principal", "api-key", "delegation")
"""The kinds of system events that a directory reads. How they are interleaved makes no difference."""

NO_KEY: Final = "this key is not valid; ask for a new one"
"""The same words for a key that is unknown, wrong, revoked or expired, or whose principal may not act any more."""


class Entry(NamedTuple):
    """What is to be recorded in the system's chain."""

    what: str
    subject: str
    detail: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody, or something, that may ask."""

    id: str
    """The name as it was registered; names are compared folded."""
    kind: Kind = "person"
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    acts_for: str | None = None
    active: bool = True

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What kind and roles give, before anybody is revoked."""
        given = BY_KIND[self.kind].union(*(what for role, what in CAPABILITIES.items() if role in self.roles))
        return given if self.kind == "person" else given - PERSONAL


class Directory:
    """Everybody who is registered, with their keys and delegations, as the events so far say."""

    def __init__(self) -> None:
        self._principals: dict[str, Principal] = {}
        self._keys: dict[str, ApiKey] = {}
        self._delegations: dict[str, dict[tuple[str, str | None], Delegation]] = {}
        """By the folded name of who got it, then by giver and queue: a later one takes the place of an earlier one."""

    @classmethod
    def of(cls, events: Iterable[Event]) -> Self:
        """The directory that these events make."""
        made = cls()
        for event in events:
            made.apply(event)
        return made

    # --- reading events ---

    def apply(self, event: Event) -> None:
        """Take one event in; events that do not concern people are passed over."""
        if not isinstance(event, SystemRecorded):
            return
        match event.what:
            case "principal":
                self._apply_principal(event.subject, event.detail)
            case "api-key":
                self._apply_key(event.subject, event.detail)
            case "delegation":
                self._apply_delegation(event.subject, event.detail)
            case _:
                return

    def _apply_principal(self, name: str, detail: Json) -> None:
        if "kind" in detail:
            self._principals[folded(name)] = Principal(
                id=name, kind=detail["kind"], roles=frozenset(detail["roles"]), groups=frozenset(detail["groups"]),
                acts_for=detail["acts_for"],
            )  # fmt: skip
        elif (known := self.find(name)) is not None:
            self._principals[folded(name)] = replace(known, active=False)

    def _apply_key(self, key: str, detail: Json) -> None:
        if "hash" in detail:
            self._keys[key] = ApiKey(
                id=key, principal=detail["principal"], hash=detail["hash"], expires=detail["expires"]
            )
        elif key in self._keys:
            self._keys[key] = replace(self._keys[key], active=False)

    def _apply_delegation(self, giver: str, detail: Json) -> None:
        to, queue = detail["to"], detail["queue"]
        given, place = self._delegations.setdefault(folded(to), {}), (folded(giver), queue)
        if "until" in detail:
            given[place] = Delegation(giver=giver, to=to, start=detail["start"], until=detail["until"], queue=queue)
        else:
            given.pop(place, None)

    def after(self, entry: Entry) -> Directory:
        """The directory as one more entry would leave it; this one stays as it is."""
        made = Directory()
        made._principals, made._keys = dict(self._principals), dict(self._keys)
        made._delegations = {to: dict(given) for to, given in self._delegations.items()}
        made.apply(SystemRecorded(at="", what=entry.what, subject=entry.subject, detail=entry.detail))
        return made

    # --- who there is ---

    @property
    def empty(self) -> bool:
        """Nobody was ever registered: an open installation. Revoking everybody does not open it again."""
        return not self._principals

    @property
    def principals(self) -> tuple[Principal, ...]:
        """Everybody, revoked ones too, in the order of their registration."""
        return tuple(self._principals.values())

    @property
    def administered(self) -> bool:
        """Whether somebody is left who may manage people."""
        return any(each.active and "manage-people" in each.capabilities for each in self._principals.values())

    def find(self, name: str) -> Principal | None:
        """A principal by name, however it is typed; revoked ones too."""
        return self._principals.get(folded(name))

    def keys_of(self, name: str) -> list[ApiKey]:
        """The keys of a principal that are not revoked."""
        return [key for key in self._keys.values() if key.active and folded(key.principal) == folded(name)]

    def key(self, key_id: str) -> ApiKey | None:
        return self._keys.get(key_id)

    def delegations_of(self, name: str) -> list[Delegation]:
        """What somebody has given or got, whether or not it holds now."""
        every = (each for given in self._delegations.values() for each in given.values())
        return [each for each in every if folded(name) in (folded(each.giver), folded(each.to))]

    def chain(self, name: str) -> tuple[Principal, ...]:
        """A principal, whom it acts for, whom that one acts for, and so on; an unknown name or a cycle ends it."""
        found: dict[str, Principal] = {}
        while (principal := self.find(name)) is not None and folded(name) not in found:
            found[folded(name)] = principal
            name = principal.acts_for or ""
        return tuple(found.values())

    def persons_behind(self, *names: str) -> frozenset[str]:
        """The natural persons who answer for principals; a name that is not registered answers for itself, folded."""
        return frozenset().union(*map(self._answering, names))

    def _answering(self, name: str) -> frozenset[str]:
        if self.find(name) is None:
            return frozenset({folded(name)})
        return frozenset(each.id for each in self.chain(name) if each.kind == "person")

    # --- what they may ---

    def capabilities(self, name: str) -> frozenset[Capability]:
        """What somebody may ask for now."""
        if self.empty:
            return frozenset(ABOUT)
        principal = self.find(name)
        return frozenset() if principal is None or self.fault(name) else principal.capabilities

    def check(self, name: str, capability: Capability) -> None:
        """Raise NotAllowed unless somebody is named who has the capability."""
        check_person(name)
        if capability not in self.capabilities(name):
            known, fault = self.find(name), self.fault(name)
            who = fault or _described(known) or repr(name)
            takes = "" if fault and known is not None else f": that takes {holders(capability)}"  # no role would help
            raise NotAllowed(f"{who} and may not {capability!r}{takes}")

    def fault(self, name: str) -> str:
        """Why a name may do nothing at all, in words that begin with it; empty when it may act."""
        if self.empty:
            return ""
        chain = self.chain(name)
        if not chain:
            return f"{name!r} is not registered (`backstay people add` does that)"
        gone = next((each.id for each in chain if not each.active), None)
        if gone is not None:
            return f"{gone!r} is revoked" if gone == chain[0].id else f"{name!r} acts for {gone!r}, who is revoked,"
        if chain[-1].acts_for is not None or len(chain) > LONGEST_CHAIN + 1:
            return f"{name!r} acts in a chain that is broken or longer than {LONGEST_CHAIN}"
        return ""

    def requester(self, name: str, by: str) -> str:
        """For whom `by` may ask under another name than their own: a person who may act. Raises NotAllowed, InvalidInput.

        A service or agent may, and whoever has the role operator: what they feed in is somebody else's request.
        """
        if not folded(name):
            raise InvalidInput("requester must name a person; leave it out for oneself", {"requester": "is empty"})
        if self.empty or folded(name) == folded(by):
            return name
        asking, person = self.find(by), self.find(name)
        if asking is None or (asking.kind == "person" and "operator" not in asking.roles):
            raise NotAllowed(
                f"{by!r} cannot ask in the name of {name!r}: that takes kind service or agent, or role operator"
            )
        if person is None or person.kind != "person" or self.fault(name):
            why = self.fault(name) or f"{name!r} is no person"
            raise InvalidInput(f"{why} and cannot be a requester", {"requester": "must be a person who may act"})
        return person.id

    def valid(self, key_id: str, at: str) -> bool:
        """Whether a key that was shown before still counts: neither revoked nor expired, and its principal may act."""
        key = self._keys.get(key_id)
        return key is not None and key.counts(moment(at, "at")) and not self.fault(key.principal)

    def authenticate(self, key: str, at: str) -> Principal:
        """Whose key this is; raises NotAllowed, in the same words whatever is wrong with it."""
        known = self._keys.get(id_of(key))
        principal = self.find(known.principal) if fits(key, known) and known is not None else None
        if known is None or principal is None or not self.valid(known.id, at):
            raise NotAllowed(NO_KEY)
        return principal

    # --- members and substitutes ---

    def covers(self, name: str, members: Collection[str]) -> bool:
        """Whether a list such as ("ann", "group:treasury", "role:approver") has somebody in it; an empty one has nobody.

        In an open installation nobody knows who is in which group, so a group or a role has everybody who is named.
        """
        if not folded(name) or self.fault(name):
            return False
        return any(self._is(name, member) for member in members)

    def _is(self, name: str, member: str) -> bool:
        kind, _, title = member.partition(":")
        if kind not in ("group", "role") or not title:
            return folded(name) == folded(member)
        principal = self.find(name)
        if principal is None:
            return True
        return folded(title) in map(folded, principal.groups if kind == "group" else principal.roles)

    def stands_in(
        self, name: str, members: Collection[str], at: str, work: str = "", *, requesters: Collection[str] = ()
    ) -> str | None:
        """The member for whom somebody may act at a moment: themselves, else the nearest whose substitute they are.

        work: the queue concerned. requesters: who asked, and for whom; it is not decided in their place, so a delegation
        of theirs does not count. Whether `name` is one of them is not looked at here.
        """
        if self.covers(name, members):
            return self._called(name)
        if not folded(name) or self.fault(name):
            return None
        apart = self.persons_behind(*requesters)
        asked, seen, now = [name], {folded(name)}, moment(at, "at")
        for _ in range(LONGEST_CHAIN):
            asked = [giver for each in asked for giver in self._givers(each, now, work) if folded(giver) not in seen]
            asked = [giver for giver in asked if not self.persons_behind(giver) & apart]
            found = next((giver for giver in asked if self.covers(giver, members)), None)
            if found is not None:
                return self._called(found)
            seen |= {folded(giver) for giver in asked}
        return None

    def _givers(self, to: str, at: str, work: str) -> list[str]:
        """Who has somebody as a substitute, and may act themselves."""
        given = self._delegations.get(folded(to), {}).values()
        return [each.giver for each in given if each.counts(at, work) and not self.fault(each.giver)]

    def _called(self, name: str) -> str:
        known = self.find(name)
        return name if known is None else known.id


def holders(capability: Capability) -> str:
    """Who has a capability, in words."""
    roles = [role for role, what in CAPABILITIES.items() if capability in what]
    kinds = [f"kind {kind}" for kind, what in BY_KIND.items() if capability in what]
    named = ["any role"] if len(roles) == len(CAPABILITIES) else [f"role {role}" for role in roles]
    words = " or ".join(named + kinds) or "a role that does not exist"
    return f"{words}, and a person" if capability in PERSONAL else words


def _described(principal: Principal | None) -> str:
    if principal is None:
        return ""
    return f"{principal.kind} {principal.id!r} is {', '.join(sorted(principal.roles)) or 'without a role'}"
