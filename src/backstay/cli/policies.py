"""`backstay policy`: what the rules of an application say, before a call asks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backstay.cli.exits import OK, REFUSED
from backstay.cli.options import DEFAULT_HOME, AsJson, Home
from backstay.cli.policy_tables import AppName, NoGrants, application, grants_of, now
from backstay.cli.policy_texts import diff, export

if TYPE_CHECKING:
    from backstay.actions import Action
    from backstay.engine.application import App
    from backstay.governance.analysis import Analysis, Caller, Example, Situation
    from backstay.governance.policy import Facts, Rule

app = typer.Typer(
    help="What the rules say: check them, try a call, see who may do what, compare and export tables.",
    no_args_is_help=True,
)


@app.command()
def check(target: AppName, home: Home = DEFAULT_HOME, no_grants: NoGrants = False, as_json: AsJson = False) -> int:
    """Find rules that never decide, that overlap, that expired, that fail their tests; gaps; and what agents may do alone."""
    from backstay.cli import screen
    from backstay.governance.analysis import examples, failing
    from backstay.operations.permissions import callers_of, look, silent, unanswered, unwatched

    loaded, moment = application(target), now()
    grants = grants_of(home, loaded, moment, left_out=no_grants)
    found = look(loaded, moment)
    with_all = look(loaded, moment, grants) if grants else found
    tests = examples(loaded.policy, callers_of(loaded))
    alone, failed = unwatched(with_all), failing(loaded.policy, tests, moment)
    asked, gaps = unanswered(loaded, found), silent(loaded, found)
    idle = [rule.id for rule in grants if rule.id in with_all.unreachable]
    if as_json:
        screen.show_json({
            "rules": len(loaded.policy.rules), "situations": len(found.situations), "unreachable": found.unreachable,
            "expired": found.expired, "overlaps": [[one, other, told(where)] for one, other, where in found.overlaps],
            "gaps": gaps, "unanswered": [told(each) for each in asked],
            "grants": [rule.id for rule in grants], "grants_without_effect": idle,
            "without_a_person": [told(each) for each in alone],
            "tests": len(tests), "failed_tests": [{"rule": test.rule, "fails": said(test, rule)} for test, rule in failed],
        })  # fmt: skip
        return REFUSED if found.unreachable or failed else OK
    tell_rules(found, asked, gaps)
    tell_agents(alone, grants, idle)
    for test, rule in failed:
        screen.say(f"A test of rule {test.rule!r} fails: {said(test, rule)}.", "bold red")
    tell_size(loaded, found, len(tests))
    return REFUSED if found.unreachable or failed else OK


def tell_rules(found: Analysis, asked: Sequence[Situation], gaps: Mapping[str, Sequence[str]]) -> None:
    """What is to be known of the table's own rules."""
    from backstay.cli import screen

    for rule in found.unreachable:
        screen.say(
            f"Rule {rule!r} never decides: others always come before it, or nobody makes such a call.", "bold red"
        )
    for rule in found.expired:
        screen.say(f"Rule {rule!r} has expired and does not count any more.")
    for one, other, where in found.overlaps:
        screen.say(f"Rules {one!r} and {other!r} both speak of {words(where)}: {one!r} decides.")
    for each in asked:
        screen.say(f"Rule {each.rule.id!r} denies {words(each)}: {each.rule.reason}.")
    for rule, calls in gaps.items():
        shown = ", ".join(calls[:5]) + (f" and {len(calls) - 5} more" if len(calls) > 5 else "")
        screen.say(f"No rule speaks of some calls, and {rule!r} decides: {shown}.", "dim")


def tell_agents(alone: Sequence[Situation], grants: Sequence[Rule], idle: Sequence[str]) -> None:
    """What agents may do at most, with the grants that are in force."""
    from backstay.cli import screen

    for rule in grants:
        ends = f"until {rule.expires}" if rule.expires else "until somebody grants again"
        beaten = "; it changes nothing here, as others decide" if rule.id in idle else ""
        screen.say(f"In force in the store, {ends}: {rule.id!r} makes it {rule.verdict}{beaten}.")
    for each in alone:
        screen.say(f"Without a person: {words(each)} (rule {each.rule.id!r}, until {each.rule.expires or 'for ever'}).")
    if not alone:
        screen.say("No agent does anything irreversible without a person.", "bold green")


def tell_size(loaded: App, found: Analysis, tests: int) -> None:
    from backstay.cli import screen
    from backstay.operations.wording import counted

    rules, situations = counted(len(loaded.policy.rules), "rule"), counted(len(found.situations), "situation")
    screen.hint(f"{rules}, {situations} that the rules can tell apart, {counted(tests, 'test')}.")


@app.command(name="try")
def try_(
    target: AppName,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="Name of the action that is called.")],
    caller: Annotated[str, typer.Option("--by", metavar="NAME", help="The workflow or agent that calls it.")] = "",
    arg: Annotated[
        list[str] | None, typer.Option("--arg", metavar="NAME=VALUE", help="An argument; repeat it.")
    ] = None,
    home: Home = DEFAULT_HOME,
    no_grants: NoGrants = False,
    as_json: AsJson = False,
) -> int:
    """Say what would become of a call, and which rule says so; with what is granted to agents in the store."""
    from backstay.cli import screen
    from backstay.operations.permissions import by_level

    loaded = application(target)
    callers = calling(loaded, action, caller)
    given = read_arguments(loaded.actions[action], arg or ())
    grants = grants_of(home, loaded, now(), left_out=no_grants)
    misfit, remark = judged(loaded.actions[action], given) if arg else ("", "")
    rows = [{**(refused(misfit) if misfit else decided(loaded, each, action, given, grants)), "remark": remark}
            for each in callers]  # fmt: skip
    if as_json:
        screen.show_json([{"caller": each.workflow, **row} for each, row in zip(callers, rows, strict=True)])
        return OK
    for each, row in zip(callers, rows, strict=True):
        why = f"rule {row['rule']!r}" if row["rule"] else f"stage {row['stage']}"
        screen.say(f"{action} by {each.workflow}: {row['verdict']} ({why})", "bold")
        if row["reason"]:
            screen.say(row["reason"])
        if row["without_grants"]:
            screen.say(f"It is {by_level([row['rule']])}; without it, it would be {row['without_grants']}.")
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
    return {"verdict": "deny", "stage": "arguments", "rule": "", "reason": reason, "without_grants": ""}


def decided(
    loaded: App, caller: Caller, action: str, given: dict[str, Any], grants: Sequence[Rule]
) -> dict[str, Any]:  # fmt: skip
    """What the rules say of a caller's call, and the verdict without the grant that decides, if one does."""
    from backstay.governance.policy import Facts
    from backstay.operations.permissions import with_grants

    facts = Facts(action, caller.actions[action], caller.workflow, caller.agent, caller.autonomy)
    rule = with_grants(loaded, grants).decide(facts, now, given)
    by_grant = rule.id in {each.id for each in grants}
    without = loaded.policy.decide(facts, now, given).verdict if by_grant else ""
    return {
        "verdict": rule.verdict,
        "stage": "policy",
        "rule": rule.id,
        "reason": rule.reason,
        "without_grants": without,
    }


@app.command()
def matrix(
    target: AppName,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it as one page that needs nothing else.")
    ] = None,
    home: Home = DEFAULT_HOME,
    no_grants: NoGrants = False,
    as_json: AsJson = False,
) -> int:
    """Show who may do what: caller by action. What is not listed is never allowed."""
    from backstay.cli import screen
    from backstay.operations.permissions import by_level
    from backstay.operations.permissions import matrix as permissions

    loaded, moment = application(target), now()
    found = permissions(loaded, moment, grants_of(home, loaded, moment, left_out=no_grants))
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
            f"{' or '.join(each.verdicts)}{f' (by {by_level(each.grants)})' if each.grants else ''}",
            f"{', '.join(each.sinks)}{' (by default)' if each.by_default and each.sinks else ''}",
        )
        for each in sorted(found, key=lambda one: (not one.is_agent, one.caller))
    ]
    screen.rows(table, rows)
    screen.hint("allow: at once. hold: after a person. draft: only written down. deny: never. Everything else: never.")
    for grant in dict.fromkeys(grant for each in found for grant in each.grants):
        screen.hint(f"By {by_level([grant])}: {grant}.")
    return OK


app.command()(diff)
app.command()(export)


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
