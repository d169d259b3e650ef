"""`backstay policy diff` and `export`: what another table would decide, and a table as a text."""

from __future__ import annotations

from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backstay.cli.exits import OK, REFUSED
from backstay.cli.options import DEFAULT_HOME, AsJson, Home
from backstay.cli.policy_tables import application, now, table_of

if TYPE_CHECKING:
    from backstay.engine.application import App
    from backstay.governance.policy import Policy
    from backstay.governance.policy_diff import Change

Table = Annotated[str, typer.Argument(metavar="TABLE", help="A policy file (.yaml, .json), or FILE of an application.")]


class Form(StrEnum):
    """What a table is written as."""

    english = "english"
    cedar = "cedar"
    yaml = "yaml"
    json = "json"


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A policy file, or FILE of an application, or FILE:NAME.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same, changed.")],
    caller: Annotated[
        str,
        typer.Option("--app", metavar="APP", help="Whose calls are tried; default: the application that is compared."),
    ] = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:
    """List the situations whose verdict changes from one table to another; exit code 1 if there are any."""
    from backstay.cli import screen
    from backstay.errors import InvalidInput
    from backstay.governance.policy_diff import differences
    from backstay.operations.permissions import everybody

    (before, one), (after, other) = table_of(old), table_of(new)
    app = application(caller) if caller else other or one
    if app is None:
        raise InvalidInput("two policy files say nothing of who calls: add --app FILE", {"app": "is missing"})
    found = differences(before, after, everybody(app), now())
    if as_json:
        screen.show_json({"old": before.digest, "new": after.digest, "changes": [told(each) for each in found]})
        return REFUSED if found else OK
    for heading, group in groupby(found, key=heading_of):
        screen.say(heading, "bold")
        for each in group:
            screen.say(f"  {line_of(each)}")
    tell_end(before, after, found, app)
    return REFUSED if found else OK


def heading_of(each: Change) -> str:
    agent = " (agent)" if each.first.facts.agent and not each.first.led_by else ""
    return f"{each.first.facts.action} ({each.first.facts.effect}) by {each.first.caller}{agent}"


def line_of(each: Change) -> str:
    old, new = each.verdicts
    when = f"if {each.when}" if each.when else "whatever its arguments"
    since = f"from {each.since[:16].replace('T', ' ')} UTC on, " if each.since else ""
    return f"{old} → {new}: {since}{when} (rule {each.old.id!r} → {each.new.id!r})"


def tell_end(before: Policy, after: Policy, found: list[Change], app: App) -> None:
    from backstay.cli import screen
    from backstay.operations.wording import counted

    if found:
        situations = sum(each.situations for each in found)
        screen.hint(f"{counted(situations, 'situation')} of {app.name} come out otherwise." if situations > 1
                    else f"1 situation of {app.name} comes out otherwise.")  # fmt: skip
    elif before.digest == after.digest:
        screen.say("The tables are the same.", "bold green")
    else:
        screen.say(f"The texts differ, and no call of {app.name} comes out otherwise.", "bold green")


def told(each: Change) -> dict[str, Any]:
    old, new = each.verdicts
    return {"caller": each.first.caller, "action": each.first.facts.action, "effect": each.first.facts.effect, "old": old,
            "new": new, "old_rule": each.old.id, "new_rule": each.new.id, "when": each.when, "since": each.since,
            "example": each.first.args, "situations": each.situations}  # fmt: skip


def export(
    table: Table,
    form: Annotated[Form, typer.Option("--format", help="What it is written as.")] = Form.english,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there; default: print it.")
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:
    """Write a table as a page in plain English, as Cedar policies, or as a policy file."""
    from backstay.cli import screen
    from backstay.cli.auditing import write_text
    from backstay.governance.policy_cedar import cedar
    from backstay.governance.policy_english import english
    from backstay.governance.policy_files import written

    policy, app = table_of(table)
    name = app.name if app is not None else Path(table).stem
    match form:
        case Form.english:
            text = english(policy, name, now())
        case Form.cedar:
            text = cedar(policy, name)
        case Form.yaml | Form.json:
            text = written(policy.rules, form.value)
    if output is not None:
        write_text(output, text)
    if as_json:
        screen.show_json({"format": form.value, "version": policy.digest, "text": text})
    elif output is None:
        typer.echo(text, nl=False)
    else:
        screen.say(f"The policy is in {output}.")
    return OK
