"""For whom a case reads: the persons whose rights count, with their groups and roles."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Final

from backstay.actions import CallContext
from backstay.ai.observations import STORE_FILE
from backstay.events import RunStarted
from backstay.governance.approvals import folded
from backstay.governance.principals import WHATS, Directory
from backstay.store.database import Reader
from backstay.store.encoding import decode
from backstay.store.views import system_events

EVERYONE: Final = "everyone"
"""A reader that stands for everybody who may act here."""


def of_case(context: CallContext) -> list[frozenset[str]]:
    """What those are for whom a case acts: whose request it is, and where a person asked for another, that person too.

    So nobody sees through a request in another's name what they may not read themselves.
    """
    with closing(Reader(context.home / STORE_FILE)) as reader:
        row = reader.one("event_body", (context.run, 1))
        started = decode(row["kind"], row["body"]) if row is not None else None
        directory = _directory(reader)
    if not isinstance(started, RunStarted):
        return []
    names, asking = [started.requested_by], directory.find(started.by)
    if asking is not None and asking.kind == "person":
        names.append(started.by)
    return readers(directory, names)


def of_person(home: Path, name: str) -> list[frozenset[str]]:
    """What somebody is, by the store of a home; by name only where there is no store yet."""
    if not (home / STORE_FILE).exists():
        return readers(Directory(), [name])
    with closing(Reader(home / STORE_FILE)) as reader:
        return readers(_directory(reader), [name])


def readers(directory: Directory, names: Collection[str]) -> list[frozenset[str]]:
    """What each of these is; nobody at all where one of them may not act.

    A program that acts for somebody has that person's rights, another one its own. Where nobody is registered a name is
    trusted, and has neither groups nor roles.
    """
    if any(not folded(name) or directory.fault(name) for name in names):
        return []
    answering = {person for name in names for person in directory.persons_behind(name) or {name}}
    return [_is(directory, name) for name in sorted(answering)]


def _is(directory: Directory, name: str) -> frozenset[str]:
    known = directory.find(name)
    groups = [] if known is None else [f"group:{folded(each)}" for each in known.groups]
    roles = [] if known is None else [f"role:{folded(each)}" for each in known.roles]
    return frozenset([EVERYONE, folded(name), *groups, *roles])


def _directory(reader: Reader) -> Directory:
    return Directory.of(event for what in WHATS for event in system_events(reader, what))
