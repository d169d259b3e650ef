"""`backstay erase`: destroy the key of one person, so that nobody can read their values any more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backstay.cli.options import DEFAULT_HOME, AsJson, By, Home
from backstay.cli.options import person as who_acts
from backstay.cli.stores import STORE_FILE, reading

if TYPE_CHECKING:
    from backstay.store.database import Reader
    from backstay.store.journal import Journal, Write


def erase(
    person: Annotated[str, typer.Argument(metavar="PERSON", help='As the field `Sensitive["subject"]` names them.')],
    reason: Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Why; kept in the journal.")],
    force: Annotated[bool, typer.Option("--force", help="Even while runs about them are open.")] = False,
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Make all sealed values of a person unreadable for ever; what happened, who decided and when stays provable."""
    import asyncio

    from backstay.cli import screen

    who = who_acts(by)
    with reading(home) as reader:
        found = about(reader, home, person)
    check_open(found["open"], force)
    told = reason.replace(person, f"person {found['people'][0]}")  # it must not name whom it makes unnameable
    asyncio.run(carry_out(home, found, who, told))
    if as_json:
        screen.show_json({**found, "by": who, "reason": told})
        return
    kept = f"{found['values']} value(s) in {len(found['runs'])} run(s)"
    screen.say(f"Erased: {kept} of person {', '.join(found['people'])} can never be read again.", "bold green")
    screen.hint(
        "Copies of the store made before now still hold the key: let them expire, or erase again after a restore."
    )


def about(reader: Reader, home: Path, person: str) -> dict[str, Any]:
    """What the store holds of a person; raises NotFound."""
    from backstay.errors import NotFound
    from backstay.store.keyring import Keyring
    from backstay.store.views import ENDED

    people = Keyring(home, reader).named(person)
    if not people:
        raise NotFound(
            f"no values are sealed under a key of {person!r}: check the name as the input gives it; whoever was erased is "
            "not known by name any more"
        )
    rows = {row["id"]: row["status"] for each in people for row in reader.all("runs_about", (each,))}
    values = sum(reader.value("sealed_under", (each,)) for each in people)
    still = sorted(run for run, status in rows.items() if status not in ENDED)
    return {"people": list(people), "values": values, "runs": sorted(rows), "open": still}


def check_open(runs: list[str], force: bool) -> None:
    from backstay.errors import Conflict

    if runs and not force:
        listed = ", ".join(runs[:5]) + (" and others" if len(runs) > 5 else "")
        raise Conflict(
            f"{len(runs)} run(s) about this person are open ({listed}); let them end, or say --force: they then stop where "
            "they next need a value, in the queue of the operators"
        )


async def carry_out(home: Path, found: dict[str, Any], by: str, reason: str) -> None:
    """Commit the end of the keys with the record of it, then rewrite the file without them."""
    import asyncio
    from contextlib import closing

    from backstay.engine.application import LOCK_FILE, take_lock
    from backstay.errors import StoreLocked
    from backstay.store.database import Reader
    from backstay.store.journal import Journal
    from backstay.store.keyring import scrub

    try:
        lock = take_lock(home / LOCK_FILE)
    except StoreLocked:
        raise StoreLocked(
            "a worker has this store open and remembers keys: stop it, erase, and start it again"
        ) from None
    with closing(lock):
        journal = Journal(home / STORE_FILE)
        try:
            with closing(Reader(home / STORE_FILE)) as reader:
                await journal.submit(staged(journal, reader, home, found, by, reason))
        finally:
            await asyncio.to_thread(journal.close)
        scrub(home / STORE_FILE)


def staged(journal: Journal, reader: Reader, home: Path, found: dict[str, Any], by: str, reason: str) -> Write:
    """For each key its end, and an event on the system's own chain that says who wanted it, and why."""
    from datetime import datetime

    from backstay.engine.system import SystemChain
    from backstay.events import SystemRecorded
    from backstay.store.clock import Clock
    from backstay.store.journal import Write
    from backstay.store.keyring import Keyring

    write, clock, keyring = Write(), Clock(), Keyring(home, reader)
    clock.seen(datetime.fromisoformat(reader.value("newest_at")))
    chain = SystemChain(journal, reader, clock)
    detail = {"reason": reason, "values": found["values"], "runs": len(found["runs"])}
    for person in found["people"]:
        keyring.erase(write, person)
        chain.stage(write, SystemRecorded(at=clock.stamp(), by=by, what="erased", subject=person, detail=detail))
    return write
