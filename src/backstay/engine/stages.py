"""The stages of the gate: each looks at one call and lets it pass, or says why not and what becomes of it.

Stages look; they change nothing but the gate they are given. The gateway runs them in the order of STAGES.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property, partial
from typing import Any, Final, Literal, Protocol

from pydantic_core import to_json

from backstay.actions import Action, CallContext
from backstay.canonical import digest
from backstay.engine.frames import Open
from backstay.engine.limits import Breakers
from backstay.engine.replay import Machine
from backstay.engine.streams import Streams
from backstay.errors import InvalidInput
from backstay.events import Event
from backstay.governance.approvals import call_digest
from backstay.governance.budgets import Days, Limits, crossed
from backstay.governance.labels import Labels
from backstay.governance.plans import Plan
from backstay.governance.policy import SEVERITY, Facts, Policy, Rule
from backstay.governance.switches import Switches
from backstay.store.clock import Clock
from backstay.store.journal import Head, Write
from backstay.store.payloads import Payloads, free_keys
from backstay.store.views import Run, Wait
from backstay.types import Json, journalable


class Rules(Protocol):
    """What the stages may look at besides the call."""

    clock: Clock
    policy: Policy
    granted: Policy
    """The table with what is granted to agents, and what was taken from them."""
    limits: Limits
    days: Days
    switches: Switches
    breakers: Breakers
    payloads: Payloads
    streams: Streams

    def key(self, gate: Gate) -> str: ...


class Case(Protocol):
    """What the gateway needs of a run's activation."""

    machine: Machine
    row: Run
    head: Head

    @property
    def labels(self) -> Labels: ...

    @property
    def plan(self) -> Plan: ...

    def stage(self, write: Write, event: Event) -> None: ...

    def record(self, event: Event, write: Write | None = None, wait: Wait | None = None) -> asyncio.Future[None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a stage stopped a call, and what becomes of it."""

    then: Literal["deny", "hold", "draft", "divert", "switch", "attend"]
    """deny: the workflow is told. hold: a person must approve. draft: it is written down, and not done. divert, switch: it
    waits in its backlog. attend: what is deployed does not fit, so the run waits for an operator."""
    stage: str
    reason: str
    rule: Rule | None = None


@dataclass(eq=False)
class Gate:
    """One call on its way through the stages."""

    case: Case
    leaf: Open
    name: str
    action: Action[Any]
    args: Json
    mac: Callable[[str], str]
    """Hides a digest of private arguments behind the installation's key."""
    values: dict[str, Any] = field(init=False)
    """The arguments as the action's own types."""
    size: int = field(default=0, init=False)
    """Bytes of the arguments as JSON."""
    approval: str | None = field(default=None, init=False)
    """The granted approval that the intent will consume."""
    decided: Rule | None = field(default=None, init=False)
    """The rule of the policy that decided about it."""
    detected: bool = field(default=False, init=False)
    """Whether the arguments look as if they held a secret that nobody tagged."""
    unsure: bool = field(default=False, init=False)
    """Whether an earlier attempt may have happened."""

    on_passing: Callable[[], None] | None = field(default=None, init=False)
    """Sets aside what it may use up."""

    def passed(self) -> None:
        """Every stage let it pass."""
        if self.on_passing is not None:
            self.on_passing()

    def fill(self, rules: Rules) -> None:
        """Give the function what only the engine knows."""
        action, machine = self.action, self.case.machine
        if action.mask_parameter is not None:
            self.values[action.mask_parameter] = rules.payloads.mask(machine.secrets)
        if action.progress_parameter is not None:
            at = self.case.row.id, self.leaf.id, self.case.head[0]
            self.values[action.progress_parameter] = rules.streams.of(*at, rules.payloads.mask(machine.secrets))
        if action.context_parameter is not None:
            by = machine.program.agent or self.case.row.workflow
            self.values[action.context_parameter] = CallContext(
                home=rules.payloads.keyring.path.parent, now=rules.clock.now(), run=self.case.row.id, by=by,
                approval=self.approval, clean=rules.payloads.clean,
            )  # fmt: skip

    @property
    def private(self) -> bool:
        """Whether the arguments may hold private values: the same for every attempt of this call."""
        return self.leaf.private or self.action.seals_arguments or self.detected

    @property
    def rule(self) -> str:
        """Id of the rule that decided; "" before one did."""
        return "" if self.decided is None else self.decided.id

    @cached_property
    def sinks(self) -> dict[str, Json]:
        """The arguments that decide who or what, with the names that they use as data; a flag counts as its own name.

        What is as its author left it, by default, nobody chose.
        """
        names, schema = self.action.sinks, self.action.interface["arguments"]
        if names is None:
            names = self.action.default_sinks if self.case.machine.acting else ()
        given = {name: self.args[name] for name in sorted(names) if name in self.args}
        return {
            name: [name.replace("_", " ") if isinstance(value, bool) else value, free_keys(value, schema, name)]
            for name, value in given.items()
            if value != schema["properties"][name].get("default", ...)
        }

    def stand_in(self) -> Json:
        """What the journal keeps of arguments that a replay computes again."""
        plain = digest(self.args)
        return {"keyed": self.mac(plain)} if self.private else {"digest": plain}

    def digest(self) -> str:
        """What an approval of exactly this call is bound to."""
        plain = self._digest()
        return self.mac(plain) if self.private else plain

    def digests(self) -> tuple[str, ...]:
        """What an approval may have been bound to: the run may have met its first private value since."""
        plain = self._digest()
        return (self.mac(plain), plain) if self.private else (plain,)

    def _digest(self) -> str:
        return call_digest(
            version=self.case.row.version, action=self.name, interface=self.action.interface_digest, args=self.args
        )


# --- the stages ---------------------------------------------------------------------------------------


def pinned_interface(_: Rules, gate: Gate) -> Refusal | None:
    """The definition names the action, and the deployed one still has the interface that the definition pinned."""
    if gate.leaf.undoes:
        return None
    interface = gate.case.machine.program.interfaces.get(gate.name)
    if interface is None or interface.kind != "action":
        return Refusal(then="deny", stage="allow-list", reason=f"the definition does not list action {gate.name!r}")
    if interface.digest != gate.action.interface_digest:
        return Refusal(
            then="attend",
            stage="pinned-interface",
            reason=f"the deployed action {gate.name!r} no longer has the interface that this version was checked against",
        )
    return None


def closed_arguments(rules: Rules, gate: Gate) -> Refusal | None:
    """The arguments fit the action's closed schema."""
    if gate.leaf.undoes:
        offered = gate.args
        gate.args = {name: offered[name] for name in gate.action.parameters if name in offered}
    try:
        text = to_json(gate.args)
        if text.find(b"NaN") >= 0 or text.find(b"Infinity") >= 0:  # `in` tries a number first, and fails
            journalable(gate.args, f"arguments of action {gate.name!r}")
        gate.size, gate.values = len(text), gate.action.read_arguments(text)
        gate.detected = gate.action.derived or rules.payloads.suspects(
            text
        )  # a transcript is long: it counts as private
    except InvalidInput as error:
        return Refusal(then="deny", stage="arguments", reason=str(error))
    return None


def switches(rules: Rules, gate: Gate) -> Refusal | None:
    """No kill switch stops it, for whoever it is made or in whose name."""
    if not (rules.switches.off or rules.switches.drills):
        return None
    agents = [name for name, _ in gate.case.machine.acting]
    scope = rules.switches.stops(
        action=gate.name, effect=gate.action.effect, workflow=gate.case.row.workflow, agents=agents
    )
    if scope is None:
        return None
    return Refusal(then="switch", stage="switch", reason=f"switch {scope!r} is off: {rules.switches.reason(scope)}")


def breaker(rules: Rules, gate: Gate) -> Refusal | None:
    """The action's target is not known to be down."""
    if gate.action.breaker is None or not rules.breakers.diverts(gate.action):
        return None
    return Refusal(then="divert", stage="breaker", reason=f"action {gate.name!r} keeps failing; its breaker is open")


def budget(rules: Rules, gate: Gate) -> Refusal | None:
    """The run stays within what it may do, and each agent in whose name it acts within its day."""
    reason = crossed(rules.limits, calls=gate.leaf.number, effects=gate.leaf.effect_number)
    if reason is None and rules.days.budgets and not gate.leaf.undoes:
        reason = _over_the_day(rules, gate)
    return Refusal(then="deny", stage="budget", reason=reason) if reason else None


def _over_the_day(rules: Rules, gate: Gate) -> str | None:
    """What a call may use up at most is set aside once every stage let it pass; until then nothing is awaited."""
    days, machine = rules.days, gate.case.machine
    agents = days.concerned(name for name, _ in machine.acting)
    if not agents:
        return None
    tokens, usd = 0, Decimal(0)
    if gate.action.worst is not None and days.measures(agents):
        tokens, usd = gate.action.worst(gate.values, rules.payloads.mask(machine.secrets), rules.key(gate))
    place, day = (gate.case.row.id, gate.leaf.id), rules.clock.stamp()[:10]
    days.release(place)
    use = days.need(place, day, effect=gate.action.effect != "read", tokens=tokens, usd=usd or Decimal(0))
    gate.on_passing = partial(days.reserve, place, agents, use)
    return days.crossed(agents, use, day, priced=usd is not None)


def labels(_: Rules, gate: Gate) -> Refusal | None:
    """What an agent took from a text that nobody pointed it to is nobody's wish, and not even asked about."""
    if gate.leaf.undoes or not gate.case.machine.acting or not gate.sinks:
        return None
    planted = [name for name, value in gate.sinks.items() if gate.case.labels.smuggled(value)]
    if not planted:
        return None
    listed = ", ".join(planted)
    return Refusal(then="deny", stage="labels", reason=f"{listed}: this stands in a text that nobody asked about")


UNPLANNED: Final = "it was not planned before a text from outside was read"


def plan(_: Rules, gate: Gate) -> Refusal | None:
    """What an agent changes belongs to the case, as that was said before any outsider's text was read."""
    return Refusal(then="deny", stage="plan", reason=UNPLANNED) if _planned(gate) == "deny" else None


def _planned(gate: Gate) -> Literal["allow", "hold", "deny"]:
    """Whether what an agent changes was planned."""
    if gate.action.effect == "read" or gate.leaf.undoes or not gate.case.machine.program.agent:
        return "allow"
    return gate.case.plan.verdict(gate.name)


def policy(rules: Rules, gate: Gate) -> Refusal | None:
    """The rule table allows it, or holds it and a person approved exactly this call.

    It is asked for everybody in whose name the call is made, agents that started the run included; the strictest counts.
    """
    row, machine = gate.case.row, gate.case.machine
    callers = machine.acting if machine.program.agent else [("", ""), *machine.acting]
    decided = [
        rules.granted.decide(Facts(gate.name, gate.action.effect, row.workflow, *caller), rules.clock.stamp, gate.args)
        for caller in callers
    ]
    rule = decided[0] if len(decided) == 1 else min(decided, key=lambda each: SEVERITY.index(each.verdict))
    gate.decided = rule
    if rule.verdict == "allow" or (rule.verdict == "hold" and _granted(gate)):
        return None
    then = rule.verdict if rule.verdict in ("hold", "draft") else "deny"
    said = f"{rule.reason or rule.verdict} (rule {rule.id!r})"
    reason = "; ".join([said, *_doubts(gate).values()]) if then == "hold" else said  # one approval answers all of it
    return Refusal(then=then, stage="policy", reason=reason, rule=rule)


def origins(_: Rules, gate: Gate) -> Refusal | None:
    """No outsider's text and no model decides who or what the call is about, unless a person approved exactly this call."""
    doubts = _doubts(gate)
    if not doubts or _granted(gate):
        return None
    return Refusal(then="hold", stage=next(iter(doubts)), reason="; ".join(doubts.values()), rule=gate.decided)


def _doubts(gate: Gate) -> dict[str, str]:
    """What only a person can confirm about where a call came from: stage -> why."""
    found = {"plan": UNPLANNED} if _planned(gate) == "hold" else {}
    if gate.leaf.undoes or not gate.sinks:
        return found
    known, tells = gate.case.labels, gate.action.effect == "read" and gate.case.machine.program.agent
    suspect = known.leaks if tells else known.suspects
    chosen = [name for name, value in gate.sinks.items() if suspect(value)]
    if chosen:
        found["labels"] = f"{', '.join(chosen)}: chosen by text from outside, so a person must confirm it"
    return found


STAGES: Final[tuple[Callable[[Rules, Gate], Refusal | None], ...]] = (
    pinned_interface,
    closed_arguments,
    switches,
    breaker,
    budget,
    labels,
    plan,
    policy,
    origins,
)
"""The gate, in order. A stage returns None to let the call pass."""


def _granted(gate: Gate) -> bool:
    """Whether a person approved exactly this call: same version, action, interface and arguments."""
    if gate.approval is not None:
        return True
    leaf, wanted, grants = gate.leaf, gate.digests(), gate.case.machine.grants
    if leaf.approval is None or leaf.approved not in wanted:
        leaf.approved = next((digest for digest in wanted if grants.get(digest)), wanted[0])
        granted = grants.get(leaf.approved)
        leaf.approval = granted.pop(0) if granted else None  # no other call may use it now
    gate.approval = leaf.approval
    return gate.approval is not None
