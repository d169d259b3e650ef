"""`backstay switch`: turn something off or on, and drill it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from backstay.cli.exits import OK, REFUSED
from backstay.cli.groups import FirstByDefault
from backstay.cli.options import DEFAULT_HOME, AsJson, By, Home, Reason, person
from backstay.cli.runs import known_scope, switch
from backstay.cli.stores import change, reading

app = typer.Typer(
    cls=FirstByDefault,
    help="The kill switch: list what is off, turn something off or on, and drill it.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("flip")(switch)

OUTCOMES = {
    "passed": "no write started, and what wanted to was kept back",
    "idle": "nothing wanted to write meanwhile, so this shows little",
    "failed": "writes started all the same",
    "broken-off": "the worker stopped before it was over",
}


@app.command()
def drill(
    scope: Annotated[
        str, typer.Argument(metavar="SCOPE", help="all, agent:NAME, action:NAME, workflow:NAME, effect:write, ...")
    ] = "",
    seconds: Annotated[float, typer.Option("--seconds", help="For how long writes are kept back; at most 60.")] = 10.0,
    reason: Reason = "drill",
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:
    """Keep the writes of a scope back for some seconds, see that none starts, let them go on, and record what was seen."""
    from backstay.cli import screen
    from backstay.engine.control import find_worker
    from backstay.errors import Conflict
    from backstay.operations.wording import counted

    if not scope:
        raise typer.BadParameter(
            "name what to drill: all, agent:NAME, action:NAME, ...; say `backstay switch drill all`"
        )
    known_scope(scope)
    who = person(by)
    if find_worker(home) is None:
        raise Conflict("no worker is running, so there is nothing to keep back; start one with `backstay dev FILE`")
    told, _ = change(home, lambda client: client.drill(scope, seconds=seconds, by=who, reason=reason))
    if as_json:
        screen.show_json(told)
    else:
        style = {"passed": "bold green", "failed": "bold red"}.get(told["outcome"], "bold")
        screen.say(f"{scope}: {told['outcome']}: {OUTCOMES[told['outcome']]}.", style)
        held, reads = counted(told["held"], "write"), counted(told["reads"], "read")
        screen.say(f"{held} kept back, {told['started']} started, {reads} went on, in {told['seconds']:g} s.")
    return REFUSED if told["outcome"] == "failed" else OK


@app.command()
def drills(
    max_age: Annotated[
        str,
        typer.Option(
            "--max-age", envvar="BACKSTAY_DRILL_AGE", metavar="SPAN", help="A drill is due after so long, such as 30d."
        ),
    ] = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:
    """List the last drill of each scope; with --max-age those that are overdue, and exit code 1 if there is any."""
    from backstay.cli import screen
    from backstay.errors import InvalidInput
    from backstay.events import SystemRecorded
    from backstay.governance.switches import last_drills
    from backstay.operations.wording import moment
    from backstay.store.clock import Clock
    from backstay.store.views import system_events
    from backstay.types import seconds

    try:
        age = timedelta(seconds=seconds(max_age)) if max_age else None
    except (ValueError, OverflowError):
        wrong = f"{max_age!r} is no span; write for example 30d"
        raise InvalidInput(f"--max-age: {wrong}", {"max-age": wrong}) from None
    with reading(home) as reader:
        found = last_drills(each for each in system_events(reader, "drill") if isinstance(each, SystemRecorded))
    now = datetime.fromtimestamp(Clock().timestamp(), UTC)
    late = {
        each.scope
        for each in found
        if age is not None and (each.outcome != "passed" or each.due(age) < now.isoformat())
    }
    overdue = bool(late) or (age is not None and not found)
    if as_json:
        screen.show_json([
            {"scope": each.scope, "by": each.by, "outcome": each.outcome, "ended": each.ended, "overdue": each.scope in late,
             "due": each.due(age) if age else None, **each.told()}
            for each in found
        ])  # fmt: skip
    elif not found:
        screen.say("No switch was ever drilled. `backstay switch drill all` keeps writes back for ten seconds.")
    else:
        made = screen.table("scope", "last drill", "by", "outcome", "kept back", "started", "reads", "due")
        screen.rows(made, [
            (each.scope, moment(each.began), each.by, each.outcome, each.held, each.started, each.reads,
             "overdue" if each.scope in late else moment(each.due(age)) if age else "")
            for each in found
        ])  # fmt: skip
    return REFUSED if overdue else OK
