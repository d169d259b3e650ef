"""Commands about agents: what they used up of their budgets, and how far each may go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from backstay.cli.groups import FirstByDefault
from backstay.cli.options import DEFAULT_HOME, AsJson, By, Home, Reason, person
from backstay.cli.stores import change, goes_on, reading

if TYPE_CHECKING:
    from backstay.operations.autonomy import Row
    from backstay.operations.spending import SpentDay

app = typer.Typer(
    cls=FirstByDefault,
    help="How far agents may go: list, grant and revoke levels.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

AgentName = Annotated[str, typer.Argument(metavar="AGENT", help="An agent.")]
ActionName = Annotated[str, typer.Argument(metavar="ACTION", help="One of its actions that change something.")]
When = Annotated[
    str, typer.Option("--when", metavar="CONDITION", help='Only calls whose arguments fit, such as "amount <= 50".')
]


def budgets(
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="So many days, today among them.")] = 1,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show what each agent used up in a day (UTC), and what is left of its budget."""
    from backstay.cli import screen
    from backstay.operations.spending import spending
    from backstay.store.clock import Clock
    from backstay.store.payloads import Payloads

    with reading(home) as reader:
        found = spending(reader, Payloads(home, reader), Clock().now(), days)
    if as_json:
        screen.show_json([each.as_json() for each in found])
        return
    if not found:
        screen.say("No agent has used up anything, and none has a budget.")
        screen.hint('App(budgets=[AgentDay("NAME", usd="5")]) gives one; it counts from the next start of the worker.')
        return
    made = screen.table("day", "agent", "calls", "effects", "tokens", "USD")
    screen.rows(made, [
        (each.day, each.agent, *(_used(each, what) for what in ("calls", "effects", "tokens", "usd"))) for each in found
    ])  # fmt: skip


def _used(each: SpentDay, what: str) -> str:
    used, limit, left = getattr(each.used, what), each.limits.get(what), each.left(what)
    return f"{used}" if limit is None else f"{used} of {limit:f}, {left:f} left"


@app.command("list")
def list_(home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Show how far each agent may go with each action, on what evidence, and what that speaks for."""
    from backstay.cli import screen
    from backstay.governance.autonomy import BOUNDS
    from backstay.operations.autonomy import autonomy
    from backstay.store.clock import Clock
    from backstay.store.payloads import Payloads

    with reading(home) as reader:
        found = autonomy(reader, Payloads(home, reader), Clock().now())
    if as_json:
        screen.show_json([{**screen.as_json(each), "evidence": each.evidence.as_json()} for each in found])
        return
    if not found:
        screen.say("No agent that can change anything has run in this store; start one, and it is listed here.")
        return
    made = screen.table("agent", "action", "only when", "effect", "level", "evidence", "proposal", "until", "by")
    screen.rows(made, [
        (each.agent, each.action, each.when, each.effect, _level(each), _evidence(each), each.proposal or "",
         each.expires or "", each.by)
        for each in found
    ])  # fmt: skip
    screen.hint(
        f"evidence: approved of decided in {BOUNDS.days} days, and the share that it is above with 95 % confidence."
    )
    for each in found:
        if each.proposal is not None:
            only = f" --when '{each.when}'" if each.when else ""
            words = f"backstay autonomy grant {each.agent} {each.action} --level {each.proposal}{only} --expires DATE --reason TEXT"
            screen.hint(f"  {words}")


def _level(each: Row) -> str:
    return each.level if each.level == each.declared else f"{each.level} (declares {each.declared})"


def _evidence(each: Row) -> str:
    found = each.evidence
    if not found.decided:
        return "none"
    undone = f", {found.undone} undone" if found.undone else ""
    return f"{found.approved} of {found.decided}{undone}, above {found.sure:.0%}"


@app.command()
def grant(
    agent: AgentName,
    action: ActionName,
    expires: Annotated[
        str, typer.Option("--expires", metavar="DATE", help="When it ends by itself, such as 2027-03-31.")
    ],
    reason: Reason,
    level: Annotated[str, typer.Option("--level", metavar="LEVEL", help="recommend, propose or execute.")] = "execute",
    when: When = "",
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Let an agent go as far as a level with one action, for a time. It takes the role risk-owner."""
    from backstay.cli import screen

    who, asked = person(by), cast("Any", level)
    told, working = change(
        home,
        lambda client: client.grant_autonomy(agent, action, asked, expires=expires, reason=reason, when=when, by=who),
    )
    if as_json:
        screen.show_json({"agent": agent, "by": who, **told, "worker": working})
        return
    only = f" when {when}" if when else ""
    screen.say(f"{agent} may {level} {action}{only} until {expires}, by {who}.")
    goes_on(working)


@app.command()
def revoke(
    agent: AgentName,
    action: ActionName,
    reason: Reason,
    when: When = "",
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Take back what was granted, after an incident for example. An agent that declares that it executes proposes then."""
    from backstay.cli import screen

    who = person(by)
    _, working = change(home, lambda client: client.revoke_autonomy(agent, action, reason=reason, when=when, by=who))
    if as_json:
        screen.show_json({"agent": agent, "action": action, "when": when, "by": who, "worker": working})
        return
    screen.say(f"What {agent} may do with {action} was taken back, by {who}.")
    goes_on(working)
