"""Changes of the directory, each checked against it: who may make it, and whether it leaves the installation usable.

They give what is to be recorded, and change nothing. InvalidInput names the field that is wrong.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from typing import Any, Final, get_args

from backstay.errors import Conflict, InvalidInput, NotAllowed, NotFound
from backstay.governance.approvals import check_person, folded
from backstay.governance.delegation import LONGEST_CHAIN, check_span, moment
from backstay.governance.keys import ApiKey
from backstay.governance.principals import CAPABILITIES, FOR_PEOPLE, Directory, Entry, Kind, Principal

LONGEST_NAME: Final = 100
"""Characters of the name of a principal or group."""


def registered(
    directory: Directory,
    name: str,
    *,
    kind: Kind = "person",
    roles: Collection[str] = (),
    groups: Collection[str] = (),
    acts_for: str | None = None,
    by: str,
) -> Entry:
    """Somebody new, or other roles, groups or chain for somebody known: what is given takes the place of what was."""
    directory.check(by, "manage-people")
    named, known = _name(name, "name"), directory.find(name)
    _check_kind(kind, known)
    wanted, teams = _roles(roles, kind), _groups(groups)
    _check_gain(by, known, wanted, teams)
    master = None if acts_for is None else _master(directory, kind, acts_for)
    detail = {"kind": kind, "roles": sorted(wanted), "groups": sorted(teams), "acts_for": master}
    entry = Entry("principal", named if known is None else known.id, detail)
    after = directory.after(entry)
    if directory.empty and not after.administered:
        raise InvalidInput(
            "the first to be registered must be a person with the role administrator, else nobody could manage people",
            {"roles": "must hold administrator"},
        )
    _check_administered(after)
    _check_chains(after)
    return entry


def revoked(directory: Directory, name: str, *, by: str) -> list[Entry]:
    """The end of a principal, of their keys and of their delegations: registered again, they begin with none of these."""
    directory.check(by, "manage-people")
    known = _known(directory, name)
    if not known.active:
        raise Conflict(f"{known.id!r} is revoked already")
    end = Entry("principal", known.id, {"revoked": True})
    _check_administered(directory.after(end))
    keys = [_end_of(key) for key in directory.keys_of(name)]
    given = [
        Entry("delegation", each.giver, {"to": each.to, "queue": each.queue, "revoked": True})
        for each in directory.delegations_of(name)
    ]
    return [*keys, *given, end]


def key_made(
    directory: Directory, name: str, *, id: str, hash: str, expires: str | None = None, at: str, by: str
) -> Entry:
    """A key for somebody: their own, or as an administrator that of a service or agent.

    Nobody makes a key for another person: whoever saw it could act, and decide, in their name.
    """
    known = _active(directory, name, "name")
    _check_own_or_managed(directory, known, by)
    ends = None if expires is None else moment(expires, "expires")
    if ends is not None and ends <= moment(at, "at"):
        raise InvalidInput(f"a key that expires at {ends} is never valid", {"expires": "must be later than now"})
    return Entry("api-key", id, {"principal": known.id, "hash": hash, "expires": ends})


def key_revoked(directory: Directory, key_id: str, *, by: str) -> Entry:
    """The end of a key: by whom it stands for, or by an administrator."""
    check_person(by)
    key = directory.key(key_id)
    if key is None or folded(by) != folded(key.principal) or directory.fault(by):
        directory.check(by, "manage-people")  # before it is said whether there is such a key
    if key is None:
        raise NotFound(f"there is no key {key_id!r}; `backstay people show NAME` lists somebody's keys")
    if not key.active:
        raise Conflict(f"key {key_id!r} is revoked already")
    return _end_of(key)


def delegated(
    directory: Directory,
    giver: str,
    to: str,
    *,
    until: str,
    start: str | None = None,
    queue: str | None = None,
    at: str,
    by: str,
) -> Entry:
    """A substitute until an end, for one queue or all; a later one of the same two people for the same takes its place."""
    first, second = _person(directory, giver, "from"), _person(directory, to, "to")
    if folded(first) == folded(second):
        raise InvalidInput(f"{first!r} cannot be their own substitute", {"to": "must be somebody else"})
    _check_delegator(directory, first, by, to=second)
    if not directory.empty and not directory.capabilities(second) & {"work", "decide"}:
        raise InvalidInput(f"{second!r} may neither work nor decide, so could not stand in", {"to": "lacks the role"})
    now, ends = moment(at, "at"), moment(until, "until")
    begins = now if start is None else moment(start, "start")
    check_span(begins, ends, now)
    if queue is not None and not queue.strip():
        raise InvalidInput("queue must name a queue; leave it out for all of them", {"queue": "is empty"})
    return Entry("delegation", first, {"to": second, "start": begins, "until": ends, "queue": queue})


def delegation_ended(directory: Directory, giver: str, to: str, *, queue: str | None = None, by: str) -> Entry:
    """The end of a delegation before its time: by who gave it or got it, or by an administrator."""
    if folded(by) not in (folded(giver), folded(to)) or directory.fault(by):
        directory.check(by, "manage-people")
    places = [
        each
        for each in directory.delegations_of(giver)
        if folded(each.giver) == folded(giver) and folded(each.to) == folded(to) and each.queue == queue
    ]
    if not places:
        raise NotFound(f"{giver!r} has no substitute {to!r}" + (f" for queue {queue!r}" if queue else ""))
    return Entry("delegation", places[0].giver, {"to": places[0].to, "queue": queue, "revoked": True})


# --- who may make a change ------------------------------------------------------------------------------


def _check_gain(by: str, known: Principal | None, roles: frozenset[str], groups: frozenset[str]) -> None:
    """Nobody gives themselves anything: an administrator who could, would be everything."""
    if known is None or folded(by) != folded(known.id):
        return
    gained = sorted((roles - known.roles) | (groups - known.groups))
    if gained:
        raise NotAllowed(f"{by!r} cannot give themselves {', '.join(gained)}; another administrator must do that")


def _check_own_or_managed(directory: Directory, known: Principal, by: str) -> None:
    check_person(by)
    if folded(by) == folded(known.id):
        return
    directory.check(by, "manage-people")
    if known.kind == "person":
        raise NotAllowed(f"only {known.id!r} can make a key that acts as {known.id!r}")


def _check_delegator(directory: Directory, giver: str, by: str, *, to: str) -> None:
    """One names one's own substitute; an administrator does it for somebody who cannot, but does not name themselves."""
    own = folded(by) == folded(giver)
    directory.check(by, "delegate" if own else "manage-people")
    if not own and folded(by) == folded(to):
        raise NotAllowed(f"{by!r} cannot make themselves the substitute of {giver!r}")


def _check_administered(after: Directory) -> None:
    if not after.administered:
        raise Conflict("nobody would be left who may manage people; give somebody else the role administrator first")


# --- what a change may say ------------------------------------------------------------------------------


def _check_kind(kind: str, known: Principal | None) -> None:
    if kind not in get_args(Kind):
        raise InvalidInput(f"{kind!r} is no kind; there are {', '.join(get_args(Kind))}", {"kind": "unknown"})
    if known is not None and known.kind != kind:
        raise InvalidInput(
            f"{known.id!r} is of kind {known.kind}; a name keeps its kind for ever", {"kind": f"must be {known.kind}"}
        )


def _roles(roles: object, kind: str) -> frozenset[str]:
    wanted = frozenset(_texts(roles, "roles"))
    unknown = sorted(wanted - CAPABILITIES.keys())
    if unknown:
        raise InvalidInput(
            f"there is no role {', '.join(map(repr, unknown))}; there are {', '.join(CAPABILITIES)}",
            {"roles": "unknown"},
        )
    personal = sorted(wanted & FOR_PEOPLE)
    if personal and kind != "person":
        raise InvalidInput(f"role {', '.join(personal)} is for people, not for kind {kind}", {"roles": "is for people"})
    return wanted


def _groups(groups: object) -> frozenset[str]:
    return frozenset(_name(group, "groups") for group in _texts(groups, "groups"))


def _texts(values: object, field: str) -> list[str]:
    found: list[Any] = list(values) if isinstance(values, list | tuple | set | frozenset) else [None]
    if not all(isinstance(each, str) for each in found):
        raise InvalidInput(f"{field} must be a list of names, not {values!r}", {field: "must be a list of names"})
    return found


def _name(name: object, field: str) -> str:
    """A name as it is kept: one line, single spaces, nothing that does not show, nothing that a member list would misread."""
    text = unicodedata.normalize("NFC", " ".join(name.split())) if isinstance(name, str) else ""
    if not text or len(text) > LONGEST_NAME or not text.isprintable() or ":" in text:
        raise InvalidInput(
            f"{field} {name!r} will not do: a name has 1 to {LONGEST_NAME} characters that show, and no colon",
            {field: "is no name"},
        )
    return text


def _known(directory: Directory, name: str) -> Principal:
    known = directory.find(name)
    if known is None:
        raise NotFound(f"nobody called {name!r} is registered; `backstay people list` lists them")
    return known


def _active(directory: Directory, name: str, field: str) -> Principal:
    known = _known(directory, name)
    if fault := directory.fault(name):
        raise InvalidInput(f"{fault} and cannot be used here", {field: "may not act"})
    return known


def _person(directory: Directory, name: str, field: str) -> str:
    """The name of an active person; in an open installation any name is one."""
    if directory.empty:
        return _name(name, field)
    known = _active(directory, name, field)
    if known.kind != "person":
        raise InvalidInput(
            f"{known.id!r} is of kind {known.kind}; people stand in for people", {field: "must be a person"}
        )
    return known.id


def _master(directory: Directory, kind: str, acts_for: str) -> str:
    if kind == "person":
        raise InvalidInput(
            "a person answers for themselves; only a service or agent acts for somebody", {"acts_for": "must be empty"}
        )
    return _active(directory, acts_for, "acts_for").id


def _check_chains(after: Directory) -> None:
    """Nobody acts for themselves round a corner, and no chain is too long, the one of whoever acts for this one too."""
    for principal in after.principals:
        chain = after.chain(principal.id)
        names = " acts for ".join(repr(each.id) for each in chain)
        if chain[-1].acts_for is not None:
            raise InvalidInput(f"{names} acts for {chain[-1].acts_for!r}: a circle", {"acts_for": "makes a circle"})
        if len(chain) > LONGEST_CHAIN + 1:
            raise InvalidInput(
                f"{names}: a chain has at most {LONGEST_CHAIN} links", {"acts_for": "makes too long a chain"}
            )


def _end_of(key: ApiKey) -> Entry:
    return Entry("api-key", key.id, {"principal": key.principal, "revoked": True})
