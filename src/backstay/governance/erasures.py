"""Erasures: whether each private value lies under a key that is there, or that an event says was erased."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

from backstay.store.database import Reader
from backstay.store.keyring import people_of

PAGE: Final = 2000
REMEMBERED: Final = 100_000
"""People kept in memory; who fell out is looked up again."""


def check_keys(reader: Reader, found: Callable[[str, str], None]) -> None:
    """Tell (whose key, what is wrong with it) of keys that are lost, emptied without a record, or back after an erasure."""
    if reader.one("keeps_people") is None:
        return
    told = _told(reader)
    for person in _people(reader):
        row, name = reader.one("person_key", (person,)), f"key of person {person}"
        if row is None:
            found(name, "missing, though values are sealed under it, and no erasure removes the row")
        elif row["wrapped"] is not None and person in told:
            found(name, "there, though the system's chain says that it was erased: it was put back")
        elif row["wrapped"] is None and person not in told and person not in _told(reader):  # it may be erased just now
            found(name, "emptied, and the system's chain tells of no erasure")


def _told(reader: Reader) -> frozenset[str]:
    """Whose keys the system's chain says were erased."""
    return frozenset(json.loads(row["body"])["subject"] for row in reader.all("system_events", ("erased",)))


def _people(reader: Reader) -> Iterator[str]:
    """Everybody whose values are sealed, mostly once."""
    seen: OrderedDict[str, None] = OrderedDict()
    at = ""
    while rows := reader.all("sealed_after", (at, PAGE)):
        for person in (person for row in rows for person in people_of(row["token"]) if person not in seen):
            seen[person] = None
            yield person
        while len(seen) > REMEMBERED:
            seen.popitem(last=False)
        at = rows[-1]["token"]
