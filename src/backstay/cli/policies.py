"""`backstay policy`: what the rules of an application say, before a call asks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backstay.cli.exits import OK, REFUSED
from backstay.cli.options import DEFAULT_HOME, AsJson, Home

if TYPE_CHECKING:
    from backstay.actions import Action
    from backstay.engine.application import App
    from backstay.governance.analysis import Caller, Example, Situation
    from backstay.governance.policy import Facts, Rule

app = typer.Typer(help="What the rules say: check them, try a call, see who may do what.", no_args_is_help=True)

AppName = Annotated[str, typer.Argument(metavar="APP", help="FILE of the application, or FILE:NAME.")]


@app.command()
def check(target: AppName, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> int:
    """Find rules that never decide, that overlap, that expired, that fail their tests; and what agents may do alone."""
    from backstay.cli import screen
    from backstay.governance.analysis import examples, failing
    from backstay.operations.permissions import callers_of, look, unwatched
    from backstay.operations.wording import counted

    loaded, moment = application(target), now()
    found = look(loaded, moment)
    tests = examples(loaded.policy, callers_of(loaded))
    alone, failed = unwatched(found), failing(loaded.policy, tests, moment)
    if as_json:
        screen.show_json({
            "rules": len(loaded.policy.rules), "situations": len(found.situations), "unreachable": found.unreachable,
            "expired": found.expired, "overlaps": [[one, other, told(where)] for one, other, where in found.overlaps],
            "without_a_person": [told(each) for each in alone],
            "tests": len(tests), "failed_tests": [{"rule": test.rule, "fails": said(test, rule)} for test, rule in failed],
        })  # fmt: skip
        return REFUSED if found.unreachable or failed else OK
    for rule in found.unreachable:
        screen.say(f"Rule {rule!r} never decides: others always come before it.", "bold red")
    for rule in found.expired:
        screen.say(f"Rule {rule!r} has expired and does not count any more.")
    for one, other, where in found.overlaps:
        screen.say(f"Rules {one!r} and {other!r} both speak of {words(where)}: {one!r} decides.")
    for each in alone:
        screen.say(f"Without a person: {words(each)} (rule {each.rule.id!r}, until {each.rule.expires or 'for ever'}).")
    if not alone:
        screen.say("No agent does anything irreversible without a person.", "bold green")
    for test, rule in failed:
        screen.say(f"A test of rule {test.rule!r} fails: {said(test, rule)}.", "bold red")
    rules, situations = counted(len(loaded.policy.rules), "rule"), counted(len(found.situations), "situation")
    screen.hint(f"{rules}, {situations} that the rules can tell apart, {counted(len(tests), 'test')}.")
    return REFUSED if found.unreachable or failed else OK


@app.command(name="try")
def try_(
    target: AppName,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="Name of the action that is called.")],
    caller: Annotated[str, typer.Option("--by", metavar="NAME", help="The workflow or agent that calls it.")] = "",
    arg: Annotated[
        list[str] | None, typer.Option("--arg", metavar="NAME=VALUE", help="An argument; repeat it.")
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:
    """Say what would become of a call, and which rule says so."""
    from backstay.cli import screen

    loaded = application(target)
    callers = calling(loaded, action, caller)
    given = read_arguments(loaded.actions[action], arg or ())
    misfit, remark = judged(loaded.actions[action], given) if arg else ("", "")
    rows = [{**(refused(misfit) if misfit else decided(loaded, each, action, given)), "remark": remark}
            for each in callers]  # fmt: skip
    if as_json:
        screen.show_json([{"caller": each.workflow, **row} for each, row in zip(callers, rows, strict=True)])
        return OK
    for each, row in zip(callers, rows, strict=True):
        why = f"rule {row['rule']!r}" if row["rule"] else f"stage {row['stage']}"
        screen.say(f"{action} by {each.workflow}: {row['verdict']} ({why})", "bold")
        if row["reason"]:
            screen.say(row["reason"])
    if remark:
        screen.say(remark)
    screen.hint("Labels, budgets and switches are looked at besides, when the call comes.")
    return OK


def calling(loaded: App, action: str, caller: str) -> list[Caller]:
    """Who calls an action, or the one that is asked about; raises NotFound."""
    from backstay.errors import NotFound
    from backstay.operations.permissions import callers_of

    if action not in loaded.actions:
        raise NotFound(f"there is no action {action!r} in this application; it has {', '.join(sorted(loaded.actions))}")
    if caller and caller not in loaded.workflows:
        known = ", ".join(sorted(loaded.workflows))
        raise NotFound(f"there is no workflow or agent {caller!r} in this application; it has {known}")
    callers = [each for each in callers_of(loaded) if action in each.actions]
    found = [each for each in callers if caller in ("", each.workflow)]
    if not callers:
        raise NotFound(f"nothing in this application calls {action!r}; `backstay policy matrix` lists who calls what")
    if not found:
        does = f"{' and '.join(each.workflow for each in callers)} {'does' if len(callers) == 1 else 'do'}"
        raise NotFound(f"{caller!r} does not call {action!r}; {does}")
    return found


def read_arguments(action: Action[Any], parts: Sequence[str]) -> dict[str, Any]:
    """The values of --arg by dotted name: JSON, or the text that was typed where that is none or only the text fits."""
    import json

    from backstay.cli.inputs import as_declared
    from backstay.errors import InvalidInput
    from backstay.governance.conditions import arguments

    given, typed = dict[str, Any](), dict[str, str]()
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals:
            raise InvalidInput(f"--arg {part!r} is not NAME=VALUE", {"arg": "NAME=VALUE"})
        try:
            given[name] = json.loads(value)
            if not isinstance(given[name], str):
                typed[name] = value
        except ValueError:
            given[name] = value
    return as_declared(arguments(given), typed, lambda value: check_arguments(action, value))


def check_arguments(action: Action[Any], value: Any) -> None:
    """As the gate does; raises InvalidInput."""
    from pydantic_core import to_json

    action.read_arguments(to_json(value))


def judged(action: Action[Any], given: dict[str, Any]) -> tuple[str, str]:
    """(why the gate would refuse such arguments, what is missing among them); missing ones alone refuse nothing here."""
    from backstay.errors import InvalidInput

    needed = set(action.told_schema.get("required", ()))
    missing = [name for name in action.parameters if name in needed - given.keys()]
    try:
        check_arguments(action, given)
    except InvalidInput as error:
        wrong = {name: why for name, why in error.fields.items() if name not in missing}
        if wrong or not missing:
            return str(error), ""
    return "", f"arguments are incomplete: {', '.join(missing)} missing" if missing else ""


def refused(reason: str) -> dict[str, Any]:
    return {"verdict": "deny", "stage": "arguments", "rule": "", "reason": reason}


def decided(loaded: App, caller: Caller, action: str, given: dict[str, Any]) -> dict[str, Any]:
    """What the rules say of a caller's call."""
    from backstay.governance.policy import Facts

    facts = Facts(action, caller.actions[action], caller.workflow, caller.agent, caller.autonomy)
    rule = loaded.policy.decide(facts, now, given)
    return {"verdict": rule.verdict, "stage": "policy", "rule": rule.id, "reason": rule.reason}


@app.command()
def matrix(
    target: AppName,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it as one page that needs nothing else.")
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:
    """Show who may do what: caller by action. What is not listed is never allowed."""
    from backstay.cli import screen
    from backstay.operations.permissions import matrix as permissions

    loaded, moment = application(target), now()
    found = permissions(loaded, moment)
    if html is not None and found:
        from backstay.cli.auditing import write_text
        from backstay.operations.permissions_page import page

        write_text(html, page(loaded.name, found, moment))
    if as_json:
        screen.show_json(found)
        return OK
    if not found:
        screen.say("No workflow or agent of this application calls an action: add some to its App(workflows=[...]).")
        return OK
    if html is not None:
        screen.say(f"The matrix is in {html}.")
        return OK
    table = screen.table("caller", "action", "effect", "verdict", "sinks", flexible="sinks")
    rows = [
        (
            f"{each.caller} (agent)" if each.is_agent else each.caller,
            each.action,
            each.effect,
            " or ".join(each.verdicts),
            f"{', '.join(each.sinks)}{' (by default)' if each.by_default and each.sinks else ''}",
        )
        for each in sorted(found, key=lambda one: (not one.is_agent, one.caller))
    ]
    screen.rows(table, rows)
    screen.hint("allow: at once. hold: after a person. draft: only written down. deny: never. Everything else: never.")
    return OK


def application(target: str) -> App:
    from backstay.cli.loading import find_app, load, split

    path, name = split(target)
    return find_app(load(path), name)


def now() -> str:
    from backstay.store.clock import Clock

    return Clock().stamp()


def told(each: Situation) -> dict[str, Any]:
    return {"caller": each.caller, "action": each.facts.action, "args": each.args, "verdict": each.verdict,
            "rule": each.rule.id}  # fmt: skip


def words(each: Situation) -> str:
    return _call(each.facts, each.args, each.caller)


def said(test: Example, rule: Rule) -> str:
    """What a test that fails says, and what became of it."""
    if test.facts is None:
        return "nothing in this application makes a call that the rule speaks of"
    return f"{_call(test.facts, test.args)} is {rule.verdict} (rule {rule.id!r}), not {test.verdict}"


def _call(facts: Facts, args: Mapping[str, Any], caller: str = "") -> str:
    given = ", ".join(f"{name}={value!r}" for name, value in args.items())
    return f"{facts.action}({given}) of {caller or facts.workflow}"
