"""Commands that run workflows: a worker with reload, one start, one signal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backstay.cli.exits import ATTENTION, OK
from backstay.cli.inputs import Check, read_input
from backstay.cli.loading import NO_FILE, find_app, find_workflow, load, split
from backstay.cli.options import DEFAULT_HOME, AsJson, By, Home, RunName, person
from backstay.cli.stores import change, goes_on, look, may_see, reading

if TYPE_CHECKING:
    from backstay.language import Workflow
    from backstay.store.views import Run


def dev(
    target: Annotated[str, typer.Argument(metavar="FILE[:APP]", help="A file with an `App`, or with workflows.")],
    reload: Annotated[
        bool, typer.Option("--reload/--no-reload", help="Start again when a Python file changes.")
    ] = True,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:
    """Run an application on the store, and tell what happens. With --json one value per line."""
    if reload:
        from backstay.cli.reloading import supervise

        path, _ = split(target)
        load_once(path)
        arguments = ["dev", target, "--no-reload", "--home", str(home), *(["--json"] if as_json else [])]
        return supervise(arguments, path.resolve().parent, quiet=as_json)
    import asyncio

    from backstay.cli.reloading import follow_supervisor
    from backstay.cli.worker import work

    follow_supervisor()
    path, name = split(target)
    asyncio.run(work(find_app(load(path), name), home, as_json))
    return OK


def load_once(path: Path) -> None:
    """A file that does not exist is an error now, not something to wait for."""
    from backstay.errors import NotFound

    if not path.is_file():
        raise NotFound(NO_FILE.format(path))


def start(
    target: Annotated[str, typer.Argument(metavar="FILE:WORKFLOW", help="A workflow of a file.")],
    input: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="JSON|@FILE|KEY=VALUE", help="May be given several times."),
    ] = None,
    key: Annotated[str, typer.Option("--key", "-k", help="The same key starts one run only.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Return when the run has ended.")] = False,
    requester: Annotated[
        str, typer.Option("--for", metavar="NAME", help="Whose request it is, if a service or operator feeds it in.")
    ] = "",
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:
    """Start a run: through the running worker if there is one, otherwise here, until nothing moves."""
    import asyncio

    from backstay.cli import screen
    from backstay.cli.worker import run_here, watch
    from backstay.engine.control import find_worker
    from backstay.store.clock import Clock

    path, name = split(target)
    given, who, before = read_input(input or [], "--input", check=declared(path, name)), person(by), Clock().stamp()
    load_once(path)
    worker, sees = find_worker(home), may_see(home)
    if worker is not None and not name:
        name = find_workflow(load(path), "").name
    if worker is not None and name:
        asked = worker.start(name, given, key=key or None, by=who, trigger="command line", requester=requester or None)
        run = asyncio.run(asked)
        row = asyncio.run(watch(home, run)) if wait else look(home, run)
    else:
        row = asyncio.run(run_here(path, name, given, key, (who, requester), home, wait, as_json or not sees))
    existing = bool(key) and row.started_at < before
    differs = differences(home, row, given) if existing and sees else []
    if as_json:
        screen.show_json({"run": row.id, "workflow": row.workflow, "version": row.version, "status": row.status,
                          "result": result_of(home, row) if sees else None, "worker": worker is not None, "existing": existing,
                          "differs": differs})  # fmt: skip
    else:
        if existing:
            screen.say(f"The key {key!r} has started this run already; nothing new was started.", "bold")
        if differs:
            words = f"warning: the input differs from that run's in {', '.join(differs)}; what you gave was not used."
            screen.say(words, "bold yellow")
        if sees:
            told_start(row, home)
        else:
            screen.say(f"run {row.id} ({row.workflow})", "bold")
    return ATTENTION if row.status in ("failed", "cancelled", "attention") else OK


def declared(path: Path, name: str) -> Check:
    """What a workflow's parameters say of an input. A file that does not tell says nothing: the start itself complains."""
    from functools import cache

    from backstay.errors import BackstayError

    @cache
    def workflow() -> Workflow[..., Any] | None:
        try:
            return find_workflow(load(path), name)
        except BackstayError:
            return None

    def check(value: Any) -> None:
        found = workflow()
        if found is not None:
            found.program.signature.read(f"input of workflow {found.name!r}", value)

    return check


def result_of(home: Path, row: Run) -> Any:
    """The recorded result of a finished run, private values as pseudonyms."""
    from backstay.events import RunFinished
    from backstay.store.payloads import Payloads
    from backstay.store.views import read_events

    if row.status != "finished":
        return None
    with reading(home) as reader:
        last = Payloads(home, reader).mark_erased(read_events(reader, row.id, row.seq - 1)[-1].event)
    return last.result if isinstance(last, RunFinished) else None


def differences(home: Path, row: Run, given: Any) -> list[str]:
    """Where an input differs from the one that a run was started with, as dotted names."""
    from backstay.cli.inputs import differing
    from backstay.events import RunStarted
    from backstay.store.payloads import Payloads
    from backstay.store.views import read_events

    with reading(home) as reader:
        started = Payloads(home, reader).restore(read_events(reader, row.id)[0].event, {})
    return list(differing(given, started.input)) if isinstance(started, RunStarted) else []


def told_start(row: Run, home: Path) -> None:
    from backstay.cli import screen
    from backstay.operations.wording import plain

    how = {"finished": "green", "failed": "bold red", "attention": "bold red"}.get(row.status, "bold")
    ended = (
        f": {plain(result_of(home, row))}" if row.status == "finished" else f": {row.summary}" if row.summary else ""
    )
    screen.say(f"run {row.id} ({row.workflow}) {'is ' if not row.ended else ''}{row.status}{ended}", how)
    screen.hint(f"`backstay log {screen.short(row.id)}{screen.at_home(home)}` tells its story.")


def signal(
    run: RunName,
    name: Annotated[str, typer.Argument(help="The signal that the run waits for.")],
    payload: Annotated[
        list[str] | None, typer.Option("--payload", "-p", metavar="JSON|@FILE|KEY=VALUE", help="What it carries.")
    ] = None,
    number: Annotated[str, typer.Option("--id", help="The sender's own id: the same one counts once.")] = "",
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Send a run an event; it is kept if the run does not wait for it yet."""
    from backstay.cli import screen

    value, who = (read_input(payload, "--payload", any_value=True) if payload else None), person(by)
    found = look(home, run).id if may_see(home) else run
    _, working = change(home, lambda client: client.signal(found, name, value, id=number or None, by=who))
    if as_json:
        screen.show_json({"run": found, "signal": name, "by": who, "worker": working})
        return
    screen.say(f"{who} sent {name!r} to run {found}.")
    goes_on(working)
