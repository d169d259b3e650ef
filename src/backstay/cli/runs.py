"""Commands about single runs: list, show, tell, prove, stop, try again; and the kill switch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from backstay.cli.options import DEFAULT_HOME, AsJson, By, Home, Limit, Reason, RunName, person
from backstay.cli.people import read_queues
from backstay.cli.stores import about, change, goes_on, reading, run_named
from backstay.cli.titles import agent_of, agent_title, held_up_by, title_of

if TYPE_CHECKING:
    from backstay.events import Event
    from backstay.language import Program
    from backstay.operations.items import Item
    from backstay.store.database import Reader
    from backstay.store.views import Run, Stored, Wait

NO_RUNS = 'No runs yet; start one with `backstay start app.py:workflow --input \'{"name": "value"}\'`.'


def runs(
    workflow: Annotated[str, typer.Option("--workflow", "-w", help="Only runs of this workflow.")] = "",
    status: Annotated[str, typer.Option("--status", "-s", help="running, waiting, attention, finished, ...")] = "",
    limit: Limit = 20,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    from backstay.cli import screen
    from backstay.errors import NotFound
    from backstay.store.views import Status, read_run

    if status and status not in get_args(Status):
        raise typer.BadParameter(f"there is no status {status!r}; there are {', '.join(get_args(Status))}")
    with reading(home) as reader:
        named = {row["workflow"] for row in reader.all("runs_by_status")} if workflow else set[str]()
        if workflow and workflow not in named:
            listed = ", ".join(sorted(named)) or "none yet"
            raise NotFound(f"no run of a workflow {workflow!r} is here; there are runs of: {listed}")
        asked = {"status": status or None, "workflow": workflow or None, "before": None, "limit": limit}
        found = [read_run(row) for row in reader.all("runs", asked)]
        words = {} if as_json else {run.id: in_words(reader, run) for run in found}
    if as_json:
        screen.show_json(found)
    elif not found:
        screen.say("No such runs." if workflow or status else NO_RUNS)
    else:
        print_runs(found, words)
        if len(found) == limit:
            screen.hint(f"The newest {limit}; --limit shows more.")


def in_words(reader: Reader, run: Run) -> str:
    """Why a run did not end well, or else what set it off; of an agent that stopped short of its goal both."""
    if not run.summary or run.status == "finished":
        return " · ".join(filter(None, (run.summary, about(reader, run.id))))
    return run.summary


def print_runs(found: list[Run], words: dict[str, str]) -> None:
    from backstay.cli import screen
    from backstay.operations.wording import plain
    from backstay.store.clock import Clock

    now = Clock().now()
    made = screen.table("run", "workflow", "status", "started", "about", flexible="about")
    lines = [
        (
            screen.short(run.id), run.workflow, screen.status(run.status), screen.ago(run.started_at, now),
            plain(words[run.id], 90) if words[run.id] else "",
        )
        for run in found
    ]  # fmt: skip
    screen.rows(made, lines)


def show(run: RunName, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Show one run, or one item: where it stands, what it waits for and why, forms with what to type, how it ended."""
    from backstay import events as ev
    from backstay.cli import screen
    from backstay.operations.items import describe
    from backstay.store.views import read_events, read_run, read_wait

    with reading(home) as reader:
        row = run_named(reader, run)
        stored = read_events(reader, row.id)
        waits = [read_wait(item) for item in reader.all("waits_of_run", (row.id,))]
        events, program = unfolded(reader, home, stored), program_of(reader, row) if waits else None
        rules, short = read_queues(home), screen.short(row.id)
        items = [
            describe(wait, events, short, program, rules.get(wait.queue, {}).get("reasons", ()))
            for wait in chosen(waits, run)
        ]
        items = [with_below(reader, item) for item in items]
        parent = read_run(above) if row.parent and (above := reader.one("run", (row.parent,))) else None
        children = [read_run(item) for item in reader.all("children_of", (row.id,))]
        picture = draw_picture(reader, row, home)
        started = next(iter(events), None)
    last = events[-1] if events else None
    given = started.input if isinstance(started, ev.RunStarted) else None
    result = last.result if isinstance(last, ev.RunFinished) else None
    if as_json:
        body: dict[str, Any] = screen.as_json(row)
        waiting = [{**screen.as_json(item.wait), **item.as_json()} for item in items]
        body |= {"input": given, "result": result, "waits": waiting, "children": [child.id for child in children]}
        screen.show_json({**body, "events": len(stored), "picture": str(picture) if picture else None})
        return
    print_run(row, given, result, children, parent)
    for item in items:
        print_item(item, home)
    if picture:
        screen.hint(f"picture  {picture}")
    screen.hint(f"`backstay log {screen.short(row.id)}{screen.at_home(home)}` tells how it came to this.")


def chosen(waits: list[Wait], name: str) -> list[Wait]:
    """What a run waits for, or with RUN/COMMAND only that."""
    from backstay.errors import NotFound

    command = name.partition("/")[2]
    found = [wait for wait in waits if command in ("", wait.command)]
    if command and not found:
        listed = ", ".join(wait.command for wait in waits) or "nothing"
        raise NotFound(f"{name} does not wait (any more); what waits there: {listed}")
    return found


def with_below(reader: Reader, item: Item) -> Item:
    """An item that waits for a child, with what there waits for a person and what to type."""
    from dataclasses import replace

    from backstay.cli import screen
    from backstay.cli.people import tally_of
    from backstay.operations.items import COMMANDS, PAUSED

    if item.wait.kind != "child":
        return item
    below, do = list[str](), list[str]()
    for wait in held_up_by(reader, item.wait.subject):
        name, agent = f"{screen.short(wait.run)}/{wait.command}", agent_of(reader, wait.run)
        title = agent_title(wait, agent, tally_of(reader, wait).args) if agent else title_of(wait)
        below.append(f"{name}  {wait.kind} for {wait.queue}  {title}")
        lines = PAUSED if wait.asked_at else COMMANDS.get(wait.kind, ())
        do += [f"show {name}", *(line.format(item=name) for line in lines)]
    return replace(item, below=tuple(below), do=tuple(do))


def unfolded(reader: Reader, home: Path, stored: list[Stored]) -> list[Event]:
    """Events with the large values that lie beside the journal; private ones stay pseudonyms."""
    from dataclasses import replace

    from backstay.store.payloads import Payloads

    payloads, events = Payloads(home, reader), list["Event"]()
    for item in stored:
        event: Any = item.event
        large = {at: ref for at, ref in (getattr(event, "refs", None) or {}).items() if ref.startswith("blob:")}
        events.append(payloads.mark_erased(payloads.restore(replace(event, refs=large), {}) if large else event))
    return events


def print_item(item: Item, home: Path) -> None:
    """A waiting item: what is shown, why it waits, the fields of its form, and the lines to type."""
    from backstay.cli import screen
    from backstay.cli.story import details
    from backstay.operations.wording import plain

    wait, asked = item.wait, bool(item.wait.queue)
    title = plain(item.title, 90) if item.title else ""
    place = f"{wait.kind} for {wait.queue}" if asked else f"{wait.kind} {wait.subject}".strip()
    screen.say(
        f"waits: {screen.short(wait.run)}/{wait.command}  {place}{f'  {title}' if title and asked else ''}", "bold"
    )
    facts = [(label, value) for label, value in item.facts() if value]
    if facts:
        screen.out().print(details(facts))
    if item.fields:
        screen.say("form", "dim")
        for variant in dict.fromkeys(field.variant for field in item.fields):
            if variant:
                screen.say(f"  either {variant}:")
            own = [field for field in item.fields if field.variant == variant]
            screen.out().print(details([(f"  {one.name}", f"{one.words}  {one.about}".strip()) for one in own]))
    for line in item.do:
        screen.hint(f"  backstay {line}{screen.at_home(home)}")
    screen.say()


def print_run(row: Run, given: Any, result: Any, children: list[Run], parent: Run | None) -> None:
    from backstay.cli import screen
    from backstay.cli.story import details, heading
    from backstay.operations.wording import pairs, plain

    screen.out().print(heading(row))
    facts = [
        ("key", plain(row.key) if row.key else ""),
        ("parent", f"{parent.id}  {parent.workflow}  {parent.status}" if parent else row.parent or ""),
    ]
    facts += [
        ("input" if number == 0 else "", f"{label} {value}".strip())
        for number, (label, value) in enumerate(pairs(given))
    ]
    if row.status == "finished":
        facts.append(("result", plain(result)))
    elif row.summary:
        facts.append(("reason", row.summary))
    facts += [("child", f"{child.id}  {child.workflow}  {child.status}") for child in children]
    screen.out().print(details([fact for fact in facts if fact[1]]))
    screen.say()


def draw_picture(reader: Reader, row: Run, home: Path) -> Path | None:
    """The flowchart of the run's definition with its way marked, written into the home; None when it has none."""
    from backstay.cli.pictures import write_picture

    return write_picture(reader, row, home / "pictures" / f"{row.id}.svg")


def program_of(reader: Reader, row: Run) -> Program | None:
    """The run's stored program; None when it is missing or damaged, which `replay` and `audit` report."""
    from backstay.errors import BackstayError
    from backstay.operations.proof import compiled

    try:
        return compiled(reader.all("definition", (row.version,))[0]["text"], row.version)
    except (BackstayError, IndexError, ValueError):
        return None


def log(run: RunName, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Tell what happened in a run: decisions with their values, actions, people, times."""
    from backstay.cli import screen
    from backstay.operations.log import tell
    from backstay.store.payloads import Payloads
    from backstay.store.views import read_events

    with reading(home) as reader:
        row = run_named(reader, run)
        payloads = Payloads(home, reader)
        stored = [item._replace(event=payloads.mark_erased(item.event)) for item in read_events(reader, row.id)]
        lines = tell(row, stored, program_of(reader, row))
    if as_json:
        screen.show_json({"run": row.id, "workflow": row.workflow, "version": row.version, "status": row.status,
                          "lines": [line.as_json() for line in lines]})  # fmt: skip
        return
    from backstay.cli.story import print_story

    print_story(screen.out(), row, lines)


def cancel(
    run: RunName, reason: Reason = "cancelled", by: By = "", home: Home = DEFAULT_HOME, as_json: AsJson = False
) -> None:
    """Stop a run; what it did is undone first, in reverse order."""
    from backstay.cli import screen

    who = person(by)
    with reading(home) as reader:
        row = run_named(reader, run)
    _, working = change(home, lambda client: client.cancel(row.id, by=who, reason=reason))
    if as_json:
        screen.show_json({"run": row.id, "cancelled_by": who, "worker": working})
        return
    screen.say(f"{who} cancelled run {row.id}.")
    goes_on(working)


def retry(
    target: Annotated[str, typer.Argument(metavar="[RUN|ITEM]", help="A run, or one item as RUN/COMMAND.")] = "",
    queue: Annotated[str, typer.Option("--queue", "-q", metavar="NAME", help="Everything that lies in a queue.")] = "",
    reason: Reason = "",
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Send failed calls back to the gate: one item, all of a run, or a whole queue."""
    from backstay.cli import screen

    if bool(target) == bool(queue):
        raise typer.BadParameter("name a run or item, or --queue NAME, and not both")
    asked, who = f"queue:{queue}" if queue else target, person(by)
    done, working = change(home, lambda client: client.retry(asked, by=who, reason=reason))
    if as_json:
        screen.show_json({"retried": done, "worker": working})
        return
    screen.say(f"{done} sent back to the gate." if done else "Nothing waits there for a retry.")
    if done:
        goes_on(working)


def switch(
    scope: Annotated[
        str, typer.Argument(metavar="[SCOPE]", help="all, agent:NAME, action:NAME, workflow:NAME, effect:write, ...")
    ] = "",
    off: Annotated[bool | None, typer.Option("--off/--on", help="Stop it, or let it go on.")] = None,
    reason: Reason = "",
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """The kill switch: list what is off, or turn something off or on. Reading always goes on."""
    from backstay.cli import screen

    if not scope and (off is not None or reason):
        raise typer.BadParameter("name what: all, agent:NAME, action:NAME, workflow:NAME or effect:KIND")
    if not scope:
        print_switches(home, as_json)
        return
    known_scope(scope)
    if off is None or (off and not reason):
        raise typer.BadParameter("say --off with a --reason, or --on")
    turned, who = off, person(by)
    freed, working = change(home, lambda client: client.switch(scope, off=turned, by=who, reason=reason))
    if as_json:
        screen.show_json({"scope": scope, "off": turned, "by": who, "retried": freed, "worker": working})
        return
    screen.say(f"{scope} is {'off' if turned else 'on'}, by {who}." + (f" {freed} call(s) go on." if freed else ""))
    goes_on(working)


def known_scope(scope: str) -> None:
    """Raise InvalidInput for a word that is no scope, and say what else there is."""
    from backstay.errors import InvalidInput
    from backstay.governance.switches import check_scope

    try:
        check_scope(scope)
    except InvalidInput as error:
        more = "`backstay switch` alone lists what is off, `backstay switch drills` what was drilled"
        raise InvalidInput(f"{error}. {more}", error.fields) from None


def print_switches(home: Path, as_json: bool) -> None:
    from backstay.cli import screen
    from backstay.events import SystemRecorded
    from backstay.operations.wording import moment
    from backstay.store.views import system_events

    with reading(home) as reader:
        events = [event for event in system_events(reader, "switch") if isinstance(event, SystemRecorded)]
    flipped = {event.subject: event for event in events}
    found = [(name, event) for name, event in flipped.items() if isinstance(event.detail, dict) and event.detail["off"]]
    if as_json:
        screen.show_json([{"scope": n, "reason": e.detail["reason"], "by": e.by, "at": e.at} for n, e in found])
    elif not found:
        screen.say("Nothing is switched off.")
    else:
        made = screen.table("off", "by", "since", "reason", flexible="reason")
        screen.rows(made, [(name, event.by, moment(event.at), event.detail["reason"]) for name, event in found])
