"""Agents: a goal, tools, limits. An agent is a workflow whose next step a model chooses; its definition is the loop's."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from types import GenericAlias
from typing import Any, ClassVar, Final, Generic, Literal, TypeAlias, TypeVar, cast

from pydantic import BaseModel, Field, create_model

from backstay.actions import Action
from backstay.ai import loop
from backstay.canonical import json_text
from backstay.commands import Start
from backstay.errors import AuthorError
from backstay.governance.plans import Planned
from backstay.governance.policy import AUTONOMY, Autonomy
from backstay.language.closure import Closure, Interface, Item
from backstay.language.collect import Scope, collect
from backstay.language.definitions import define
from backstay.language.program import Program, compile_definition
from backstay.language.sources import Source
from backstay.language.workflows import Workflow
from backstay.types import Claim, Finding, Json

Out = TypeVar("Out", bound=BaseModel)

Callee: TypeAlias = "Action[Any] | Workflow[..., Any]"
"""What an agent may be given as a tool: an action, a workflow, another agent."""

OWN_TOOLS: Final = ("plan", "finish")
"""Tools that every agent has and that touch nothing."""

SYSTEM: Final = Path(__file__).with_name("prompts").joinpath("agent.md").read_text("utf-8")
"""What every agent is told about how it works."""


@dataclass(frozen=True, kw_only=True)
class AgentLimits:
    """What one case of an agent may use up; crossing any of it ends the case with the reason `limit`."""

    steps: int = 12
    """Questions to the model."""
    tool_calls: int = 30
    invalid: int = 5
    """Calls of the model that cannot be carried out."""
    refusals: int = 3
    """Calls that the gate or a person refused: beyond that the agent stops with the reason `policy`."""
    tokens: int | None = None
    usd: str | Decimal | None = None
    """Money for models, in US dollars."""
    minutes: float | None = None
    """Wall time after which no further question is asked; time that people take to decide counts too."""
    observation: int = 20_000
    """Characters of one observation that the model is shown."""


class Agent(Workflow[..., Any], Generic[Out]):
    """Something that pursues a goal with tools. Awaited in a workflow it answers with a `Finding[output]`.

    name: unique in its application. goal: one sentence. tools: actions, workflows and agents that it may use.
    output: a model of what it must come back with. instructions: more for the model, as text or as the path of a file.
    model: the configured role that answers. evidence: tools that must have been used before the goal counts as met.
    confidence: below it the finding is `low-confidence`. escalate: the queue where a person answers in its place when it
    stops for any other reason than `goal-met`. autonomy: "recommend", what it would change is only written down; "propose",
    a person approves each change; "execute", the rules decide as for a workflow. Raises AuthorError naming what does not fit.
    """

    language_kind: ClassVar[Literal["workflow", "agent"]] = "agent"

    def __init__(
        self,
        name: str,
        *,
        goal: str,
        tools: Sequence[Callee],
        output: type[Out],
        instructions: str | Path = "",
        model: str = "careful",
        limits: AgentLimits | None = None,
        evidence: Sequence[Callee | str] = (),
        confidence: float = 0.0,
        escalate: str = "",
        autonomy: Autonomy = "propose",
    ) -> None:
        limits = limits or AgentLimits()
        near = {"Output": output, **{f"tool {number}": tool for number, tool in enumerate(tools)}}
        super().__init__(loop.pursue.fn, Scope(loop.__name__, near), None)
        self.name, self.goal, self.model = name, goal, model
        self.tools: Mapping[str, Callee] = _by_name(name, tools)
        self.output, self.limits = output, limits
        self.prompt_file = instructions if isinstance(instructions, Path) else None
        self.instructions = instructions.read_text("utf-8") if isinstance(instructions, Path) else instructions
        self.evidence = tuple(each if isinstance(each, str) else each.name for each in evidence)
        self.confidence, self.escalate, self.autonomy = confidence, escalate, autonomy
        self.returns = GenericAlias(Finding, (output,))
        self._check()

    def __call__(self, *args: Any, **named: Any) -> Start[Any]:
        case = args[0] if args else named.get("input", named)
        return Start(workflow=self.name, args={"input": case}, returns=self.returns)

    def __repr__(self) -> str:
        return f"<agent {self.name}>"

    def _check(self) -> None:
        where = f"agent {self.name!r}"
        if not self.name or not self.goal.strip():
            raise AuthorError(f"{where}: it needs a name and a goal")
        if unknown := sorted(set(self.evidence) - set(self.tools)):
            raise AuthorError(f"{where}: evidence names {', '.join(unknown)}, which it has no tool for")
        if self.autonomy not in AUTONOMY:
            raise AuthorError(f"{where}: autonomy must be one of {', '.join(AUTONOMY)}, not {self.autonomy!r}")
        if not 0 <= self.confidence <= 1:
            raise AuthorError(f"{where}: confidence must lie between 0 and 1, not {self.confidence!r}")

    @cached_property
    def settings(self) -> dict[str, Json]:
        """What the definition holds of the agent, besides the loop and the interfaces of its tools."""
        return {
            "name": self.name, "role": self.model, "system": self._system(), "tools": json_text(self._told_tools()),
            "steps": self.limits.steps, "tool_calls": self.limits.tool_calls, "invalid": self.limits.invalid,
            "refusals": self.limits.refusals, "evidence": list(self.evidence), "confidence": float(self.confidence),
            "escalate": self.escalate, "longest": self.limits.observation, "tokens": self.limits.tokens,
            "usd": None if self.limits.usd is None else f"{Decimal(self.limits.usd):f}",
            "autonomy": self.autonomy, "minutes": self.limits.minutes,
            "agents": [tool.name for tool in self.tools.values() if isinstance(tool, Agent)],
        }  # fmt: skip

    @cached_property
    def closure(self) -> Closure:
        """The loop's closure with this agent's settings, output model and tools in it."""
        return self.closure_of(loop.pursue, self.scope)

    def closure_of(self, driver: Workflow[..., Any], scope: Scope) -> Closure:
        """What drives this agent, with its settings, output model and tools."""
        made = collect(driver.fn, driver.name, "workflow", scope, None)
        made.agent = self.name
        made.items["AGENT"] = Item("AGENT", "constant", Source(f"AGENT = {self.settings!r}\n", f"{self.name}.agent", 1))
        made.values.pop("AGENT", None)
        for tool in self.tools.values():
            made.interfaces[tool.name] = _interface(tool)
        return made

    @cached_property
    def program(self) -> Program:
        return compile_definition(define(self.closure).text)

    def _system(self) -> str:
        needs = (
            f"Before you finish, observe something with each of: {', '.join(self.evidence)}." if self.evidence else ""
        )
        parts = (f"You are {self.name}. Your goal: {self.goal}", SYSTEM, needs, self.instructions)
        return "\n\n".join(part.strip() for part in parts if part.strip())

    @cached_property
    def attended(self) -> Workflow[..., Any]:
        """The same agent with a loop outside in place of its own."""
        return Attended(self)

    @cached_property
    def finish(self) -> type[BaseModel]:
        """What it ends with."""
        return _finish(self.output)

    @cached_property
    def told_tools(self) -> list[dict[str, Json]]:
        """Its tools as a model is told of them, and the one by which it plans."""
        tools = [_told(tool.name, inspect.getdoc(tool.fn) or "", _arguments(tool)) for tool in self.tools.values()]
        return [*tools, _told("plan", "Write down your plan, or a better one. It is shown to people.", Planned)]

    def _told_tools(self) -> list[Json]:
        """The tools as the model is told of them, with its own two."""
        return [
            *self.told_tools,
            _told("finish", "Report that the goal is met, with what supports it.", self.finish),
        ]


class Attended(Workflow[..., Any]):
    """An agent that a loop outside drives, through a session."""

    language_kind: ClassVar[Literal["workflow", "agent"]] = "agent"

    def __init__(self, agent: Agent[Any]) -> None:
        super().__init__(loop.attend.fn, agent.scope, None)
        self.agent, self.name = agent, agent.name

    @cached_property
    def program(self) -> Program:
        return compile_definition(define(self.agent.closure_of(loop.attend, self.scope)).text)


def _finish(output: type[BaseModel]) -> type[BaseModel]:
    return create_model(
        "finish",
        output=(output, Field(description="What you were asked to come back with.")),
        summary=(str, Field(description="One or two sentences for a person.")),
        confidence=(float, Field(ge=0, le=1, description="How sure you are that the output is right.")),
        claims=(list[Claim], Field(description="Each statement that matters, with source and quote.")),
    )


def _told(name: str, about: str, arguments: type[BaseModel] | Json) -> dict[str, Json]:
    schema = arguments if isinstance(arguments, dict) else arguments.model_json_schema()
    return {"name": name, "description": about, "arguments": schema}


def _arguments(tool: Callee) -> Json:
    """JSON Schema of a tool's arguments, with the prose that a model needs."""
    if isinstance(tool, Agent):
        return {"type": "object", "description": "What it is to find out about, as it needs to know it."}
    return tool.told_schema


def _interface(tool: Callee) -> Interface:
    document = tool.interface
    return Interface(
        name=tool.name,
        kind="action" if isinstance(tool, Action) else tool.language_kind,
        effect=str(document["effect"]),
        parameters=tuple(tool.parameters),
        digest=tool.interface_digest,
        arguments=document["arguments"],
        result=document["result"],
        returns="",
    )


def _by_name(agent: str, tools: Sequence[Callee]) -> dict[str, Callee]:
    found: dict[str, Callee] = {}
    for tool in tools:
        if not isinstance(cast("object", tool), Action | Workflow):
            raise AuthorError(f"agent {agent!r}: {tool!r} is no action, workflow or agent, so it cannot be a tool")
        if tool.name in OWN_TOOLS or found.setdefault(tool.name, tool) is not tool:
            raise AuthorError(f"agent {agent!r}: two tools are called {tool.name!r}; give one of them another name")
    return found
