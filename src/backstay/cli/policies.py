"""`backstay policy`: what the rules of an application say, before a call asks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from backstay.cli.exits import OK, REFUSED
from backstay.cli.options import DEFAULT_HOME, AsJson, Home

if TYPE_CHECKING:
    from backstay.engine.application import App
    from backstay.governance.analysis import Situation

app = typer.Typer(help="What the rules say: check them, try a call, see who may do what.", no_args_is_help=True)

AppName = Annotated[str, typer.Argument(metavar="APP", help="FILE of the application, or FILE:NAME.")]


@app.command()
def check(target: AppName, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> int:
    """Find rules that never decide, rules that overlap, expired ones, and what agents may do without a person."""
    from backstay.cli import screen
    from backstay.operations.permissions import look, unwatched

    loaded = application(target)
    found = look(loaded, now())
    alone = unwatched(found)
    if as_json:
        screen.show_json({
            "rules": len(loaded.policy.rules), "situations": len(found.situations), "unreachable": found.unreachable,
            "expired": found.expired, "overlaps": [[one, other, told(where)] for one, other, where in found.overlaps],
            "without_a_person": [told(each) for each in alone],
        })  # fmt: skip
        return REFUSED if found.unreachable else OK
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
    screen.hint(f"{len(loaded.policy.rules)} rules, {len(found.situations)} situations that they can tell apart.")
    return REFUSED if found.unreachable else OK


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
    import json

    from backstay.cli import screen
    from backstay.errors import InvalidInput, NotFound
    from backstay.governance.conditions import arguments
    from backstay.governance.policy import Facts
    from backstay.operations.permissions import callers_of

    loaded = application(target)
    callers = [each for each in callers_of(loaded) if action in each.actions and caller in ("", each.workflow)]
    if not callers:
        raise NotFound(
            f"{caller or 'nothing'} in this application calls {action!r}; `backstay policy matrix` lists who does"
        )
    given: dict[str, Any] = {}
    for each in arg or ():
        name, equals, value = each.partition("=")
        if not equals:
            raise InvalidInput(f"--arg {each!r} is not NAME=VALUE", {"arg": "NAME=VALUE"})
        try:
            given[name] = json.loads(value)
        except ValueError:
            given[name] = value
    rows: list[dict[str, Any]] = []
    for each in callers:
        facts = Facts(action, each.actions[action], each.workflow, each.agent, each.autonomy)
        rule = loaded.policy.decide(facts, now, arguments(given))
        rows.append({"caller": each.workflow, "verdict": rule.verdict, "rule": rule.id, "reason": rule.reason})
    if as_json:
        screen.show_json(rows)
        return OK
    table = screen.table("caller", "verdict", "rule", "reason")
    screen.rows(table, [tuple(row.values()) for row in rows])
    screen.hint("Labels, budgets and switches are looked at besides, when the call comes.")
    return OK


@app.command()
def matrix(target: AppName, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> int:
    """Show who may do what: caller by action. What is not listed is never allowed."""
    from backstay.cli import screen
    from backstay.operations.permissions import matrix as permissions

    found = permissions(application(target), now())
    if as_json:
        screen.show_json(found)
        return OK
    if not found:
        screen.say("No workflow or agent of this application calls an action.")
        return OK
    table = screen.table("caller", "action", "effect", "verdict")
    rows = [
        (
            f"{each.caller} (agent)" if each.is_agent else each.caller,
            each.action,
            each.effect,
            " or ".join(each.verdicts),
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
    return {"caller": each.facts.workflow, "action": each.facts.action, "args": each.args, "verdict": each.verdict,
            "rule": each.rule.id}  # fmt: skip


def words(each: Situation) -> str:
    given = ", ".join(f"{name}={value!r}" for name, value in each.args.items())
    return f"{each.facts.action}({given}) of {each.facts.workflow}"
