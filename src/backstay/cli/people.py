"""Commands for people: what waits for them, and what they decide, fill in, take on and settle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from backstay.cli.inputs import read_input
from backstay.cli.options import DEFAULT_HOME, AsJson, By, Home, ItemName, Limit, Reason, person
from backstay.cli.stores import about, change, find_item, goes_on, reading, store_exists

if TYPE_CHECKING:
    from backstay.store.views import QueueCount, Wait

WHAT_TO_DO: dict[str, str] = {
    "approval": "approve, reject",
    "task": "done",
    "queued": "retry, settle",
    "diverted": "goes on by itself",
    "switched": "switch --on",
    "unknown": "settle",
    "attention": "retry",
}
"""The command that each kind of item asks for."""


def inbox(
    queue: Annotated[str, typer.Option("--queue", "-q", metavar="NAME", help="Only this queue.")] = "",
    limit: Limit = 50,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """List what waits for a person, the soonest due first."""
    from backstay.cli import screen
    from backstay.store.clock import Clock
    from backstay.store.views import read_wait

    found: list[Wait] = []
    words: dict[str, str] = {}
    if store_exists(home):
        with reading(home) as reader:
            asked = {"queue": queue or None, "kind": None, "action": None, "people": 1, "limit": limit}
            found = [read_wait(row) for row in reader.all("waits", asked)]
            words = {} if as_json else {wait.run: about(reader, wait.run) for wait in found}
    if as_json:
        screen.show_json(found)
        return
    if not found:
        screen.say(
            f"Nothing waits in {queue}." if queue else "Nothing waits for a person. `backstay runs` lists the runs."
        )
        return
    now = Clock().now()
    made = screen.table("item", "queue", "what", "since", "do", flexible="what")
    screen.rows(made, [_inbox_row(wait, words[wait.run], now) for wait in found])
    if len(found) == limit:
        screen.hint(f"The first {limit}; --limit shows more.")
    screen.hint("`backstay show ITEM` shows a case.")


def _inbox_row(wait: Wait, words: str, now: Any) -> tuple[Any, ...]:
    from rich.text import Text

    from backstay.cli import screen

    title = Text(" · ".join(part for part in (words, _title(wait)) if part))
    if wait.claimed_by:
        title.append(f"  ({wait.claimed_by} has it)", "blue")
    if wait.due_at:
        overdue = wait.due_at < now.isoformat()
        title.append(f"  due {screen.ago(wait.due_at, now)}", "bold red" if overdue else "yellow")
    since = screen.ago(wait.opened_at, now).removesuffix(" ago")
    return f"{screen.short(wait.run)}/{wait.command}", wait.queue, title, since, WHAT_TO_DO.get(wait.kind, wait.kind)


def _title(wait: Wait) -> str:
    """What is asked; a title that only repeats the kind says nothing."""
    from backstay.operations.wording import plain

    if wait.kind == "approval" and wait.subject:
        return wait.subject
    return "" if wait.title in (wait.kind, "") else plain(wait.title, 90)


def queues(home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Count what lies in each queue: with its owner, its oldest item and what is overdue."""
    from backstay.cli import screen
    from backstay.store.clock import Clock
    from backstay.store.views import QueueCount

    now = Clock().now()
    found: list[QueueCount] = []
    owners: dict[str, str] = {}
    if store_exists(home):
        with reading(home) as reader:
            rows = reader.all("queue_counts", {"now": Clock().stamp()})
            found = [QueueCount(**{name: row[name] for name in QueueCount.__dataclass_fields__}) for row in rows]
        owners = read_owners(home)
    if as_json:
        screen.show_json([{**screen.as_json(count), "owner": owner_of(count, owners)} for count in found])
    elif not found:
        screen.say("Every queue is empty.")
    else:
        made = screen.table("queue", "owner", "kind", "items", "oldest", flexible="items")
        screen.rows(made, [(c.queue, owner_of(c, owners), c.kind, _items(c), screen.ago(c.oldest, now)) for c in found])


def _items(count: QueueCount) -> Any:
    from rich.text import Text

    told = Text(str(count.items))
    if count.claimed:
        told.append(f", {count.claimed} claimed", "blue")
    if count.overdue:
        told.append(f", {count.overdue} overdue", "bold red")
    return told


def read_owners(home: Path) -> dict[str, str]:
    """Who answers for which queue, as the last worker left it beside the store."""
    try:
        return json.loads((home / "queues.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def owner_of(count: QueueCount, owners: dict[str, str]) -> str:
    return owners.get(count.queue, "operators")


def approve(
    item: ItemName, reason: Reason = "", by: By = "", home: Home = DEFAULT_HOME, as_json: AsJson = False
) -> None:
    """Approve exactly what was asked; it counts once."""
    decide(item, "approved", reason, by, home, as_json)


def reject(
    item: ItemName,
    reason: Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Why; the case sees it.")],
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Reject what was asked, and say why."""
    decide(item, "rejected", reason, by, home, as_json)


def decide(
    item: str, verdict: Literal["approved", "rejected"], reason: str, by: str, home: Path, as_json: bool
) -> None:
    who, wait = person(by), shown(home, item, frozenset({"approval"}))
    _, working = change(home, lambda client: client.decide(item, verdict, by=who, reason=reason))
    answer(as_json, working, wait, f"{who} {verdict}", {"verdict": verdict, "by": who, "reason": reason})


def done(
    item: ItemName,
    form: Annotated[
        list[str] | None, typer.Option("--form", "-f", metavar="JSON|@FILE|KEY=VALUE", help="What the form asks for.")
    ] = None,
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Report a task as done, with its filled-in form."""
    who, wait = person(by), shown(home, item, frozenset({"task"}))
    value = read_input(form or [], "--form")
    _, working = change(home, lambda client: client.complete(item, value, by=who))
    answer(as_json, working, wait, f"{who} did", {"done": True, "by": who})


def claim(item: ItemName, by: By = "", home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Take an approval or task for oneself."""
    who, wait = person(by), shown(home, item, frozenset({"approval", "task"}))
    _, working = change(home, lambda client: client.claim(item, by=who))
    answer(as_json, True, wait, f"{who} took on", {"claimed_by": who, "worker": working})


def release(item: ItemName, by: By = "", home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Give a claimed item back to its queue."""
    who, wait = person(by), shown(home, item, frozenset({"approval", "task"}))
    _, working = change(home, lambda client: client.release(item, by=who))
    answer(as_json, True, wait, f"{who} gave back", {"released_by": who, "worker": working})


def settle(
    item: ItemName,
    happened: Annotated[bool, typer.Option("--happened", help="The effect took place; give its --result.")] = False,
    not_happened: Annotated[bool, typer.Option("--not-happened", help="It did not; it is tried again.")] = False,
    give_up: Annotated[bool, typer.Option("--give-up", help="The workflow gets an error.")] = False,
    result: Annotated[
        str, typer.Option("--result", metavar="JSON|@FILE", help="What the action would have returned.")
    ] = "",
    reason: Reason = "",
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Say what became of an unknown effect, or answer a failed call."""
    chosen = [
        name
        for name, wanted in (("happened", happened), ("not-happened", not_happened), ("give-up", give_up))
        if wanted
    ]
    if len(chosen) != 1:
        raise typer.BadParameter("say one of --happened, --not-happened, --give-up")
    outcome: Any = chosen[0]
    value = read_input([result], "--result", any_value=True) if result else None
    who, wait = person(by), shown(home, item, frozenset({"unknown", "queued", "diverted", "switched"}))
    _, working = change(home, lambda client: client.settle(item, outcome, by=who, result=value, reason=reason))
    answer(as_json, working, wait, f"{who} settled ({outcome})", {"outcome": outcome, "by": who})


def shown(home: Path, item: str, kinds: frozenset[str]) -> Wait | None:
    """The item before it is changed, to say afterwards what it was."""
    with reading(home) as reader:
        return find_item(reader, item, kinds)


def answer(as_json: bool, working: bool, wait: Wait | None, did: str, body: dict[str, Any]) -> None:
    from backstay.cli import screen

    if as_json:
        screen.show_json({"item": wait.id if wait else None, "worker": working, **body})
        return
    what = f": {_title(wait) or wait.kind} ({wait.queue})" if wait else "."
    screen.say(f"{did}{what}")
    goes_on(working)
