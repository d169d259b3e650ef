"""Who of an application may do what: its callers as the policy sees them, and the matrix of what each can do at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backstay.actions import Action
from backstay.engine.application import App
from backstay.governance.analysis import Analysis, Caller, Situation, analyse
from backstay.governance.autonomy import WHAT, Levels
from backstay.governance.policy import DENIED, Policy, Rule, Verdict
from backstay.store.database import Reader
from backstay.store.views import system_events
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


def everybody(app: App) -> list[Caller]:
    """Whoever calls an action: workflows and agents, and what agents start."""
    return [*callers_of(app), *led_by_agents(app)]


def look(app: App, now: str, grants: Sequence[Rule] = ()) -> Analysis:
    """What the application's policy allows at a moment, also to what agents start. grants: what counts besides its table."""
    return analyse(with_grants(app, grants), everybody(app), now)


def with_grants(app: App, grants: Sequence[Rule]) -> Policy:
    """The table that the gate asks: the application's, with the levels that differ from what agents declare."""
    return Policy((*app.policy.rules, *grants)) if grants else app.policy


def grants_in_force(app: App, reader: Reader, now: str) -> list[Rule]:
    """What a store's people granted to agents of an application or took from them, as rules; those that count at a moment."""
    levels = Levels()
    for event in system_events(reader, WHAT):
        levels.apply(event)
    rules = levels.rules({name: action.effect for name, action in app.actions.items()})
    return [rule for rule in rules if not app.policy.over(rule, now)]


def by_level(rules: Sequence[str]) -> str:
    """What to call levels by the ids of their rules: given by a person, or taken away."""
    kinds = ["a grant" if each.startswith("granted:") else "a demotion" for each in rules]
    return " and ".join(dict.fromkeys(kinds))


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
    grants: Sequence[str] = ()
    """Ids of the grants, and of what took one away, without which some of these calls would come out otherwise."""


def matrix(app: App, now: str, grants: Sequence[Rule] = ()) -> list[Permission]:
    """Caller by action; what is not listed is never allowed."""
    found: dict[tuple[str, str], dict[Verdict, Situation]] = {}
    granted: dict[tuple[str, str], dict[str, None]] = {}
    for each in look(app, now, grants).situations:
        cell = (each.caller, each.facts.action)
        found.setdefault(cell, {})[each.verdict] = each
        if each.rule in grants and each.without(app.policy, now).verdict != each.verdict:
            granted.setdefault(cell, {})[each.rule.id] = None
    return [
        Permission(caller=caller, is_agent=bool(first.facts.agent or first.led_by), action=action, effect=first.facts.effect,
                   verdicts=list(verdicts), grants=list(granted.get((caller, action), ())),
                   **_sinks(app.actions[action], agent=bool(first.facts.agent)))
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


def silent(app: App, analysis: Analysis) -> dict[str, list[str]]:
    """Gaps: calls that change something and of which no rule of the table speaks, by the baseline's rule that decides."""
    own, found = {rule.id for rule in app.policy.rules}, dict[str, dict[str, None]]()
    for each in analysis.situations:
        if each.facts.effect != "read" and each.rule.id not in own:
            found.setdefault(each.rule.id, {})[f"{each.facts.action} of {each.caller}"] = None
    return {rule: list(calls) for rule, calls in found.items()}


def unanswered(app: App, analysis: Analysis) -> list[Situation]:
    """For each rule whose condition has no answer for some call, the first such call: it is denied."""
    known = {rule.id: rule for rule in app.policy.rules}
    found: dict[str, Situation] = {}
    for each in analysis.situations:
        if each.rule.id in known and each.rule != known[each.rule.id] and each.rule != DENIED:
            found.setdefault(each.rule.id, each)
    return list(found.values())
