"""Who of an application may do what: its callers as the policy sees them, and the matrix of what each can do at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backstay.actions import Action
from backstay.engine.application import App
from backstay.governance.analysis import Analysis, Caller, Situation, analyse
from backstay.governance.policy import Verdict
from backstay.types import Effect


def callers_of(app: App) -> list[Caller]:
    """Every workflow and agent of an application, with the actions that its definition lists."""
    found: list[Caller] = []
    for name, workflow in app.workflows.items():
        program = workflow.program
        actions: dict[str, Effect] = {
            each.name: app.actions[each.name].effect for each in program.interfaces.values() if each.kind == "action"
        }
        schemas = {each: app.actions[each].interface["arguments"] for each in actions}
        caller = Caller(workflow=name, agent=program.agent, autonomy=program.autonomy, actions=actions, schemas=schemas)
        found.append(caller)
    return found


def led_by_agents(app: App) -> list[Caller]:
    """The workflows and agents that an agent can start, directly or through others: what they do is done in its name."""
    callers = {each.workflow: each for each in callers_of(app)}
    found: dict[tuple[str, str], Caller] = {}
    for agent in (each for each in callers.values() if each.agent):
        waiting = [*_started_by(app, agent.workflow)]
        while waiting:
            name = waiting.pop()
            if (name, agent.agent) not in found and name != agent.workflow:
                found[name, agent.agent] = replace(callers[name], led_by=[(agent.agent, agent.autonomy)])
                waiting += _started_by(app, name)
    return list(found.values())


def _started_by(app: App, workflow: str) -> list[str]:
    interfaces = app.workflows[workflow].program.interfaces.values()
    return [each.name for each in interfaces if each.kind != "action" and each.name in app.workflows]


def look(app: App, now: str) -> Analysis:
    """What the application's policy allows at a moment, also to what agents start."""
    return analyse(app.policy, [*callers_of(app), *led_by_agents(app)], now)


@dataclass(frozen=True, kw_only=True)
class Permission:
    """What becomes of a caller's calls of one action."""

    caller: str
    is_agent: bool
    action: str
    effect: Effect
    verdicts: Sequence[Verdict]
    """One, or several where it depends on the arguments."""
    sinks: Sequence[str]
    """The arguments that decide who or what: a text from outside may not choose them."""
    by_default: bool
    """Whether the author of the action named none, so that these are chosen by name."""


def matrix(app: App, now: str) -> list[Permission]:
    """Caller by action; what is not listed is never allowed."""
    found: dict[tuple[str, str], dict[Verdict, Situation]] = {}
    for each in look(app, now).situations:
        found.setdefault((each.caller, each.facts.action), {})[each.verdict] = each
    return [
        Permission(caller=caller, is_agent=bool(first.facts.agent or first.led_by), action=action, effect=first.facts.effect,
                   verdicts=list(verdicts), **_sinks(app.actions[action], agent=bool(first.facts.agent)))
        for (caller, action), verdicts in found.items()
        for first in [next(iter(verdicts.values()))]
    ]  # fmt: skip


def _sinks(action: Action[Any], *, agent: bool) -> dict[str, Any]:
    default = action.sinks is None and agent
    return {"sinks": sorted(action.default_sinks if default else action.sinks or ()), "by_default": default}


def unwatched(analysis: Analysis) -> list[Situation]:
    """Irreversible acts of agents that pass without a person: each names the rule that lets it."""
    found: Mapping[str, Situation] = {
        each.rule.id: each
        for each in reversed(analysis.situations)
        if (each.facts.agent or each.led_by) and each.facts.effect == "irreversible" and each.verdict == "allow"
    }
    return list(found.values())
