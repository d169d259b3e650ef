"""Commands for people: what waits for them, what they fill in and settle. What is done to items is in `items.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backstay.cli.inputs import read_input
from backstay.cli.options import DEFAULT_HOME, AsJson, By, Home, ItemName, Limit, Reason, person
from backstay.cli.stores import (
    about,
    change,
    directory_of,
    find_item,
    goes_on,
    may_see,
    reading,
    run_named,
    starter,
)
from backstay.cli.titles import agent_of, title_of, titles_of

if TYPE_CHECKING:
    from backstay.errors import InvalidInput
    from backstay.operations.forms import Field
    from backstay.operations.items import Tally
    from backstay.store.database import Reader
    from backstay.store.views import QueueCount, Run, Wait

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

MOMENT = 3.0
"""Seconds for which a command waits to see what its run does next."""


def inbox(
    queue: Annotated[str, typer.Option("--queue", "-q", metavar="NAME", help="Only this queue.")] = "",
    mine: Annotated[
        str, typer.Option("--mine", metavar="PERSON", help="Only what is somebody's turn: theirs, or free to take.")
    ] = "",
    limit: Limit = 50,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """List what waits for a person: the highest priority first, then the soonest due."""
    from backstay.cli import screen

    with reading(home) as reader:
        check_queue(reader, home, queue)
        found = open_items(reader, queue, -1 if mine else limit)
        if mine:
            found = turn_of(mine, found, reader, home)[:limit]
        tallies = {wait.id: tally_of(reader, wait) for wait in found}
        titles = titles_of(reader, found, tallies)
        if as_json:
            screen.show_json([_inbox_json(reader, wait, tallies[wait.id]) for wait in found])
            return
    if not found:
        place = f" in {queue}" if queue else ""
        whom = f" for {mine}" if mine else "" if queue else " for a person"
        screen.say(f"Nothing waits{place}{whom}." + ("" if queue else " `backstay runs` lists the runs."))
        return
    print_inbox(found, titles, tallies)
    if len(found) == limit:
        screen.hint(f"The first {limit}; --limit shows more.")
    screen.hint(f"`backstay show ITEM{screen.at_home(home)}` shows a case, its form, and what to type.")


def open_items(reader: Reader, queue: str, limit: int, kind: str | None = None) -> list[Wait]:
    """What waits for people, as the inbox orders it; a limit of -1 is none."""
    from backstay.store.views import read_wait

    asked = {"queue": queue or None, "kind": kind, "action": None, "people": 1, "limit": limit}
    return [read_wait(row) for row in reader.all("waits", asked)]


def turn_of(name: str, waits: list[Wait], reader: Reader, home: Path) -> list[Wait]:
    """Those of some items that a person has or may take now; what they voted on already is not."""
    from backstay.operations.items import is_for
    from backstay.store.clock import Clock

    directory, rules, at = directory_of(home), read_queues(home), Clock().stamp()
    persons = directory.persons_behind(name)
    found = [
        wait
        for wait in waits
        if is_for(wait, name, members_of(wait.queue, rules), directory, at, started_by=starter(reader, wait.run))
    ]
    stands = {wait.id: tally_of(reader, wait) for wait in found}
    apart = {name: [*stand.excluded, *(vote.by for vote in stand.votes)] for name, stand in stands.items()}
    return [wait for wait in found if not persons & directory.persons_behind(*apart[wait.id])]


def tally_of(reader: Reader, wait: Wait) -> Tally:
    """How a decision stands."""
    from backstay.operations.items import Tally, tally
    from backstay.store.encoding import decode

    if wait.kind != "approval":
        return Tally()
    return tally(decode(row["kind"], row["body"]) for row in reader.all("votes_on", (wait.run, wait.command)))


def to_do(wait: Wait) -> str:
    """The commands that an item asks for now."""
    return "answer" if wait.asked_at is not None else WHAT_TO_DO.get(wait.kind, wait.kind)


def _inbox_json(reader: Reader, wait: Wait, tally: Tally) -> dict[str, Any]:
    from backstay.cli import screen

    votes = {"quorum": tally.quorum, "votes": [vote.by for vote in tally.votes], "shown": tally.shown or None}
    words: dict[str, Any] = {"about": about(reader, wait.run), "agent": agent_of(reader, wait.run) or None}
    return {**screen.as_json(wait), **words, "do": to_do(wait).split(", "), **votes}


def print_inbox(found: list[Wait], titles: dict[str, str], tallies: dict[str, Tally]) -> None:
    """Items as a table; priorities only if there are any."""
    from backstay.cli import screen
    from backstay.store.clock import Clock

    now, ranked = Clock().now(), any(wait.priority for wait in found)
    made = screen.table(*(("prio",) if ranked else ()), "item", "queue", "what", "since", "do", flexible="what")
    rows = [_inbox_row(wait, titles[wait.id], tallies[wait.id], now) for wait in found]
    screen.rows(made, [(wait.priority, *row) if ranked else row for wait, row in zip(found, rows, strict=True)])


def check_queue(reader: Reader, home: Path, queue: str) -> None:
    """Refuse a queue that nobody declared and in which nothing lies; without the worker's list nobody knows."""
    from backstay.errors import NotFound
    from backstay.store.clock import Clock

    owners = read_queues(home)
    lying = {row["queue"] for row in reader.all("queue_counts", {"now": Clock().stamp()})} if queue else set[str]()
    known = sorted((owners.keys() | lying | {"operators"}) - {"*"})
    if queue and owners and queue not in known:
        raise NotFound(f"there is no queue {queue!r}; there are {', '.join(known)}")


def _inbox_row(wait: Wait, words: str, tally: Tally, now: Any) -> tuple[Any, ...]:
    from rich.text import Text

    from backstay.cli import screen
    from backstay.operations.wording import moment

    title = Text(screen.one_line(words))
    if wait.asked_at:
        title.append(f"  (paused: {wait.requester} was asked)", "magenta")
    if wait.assigned:
        title.append(f"  (for {wait.assigned})", "blue")
    if wait.claimed_by:
        until = f" until {moment(wait.claimed_until)}" if wait.claimed_until else ""
        title.append(f"  ({wait.claimed_by} has it{until})", "blue")
    if tally.words:
        title.append(f"  {tally.words}", "cyan")
    if wait.due_at and not wait.asked_at:
        overdue = wait.due_at < now.isoformat()
        title.append(f"  due {screen.ago(wait.due_at, now)}", "bold red" if overdue else "yellow")
    since = screen.ago(wait.opened_at, now).removesuffix(" ago")
    return f"{screen.short(wait.run)}/{wait.command}", wait.queue, title, since, to_do(wait)


def queues(home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Count what lies in each queue: with its owner, its oldest item and what is overdue."""
    from backstay.cli import screen
    from backstay.store.clock import Clock
    from backstay.store.views import QueueCount

    now = Clock().now()
    with reading(home) as reader:
        rows = reader.all("queue_counts", {"now": Clock().stamp()})
        found = [QueueCount(**{name: row[name] for name in QueueCount.__dataclass_fields__}) for row in rows]
    rules = read_queues(home)
    if as_json:
        screen.show_json(
            [
                {**screen.as_json(c), "owner": owner_of(c.queue, rules), "members": members_of(c.queue, rules)}
                for c in found
            ]
        )
    elif not found:
        screen.say("Every queue is empty.")
    else:
        made = screen.table("queue", "owner", "kind", "items", "oldest", flexible="items")
        screen.rows(
            made, [(c.queue, owner_of(c.queue, rules), c.kind, _items(c), screen.ago(c.oldest, now)) for c in found]
        )


def _items(count: QueueCount) -> Any:
    from rich.text import Text

    told = Text(str(count.items))
    if count.claimed:
        told.append(f", {count.claimed} claimed", "blue")
    if count.overdue:
        told.append(f", {count.overdue} overdue", "bold red")
    return told


def read_queues(home: Path) -> dict[str, dict[str, Any]]:
    """Queue -> its owner, members and reasons, as the last worker left it beside the store."""
    try:
        found = json.loads((home / "queues.json").read_text("utf-8"))
        return {name: rules if isinstance(rules, dict) else {"owner": rules} for name, rules in found.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def owner_of(queue: str, rules: dict[str, dict[str, Any]]) -> str:
    """Who answers for a queue: whoever its rules name, else those of `*`, else the operators."""
    return str(rules.get(queue, rules.get("*", {})).get("owner", "operators"))


def members_of(queue: str, rules: dict[str, dict[str, Any]]) -> list[str]:
    """Who may work on a queue's items; nobody named is everybody."""
    return list(rules.get(queue, {}).get("members", ()))


def done(
    item: ItemName,
    form: Annotated[
        list[str] | None, typer.Option("--form", "-f", metavar="JSON|@FILE|KEY=VALUE", help="What the form asks for.")
    ] = None,
    empty: Annotated[
        bool, typer.Option("--empty", help="Hand in a form whose fields are all optional as it is.")
    ] = False,
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Report a task as done, with its filled-in form; `show ITEM` lists its fields."""
    from backstay.errors import InvalidInput

    who, wait = person(by), shown(home, item, frozenset({"task"}))
    fields = form_of(home, wait)
    if fields and not form and not empty and not any(field.required for field in fields):
        raise typer.BadParameter(f"fill in its --form, or say --empty; {form_words(fields)}")
    if form and empty:
        raise typer.BadParameter("say either --form or --empty")
    value = read_input(form or [], "--form")
    try:
        _, working = change(home, lambda client: client.complete(item, value, by=who))
    except InvalidInput as error:
        raise explained(error, fields) from None
    told(as_json, working, wait, f"{who} did", {"done": True, "by": who}, home)


def form_of(home: Path, wait: Wait | None) -> list[Field]:
    """The fields of a task's form."""
    from backstay.operations.forms import fields_of
    from backstay.store.views import read_events

    if wait is None:
        return []
    with reading(home) as reader:
        own = [item.event for item in read_events(reader, wait.run)]
    forms = [getattr(event, "form", None) for event in own if getattr(event, "command", "") == wait.command]
    return fields_of(next((form for form in reversed(forms) if form is not None), None))


def form_words(fields: list[Field]) -> str:
    return f"the form has {', '.join(f'{field.name}: {field.words}' for field in fields)}"


def explained(error: InvalidInput, fields: list[Field]) -> InvalidInput:
    """What did not fit, with what the form has."""
    from backstay.errors import InvalidInput

    if not fields:
        return error
    words = {field.name: field.words for field in fields}
    wrong = {name: f"{text}; give {words[name]}" if name in words else text for name, text in error.fields.items()}
    return InvalidInput(f"{error}; {form_words(fields)}", wrong)


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
    told(as_json, working, wait, f"{who} settled ({outcome})", {"outcome": outcome, "by": who})


def shown(home: Path, item: str, kinds: frozenset[str]) -> Wait | None:
    """The item before it is changed, to say afterwards what it was; None for whoever may only answer about their own."""
    from backstay.errors import Conflict
    from backstay.store.views import read_wait

    if not may_see(home):
        return None
    with reading(home) as reader:
        found = find_item(reader, item, kinds)
        row = run_named(reader, item)
        waits = [read_wait(wait) for wait in reader.all("waits_of_run", (row.id,))]
    others = [wait for wait in waits if wait.queue and item.partition("/")[2] in ("", wait.command)]
    if others and not any(wait.kind in kinds for wait in others):
        other = others[0]
        use = " or ".join(f"`backstay {name}`" for name in WHAT_TO_DO[other.kind].split(", "))
        kind = f"{'an' if other.kind[0] in 'aeiou' else 'a'} {other.kind} item"
        raise Conflict(f"{other.id} is {kind}: use {use}" if other.kind != "diverted" else f"{other.id} is {kind}")
    return found


def told(
    as_json: bool, working: bool, wait: Wait | None, did: str, body: dict[str, Any], home: Path | None = None,
    still: str = "",
) -> None:  # fmt: skip
    """Say what was done, and with a worker and a `home` what came next. still: what the item itself goes on waiting for."""
    from backstay.cli import screen

    after = came_next(home, wait) if home is not None and wait is not None and working else None
    if as_json:
        more = {} if after is None else {"status": after[0].status, "waits": after[1]}
        screen.show_json({"item": wait.id if wait else None, "worker": working, **body, **more})
        return
    what = f": {title_of(wait) or wait.kind} ({wait.queue})" if wait else "."
    screen.say(f"{did}{what}")
    if still:
        screen.say(f"It {still}.")
    elif after is not None:
        screen.say(next_words(*after))
    goes_on(working)


def came_next(home: Path, wait: Wait) -> tuple[Run, list[Wait]]:
    """Where the run stands once it moves no more, or after a moment."""
    import time

    from backstay.cli.stores import look
    from backstay.store.views import read_wait

    end = time.monotonic() + MOMENT
    while (row := look(home, wait.run)).status == "running" and time.monotonic() < end:
        time.sleep(0.05)
    with reading(home) as reader:
        return row, [read_wait(found) for found in reader.all("waits_of_run", (row.id,))]


def waits_for(wait: Wait) -> str:
    """For what a case waits that is no person's turn."""
    from backstay.commands import FINISH

    if wait.kind == "signal" and wait.subject == FINISH:
        return "for the agent's loop outside, which has its answer and goes on"
    return {
        "signal": f"for the signal {wait.subject!r}", "timer": "for a time that it set",
        "child": "for a case that it started",
    }.get(wait.kind, f"for {wait.subject or wait.kind}")  # fmt: skip


def next_words(row: Run, waits: list[Wait]) -> str:
    queues = list(dict.fromkeys(wait.queue for wait in waits if wait.queue))
    if queues:
        return f"The case now waits in {', '.join(queues)}."
    if row.status == "waiting":
        return f"The case now waits {', '.join(dict.fromkeys(map(waits_for, waits))) or 'for something'}."
    return f"The case {'goes on' if row.status == 'running' else 'has ' + row.status}."
