"""`backstay waits`: everything that waits, who or what brings it on and when, and whether anything waits for ever."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backstay.cli.exits import OK, REFUSED
from backstay.cli.options import DEFAULT_HOME, AsJson, Home, Limit
from backstay.cli.people import owner_of, read_queues
from backstay.cli.stores import reading
from backstay.cli.titles import title_of

if TYPE_CHECKING:
    from backstay.operations.watchdog import Orphan
    from backstay.store.views import Wait

WIDE = 120
"""Columns from which on no column of the list is cut short."""


def waits(
    check: Annotated[
        bool, typer.Option("--check", help="Prove that nothing waits for ever, and exit with 1 if something does.")
    ] = False,
    limit: Limit = 100,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:
    """List everything that waits, for people or not: its owner, when it is due, when something happens by itself."""
    from backstay.cli import screen

    rules = read_queues(home)
    if check:
        return tell_orphans(*orphans_of(home, rules), as_json)
    from backstay.operations.watchdog import everything

    with reading(home) as reader:
        found = everything(reader, limit)
    if as_json:
        screen.show_json([_as_json(wait, rules) for wait in found])
        return OK
    if not found:
        screen.say("Nothing waits.")
        return OK
    print_waits(found, rules)
    if len(found) == limit:
        screen.hint(f"The first {limit}; --limit shows more.")
    return OK


def _owner(wait: Wait, rules: dict[str, dict[str, Any]]) -> str:
    from backstay.operations.watchdog import owner

    return owner(wait, {name: owner_of(name, rules) for name in rules})


def _as_json(wait: Wait, rules: dict[str, dict[str, Any]]) -> dict[str, Any]:
    from backstay.cli import screen

    return {**screen.as_json(wait), "owner": _owner(wait, rules), "next_at": wait.wake_at}


def print_waits(found: list[Wait], rules: dict[str, dict[str, Any]]) -> None:
    from backstay.cli import screen
    from backstay.store.clock import Clock

    now = Clock().now()

    def when(moment: str | None) -> str:
        return screen.ago(moment, now) if moment else ""

    made = screen.table("item", "kind", "waits for", "what", "due", "next", flexible="what")
    narrow = screen.out().width < WIDE
    for column, most in zip(made.columns, (12, 9, 16, None, 9, 9), strict=True):
        column.max_width = most if narrow else None
    rows = [
        (
            f"{screen.short(wait.run)}/{wait.command}", wait.kind, _whom(_owner(wait, rules), wait),
            title_of(wait) if wait.queue else wait.title, "paused" if wait.asked_at else when(wait.due_at),
            when(wait.wake_at),
        )
        for wait in found
    ]  # fmt: skip
    screen.rows(made, rows)


def _whom(owner: str, wait: Wait) -> str:
    """The queue with its owner, the child run, or what else brings it on."""
    from backstay.cli import screen

    if wait.kind == "child":
        return f"run {screen.short(owner)}"
    return f"{wait.queue} ({owner})" if wait.queue else owner


def orphans_of(home: Path, rules: dict[str, dict[str, Any]]) -> tuple[list[Orphan], int, bool]:
    """What is orphaned, how much waits, and whether a worker runs, of which punctuality is asked."""
    from backstay.engine.control import find_worker
    from backstay.operations.watchdog import LATE, everything, find_orphans
    from backstay.store.clock import Clock
    from backstay.store.payloads import Payloads
    from backstay.types import iso

    now, working = Clock().now(), find_worker(home) is not None
    owners = {name: owner_of(name, rules) for name in rules}
    with reading(home) as reader:
        late = iso(now - timedelta(seconds=LATE))
        found = find_orphans(reader, Payloads(home, reader), owners, late=late, working=working)
        return found, len(everything(reader)), working


def tell_orphans(found: list[Orphan], waiting: int, working: bool, as_json: bool) -> int:
    from backstay.cli import screen

    if as_json:
        listed = [{"id": orphan.id, "fault": orphan.fault, "why": orphan.why} for orphan in found]
        screen.show_json({"ok": not found, "waits": waiting, "worker": working, "orphans": listed})
    elif found:
        screen.say(f"{len(found)} fault(s) among {waiting} that wait.", "bold red")
        made = screen.table("what", "fault", "why", flexible="why")
        screen.rows(made, [(orphan.id, orphan.fault, orphan.why) for orphan in found])
    else:
        screen.say(f"{waiting} wait, and none is orphaned.", "green")
        if not working:
            screen.hint("No worker is running, so nothing that is due was looked at: start one (`backstay dev FILE`).")
    return REFUSED if found else OK
