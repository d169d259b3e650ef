"""The loop of an agent: perceive, plan, act, observe, until the goal is met or there is a reason to stop.

It is a workflow in the checked language. `Agent` stores it with the agent's own settings, tools and output model in place
of AGENT and Output, so that an agent is journaled, suspended, replayed and audited as workflows are.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ValidationError

from backstay.ai.asking import ask_model
from backstay.ai.transcripts import Allowance, Message, Reply, ToolCall
from backstay.canonical import json_text
from backstay.commands import attempt, gather, note, now, serve, task, use
from backstay.errors import ActionDenied, ActionFailed, TimedOut
from backstay.language import rule, workflow
from backstay.types import Claim, Finding, Served, Tried

AGENT: dict[str, Any] = {
    "name": "", "role": "", "system": "", "tools": "[]", "steps": 1, "tool_calls": 1, "invalid": 1, "refusals": 1,
    "evidence": [], "confidence": 0.0, "escalate": "", "longest": 1, "tokens": None, "usd": None, "agents": [], "minutes": None,
    "autonomy": "propose",
}  # fmt: skip
"""The settings of one agent; each definition has its own."""


class Output(BaseModel):
    """Stands for the agent's own output model."""


class Work(BaseModel):
    """What an agent has done on its case so far."""

    messages: list[Message]
    allowed: Allowance
    reason: Any = ""
    why: str = ""
    output: Any = None
    confidence: float = 0.0
    claims: list[Claim] = []
    plan: list[str] = []
    observed: dict[str, str] = {}
    answered: dict[str, str] = {}
    """What was asked -> what it was told: the same twice is no progress."""
    asked: dict[str, str] = {}
    """Observation -> the arguments of its call: what only echoes them supports nothing."""
    used: list[str] = []
    steps: int = 0
    tool_calls: int = 0
    invalid: int = 0
    refusals: int = 0
    tokens: int = 0
    usd: Decimal = Decimal(0)
    charged: Decimal = Decimal(0)
    priced: bool = True

    def left(self, among: int) -> Allowance:
        """What may still be used up, for each of so many who may do so at the same time."""
        most = self.allowed
        return Allowance(
            steps=max((most.steps or 0) - self.steps, 0) // among,
            tool_calls=max((most.tool_calls or 0) - self.tool_calls, 0) // among,
            tokens=None if most.tokens is None else max(most.tokens - self.tokens, 0) // among,
            usd=None if most.usd is None else max(most.usd - self.charged, Decimal(0)) / among,
        )

    def finding(self) -> Finding[Any]:
        """What it comes back with."""
        return Finding(
            agent=AGENT["name"], reason=self.reason, why=self.why, output=self.output, confidence=self.confidence,
            evidence=self.claims, plan=self.plan, tried=list(self.answered),
            observed={claim.source: self.observed[claim.source] for claim in self.claims},
            steps=self.steps, tool_calls=self.tool_calls,
            tokens=self.tokens, usd=self.usd if self.priced else None, charged=self.charged,
        )  # fmt: skip


@rule
def lower(one: Any, other: Any) -> Any:
    """The tighter of two limits; None is none."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


@rule
def begin(case: Any, allowance: Allowance | None) -> Work:
    """The work on a case, within the agent's own limits and what another agent allows it."""
    other = Allowance() if allowance is None else allowance
    allowed = Allowance(
        steps=lower(AGENT["steps"], other.steps),
        tool_calls=lower(AGENT["tool_calls"], other.tool_calls),
        tokens=lower(AGENT["tokens"], other.tokens),
        usd=lower(None if AGENT["usd"] is None else Decimal(AGENT["usd"]), other.usd),
    )
    return Work(messages=[Message(role="user", text=json_text(case))], allowed=allowed)


@rule
def count(work: Work, reply: Reply) -> None:
    """Take in what the model answered, and what that cost."""
    work.tokens += reply.input_tokens + reply.output_tokens
    work.charged += reply.charged
    work.usd += reply.usd or Decimal(0)
    work.priced = work.priced and reply.usd is not None
    work.messages.append(Message(role="model", text=reply.text, calls=reply.calls))


@rule
def count_lost(work: Work, share: Allowance) -> None:
    """Of a helper that ended without a word nobody knows what it used up: it counts as all that it had."""
    work.steps += share.steps or 0
    work.tool_calls += share.tool_calls or 0
    work.tokens += share.tokens or 0
    work.charged += share.usd or Decimal(0)
    work.priced = False


@rule
def count_helper(work: Work, finding: Finding[Any]) -> None:
    """What another agent used up was this one's to use."""
    work.steps += finding.steps
    work.tool_calls += finding.tool_calls
    work.tokens += finding.tokens
    work.charged += finding.charged
    work.usd += finding.usd or Decimal(0)
    work.priced = work.priced and finding.usd is not None


@rule
def quotable(finding: dict[str, Any]) -> dict[str, Any]:
    """What another agent found, without what it merely tried."""
    return {name: finding[name] for name in ("reason", "output", "confidence", "observed")}


@rule
def unsupported(work: Work, claim: Claim) -> str:
    """Why nothing supports it; "" when its quote stands in the observation that it names, and is not what that was asked with."""
    said = claim.quote.strip()
    seen = work.observed.get(claim.source)
    if seen is None:
        known = ", ".join(work.observed) or "none"
        return f"there is no observation {json_text(claim.source)} (there are: {known})"
    if len(said) < 3:
        return "its quote is too short; it needs at least 3 characters"
    if said not in seen and json_text(said)[1:-1] not in seen:
        return f"its quote does not stand in {claim.source}, word for word"
    if said in work.asked[claim.source]:
        return f"its quote is only what you asked {claim.source} with"
    return ""


@rule
def observe(work: Work, call: ToolCall, outcome: Tried, place: str) -> str:
    """Note what became of a call, and put it in words for the model. place: what the observation is called, if it is one."""
    if outcome.ok:
        text = json_text(quotable(outcome.value) if call.tool in AGENT["agents"] else outcome.value)
        if len(text) > AGENT["longest"]:
            text = f"{text[: AGENT['longest']]} ... (cut)"
        work.observed[place] = text
        work.asked[place] = json_text(call.args)
        if call.tool not in AGENT["agents"] or outcome.value["reason"] in ("goal-met", "person"):
            work.used.append(call.tool)
        said = f"[{place}] {text}"
    else:
        text = outcome.error
        said = f"It did not work: {text}"
        if outcome.type == "ActionDenied":
            work.refusals += 1
    asked = f"{call.tool} {json_text(call.args)}"
    if work.answered.get(asked) == text:
        work.reason = "no-progress"
        work.why = f"it asked {call.tool} the same again and was told the same"
    work.answered[asked] = text
    return said


@rule
def unmet(work: Work, claims: list[Claim]) -> str:
    """Why the goal does not count as met; "" when it does: claims are supported, and what must be looked at was."""
    missing = [tool for tool in AGENT["evidence"] if tool not in work.used]
    if missing:
        return f"Not yet: nothing was observed with {', '.join(missing)}."
    problems = [(claim.text, unsupported(work, claim)) for claim in claims]
    unfounded = [f"{json_text(text)}: {problem}" for text, problem in problems if problem]
    if not claims:
        unfounded = ["there are no claims"]
    if unfounded:
        return (
            f"Not yet: {'; '.join(unfounded)}. Each claim needs the id of an observation as source and a quote that stands in "
            "it, word for word, and is not only what you asked with."
        )
    return ""


@rule
def conclude(work: Work, call: ToolCall) -> str:
    """Take `finish` at its word, or say what is missing."""
    claims = [Claim.model_validate(claim) for claim in call.args["claims"]]
    problem = unmet(work, claims)
    if problem:
        work.invalid += 1
        return problem
    try:
        work.output = Output.model_validate(call.args["output"])
    except (ValidationError, ValueError) as error:
        work.invalid += 1
        return f"The output does not fit: {error}"
    work.claims = claims
    work.confidence = float(call.args["confidence"])
    work.reason = "goal-met" if work.confidence >= AGENT["confidence"] else "low-confidence"
    work.why = call.args["summary"]
    return "Done."


@rule
def used_up(work: Work, began: datetime | None, moment: datetime | None) -> bool:
    """Whether it has no step or no time left."""
    if work.steps >= (work.allowed.steps or 0):
        work.reason = "limit"
        work.why = f"it took all of its {work.allowed.steps} steps"
    elif began is not None and moment is not None and moment >= began + timedelta(minutes=AGENT["minutes"]):
        work.reason = "limit"
        work.why = f"it took longer than its {AGENT['minutes']} minutes"
    return work.reason == "limit"


@rule
def judge(work: Work, reply: Reply, told: dict[str, str]) -> None:
    """Tell the model how its calls went, and stop where going on makes no sense."""
    for call in reply.calls:
        text = told[call.id]
        work.messages.append(
            Message(role="tool", answers=call.id, tool=call.tool, text=text, failed=not text.startswith("["))
        )
    if not reply.calls:
        work.invalid += 1
        work.messages.append(Message(role="user", text="Use a tool, or call `finish` with what you found."))
    last = work.messages[-1].text
    if not work.reason and work.invalid > AGENT["invalid"]:
        work.reason = "error"
        work.why = f"{work.invalid} of its calls could not be carried out; the last: {last}"
    elif not work.reason and work.refusals > AGENT["refusals"]:
        work.reason = "policy"
        work.why = f"{work.refusals} of its calls were refused; the last: {last}"


@workflow
async def pursue(input: Any, allowance: Allowance | None = None) -> Finding[Output]:
    """Pursue the goal on one case."""
    work = begin(input, allowance)
    began = await now() if AGENT["minutes"] else None
    while not work.reason:
        if used_up(work, began, await now() if AGENT["minutes"] else None):
            break
        work.steps += 1
        try:
            reply = await ask_model(AGENT["role"], AGENT["system"], work.messages, AGENT["tools"], work.left(1))
        except ActionDenied as error:
            work.reason = "limit" if error.stage == "budget" else "policy"
            work.why = error.reason
            break
        except ActionFailed as error:
            work.reason = "limit" if error.type == "BudgetCrossed" else "error"
            work.why = error.message
            break
        count(work, reply)

        wanted = [call for call in reply.calls if not call.problem and call.tool not in ("plan", "finish")]
        if work.tool_calls + len(wanted) > (work.allowed.tool_calls or 0):
            work.reason = "limit"
            work.why = f"it asked for more than its {work.allowed.tool_calls} tool calls"
            break
        work.tool_calls += len(wanted)
        helpers = [call.id for call in wanted if call.tool in AGENT["agents"]]
        each = work.left(max(len(helpers), 1))
        args = [{"input": call.args, "allowance": each} if call.id in helpers else call.args for call in wanted]
        outcomes = await gather(*[attempt(use(call.tool, given)) for call, given in zip(wanted, args, strict=True)])

        told = {call.id: call.problem for call in reply.calls}
        for call, outcome in zip(wanted, outcomes, strict=True):
            if outcome.ok and call.id in helpers:
                count_helper(work, Finding.model_validate(outcome.value))
            elif call.id in helpers:
                count_lost(work, each)
            told[call.id] = observe(work, call, outcome, f"o{len(work.observed) + 1}")
        for call in reply.calls:
            if call.problem:
                work.invalid += 1
            elif call.tool == "plan":
                work.plan = call.args["steps"]
                await note("plan", data={"steps": work.plan, "tools": call.args.get("tools", [])})
                told[call.id] = "The plan is noted."
            elif call.tool == "finish":
                told[call.id] = conclude(work, call)
        judge(work, reply, told)

    if work.reason != "goal-met" and AGENT["escalate"]:
        finding = work.finding()
        work.output = await task(AGENT["escalate"], title=f"{AGENT['name']}: {work.why}", show=finding, form=Output)
        work.reason = "person"
    return work.finding()


@rule
def take_stock(work: Work, served: Served) -> None:
    """What a loop outside did, and what it ended with."""
    for used in served.used:
        work.tool_calls += 1
        call = ToolCall(id=str(work.tool_calls), tool=used.tool, args=used.args)
        outcome = used.outcome or Tried(ok=False, type="Cancelled", error="it was not done in time")
        observe(work, call, outcome, f"o{used.place}")
    work.reason = "error"
    if "left" in served.finish:
        work.why = served.finish["left"]
        return
    work.why = conclude(work, ToolCall(id="finish", tool="finish", args=served.finish))
    if work.output is not None:
        work.why = served.finish["summary"]


@workflow
async def attend(input: Any) -> Finding[Output]:
    """Let a loop outside pursue the goal on one case, with the same tools and under the same rules."""
    work = begin(input, None)
    try:
        take_stock(work, await serve(within=60 * (AGENT["minutes"] or 1440)))
    except TimedOut:
        work.reason = "limit"
        work.why = "the loop outside did not finish in time"

    if work.reason != "goal-met" and AGENT["escalate"]:
        finding = work.finding()
        work.output = await task(AGENT["escalate"], title=f"{AGENT['name']}: {work.why}", show=finding, form=Output)
        work.reason = "person"
    return work.finding()
