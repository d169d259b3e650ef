"""The register of incoming invoices: it decides which of two invoices with one number came first.

Runs of the same process race, are killed and start again; who posts first is chance. So "seen before" is not
decided by who posts first but by who *arrived* first: a document's place is its position in the intake's
ledger, which is written before its run starts. A run enters the register as soon as its document is read by
machine (also when nothing could be read), and a claim looks only at earlier places, after all of these are
taken. What it then finds depends on nothing but the ledger's order and on what the files say, whatever was
killed when.

A person who corrects a vendor or a number acts at a time of their own: that identity goes to the end of the
register. A place that stays empty (its run was cancelled before it read anything) holds others up for
`PATIENCE` refusals and is then passed over. The unique index on vendor and number remains underneath: even a
wrong order can never post twice.
"""

from __future__ import annotations

import sqlite3

from examples.accounts_payable.erp import Erp, queries
from examples.accounts_payable.figures import key as bare
from examples.accounts_payable.models import Document, Seen

PATIENCE = 20


class EarlierNotRead(Exception):
    """An invoice that arrived earlier is still being read; the claim must be made again."""


def enter(erp: Erp, document: Document, vendor_id: str | None, number: str) -> None:
    """Take the document's place with what a machine read; None for no known vendor. Repeating changes nothing."""
    with erp.transaction() as db:
        if _one(db, "entry_of", digest=document.digest):
            return
        free = document.arrival > 0 and not _one(db, "entry_at", arrival=document.arrival)
        _add(db, document, vendor_id, number, None if not free else document.arrival)


def claim(erp: Erp, document: Document, vendor_id: str, number: str, *, patient: bool = False) -> list[Seen]:
    """The invoices of this vendor and number that came before; raises EarlierNotRead while that is not yet known.

    patient: do not count this as a refusal, because the caller asks again at once.
    """
    with erp.transaction() as db:
        entry = _one(db, "entry_of", digest=document.digest)
        if not entry or (entry["vendor_id"], entry["number_key"]) != (vendor_id, bare(number)):
            _add(db, document, vendor_id, number, None)
            entry = _one(db, "entry_of", digest=document.digest)
        assert entry is not None
        missing = _first_missing(db, entry)
        if missing and not patient and _count_refusal(db, document.digest) > PATIENCE:
            while missing:
                _take(db, missing, turn=0, digest="", name="(not read in time)", vendor_id=None, number_key="")
                missing = _first_missing(db, entry)
        seen = [] if missing else _before(db, entry)
    if missing:  # after the commit, so that the refusal counts
        raise EarlierNotRead(f"{document.name!r} waits for arrival {missing}, which is still being read")
    return seen


def _before(db: sqlite3.Connection, entry: sqlite3.Row) -> list[Seen]:
    same = {name: entry[name] for name in ("vendor_id", "number_key", "digest", "arrival", "turn")}
    seen = [Seen(number=entry["number_key"], source=row["name"]) for row in _all(db, "seen_before", same)]
    names = {"vendor_id": entry["vendor_id"], "number_key": entry["number_key"], "digest": entry["digest"]}
    for row in _all(db, "in_books", names):
        seen.append(Seen(number=row["number"], source="books", total=f"{row['total']} {row['currency']}"))
    return seen


def _first_missing(db: sqlite3.Connection, entry: sqlite3.Row) -> int:
    """The first place before this entry's that is not taken; 0 when all are."""
    limit = entry["arrival"] - (1 if entry["turn"] == 0 else 0)
    row = _one(db, "first_gap", limit=limit) if limit > 0 else None
    return int(row["place"]) if row else 0


def _count_refusal(db: sqlite3.Connection, digest: str) -> int:
    return int(db.execute(queries("erp_queries.sql")["refuse"], {"digest": digest}).fetchone()["count"])


def _add(db: sqlite3.Connection, document: Document, vendor_id: str | None, number: str, arrival: int | None) -> None:
    """Take the arrival's own place, or without one a turn at the end."""
    turn = 0
    if arrival is None:
        last = _one(db, "last_arrival")
        arrival = max(last["arrival"] if last else 0, document.arrival)
        following = _one(db, "next_turn", arrival=arrival)
        turn = following["turn"] if following else 1
    _take(
        db,
        arrival,
        turn=turn,
        digest=document.digest,
        name=document.name,
        vendor_id=vendor_id,
        number_key=bare(number),
    )


def _take(db: sqlite3.Connection, arrival: int, **values: object) -> None:
    db.execute(queries("erp_queries.sql")["add_entry"], {"arrival": arrival, **values})


def _one(db: sqlite3.Connection, query: str, **values: object) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(queries("erp_queries.sql")[query], values).fetchone()
    return row


def _all(db: sqlite3.Connection, query: str, values: dict[str, object]) -> list[sqlite3.Row]:
    return db.execute(queries("erp_queries.sql")[query], values).fetchall()
