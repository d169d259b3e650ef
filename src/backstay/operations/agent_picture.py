"""The picture of an agent for whoever owns the process: its goal, its model, its tools, the people it asks, how it ended.

Every agent runs the same loop, so the flowchart of the loop would say nothing of this one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from backstay import events as ev
from backstay.events import Event
from backstay.language import Program
from backstay.language.graph import Edge, Graph, Node, NodeKind, Taken
from backstay.operations.items import goal_of
from backstay.operations.wording import plain

ASKS: Final = "ask_model"
"""The action by which every agent asks its model."""
ATTENDED: Final = "attend"
"""The workflow that stands for an agent's own loop where one outside drives it."""
OWN: Final = frozenset({"plan", "finish"})
"""Tools that every agent has and that touch nothing."""
STEP, MODEL, FINDING, ESCALATION = "step", "model", "end", "escalation"
REASONS: Final[Mapping[str, str]] = {
    "goal-met": "goal met",
    "low-confidence": "not sure enough",
    "limit": "stopped: a limit",
    "policy": "stopped: refused too often",
    "no-progress": "stopped: no progress",
    "error": "stopped: an error",
    "person": "a person answered",
}
"""Why an agent stopped, as its finding says it -> words."""


@dataclass
class Used:
    """What a run did with one tool, by the commands of its calls."""

    begun: set[str] = field(default_factory=set[str])
    refused: set[str] = field(default_factory=set[str])
    drafted: set[str] = field(default_factory=set[str])
    asked: dict[str, str] = field(default_factory=dict[str, str])
    """Command -> the queue that was to approve it."""

    @property
    def words(self) -> str:
        waiting = self.asked.keys() - self.begun - self.refused
        others = ((self.refused, "refused"), (self.drafted, "only written down"), (waiting, "waiting"))
        told = [times(len(self.begun)) if self.begun else "", *(f"{len(some)} {word}" for some, word in others if some)]
        return ", ".join(filter(None, told)) or "not used"

    @property
    def direct(self) -> set[str]:
        """Calls of which no person was asked."""
        return (self.begun | self.refused | self.drafted) - self.asked.keys()


@dataclass
class Story:
    """What the events of a run say about its agent."""

    questions: set[str] = field(default_factory=set[str])
    tools: dict[str, Used] = field(default_factory=dict[str, Used])
    decided: dict[str, str] = field(default_factory=dict[str, str])
    """Command -> what people decided about it."""
    planned: bool = False
    escalated: bool = False
    answered: bool = False
    ended: str = ""
    failed: bool = False

    def tool(self, name: str) -> Used:
        return self.tools.setdefault(name, Used())

    def take(self, event: Event) -> None:
        match event:
            case ev.CallReturned() | ev.CallFailed() | ev.CallDenied() if event.action == ASKS:
                self.questions.add(event.command)
            case ev.CallAsked():
                self.questions.add(event.command)
            case ev.CallReturned() | ev.CallIntended() | ev.CallFailed() | ev.CallQueued():
                self.tool(event.action).begun.add(event.command)
            case ev.ChildStarted():
                self.tool(event.workflow).begun.add(event.command)
            case ev.CallDenied():
                self.tool(event.action).refused.add(event.command)
            case ev.CallDrafted():
                self.tool(event.action).drafted.add(event.command)
            case ev.ApprovalRequested(action=str(action)):
                self.tool(action).asked[event.command] = event.queue
            case ev.ApprovalDecided():
                self.decide(event)
            case ev.Noted():
                self.planned = True
            case ev.TaskOpened():
                self.escalated = True
            case ev.TaskCompleted():
                self.answered = True
            case _:
                self.end(event)

    def decide(self, event: ev.ApprovalDecided) -> None:
        self.decided[event.command] = event.verdict
        for used in self.tools.values():
            if event.command in used.asked and event.verdict != "approved":
                used.refused.add(event.command)

    def end(self, event: Event) -> None:
        """What ended it, in words."""
        match event:
            case ev.RunFinished():
                found = cast("dict[str, Any]", event.result) if isinstance(event.result, dict) else {}
                reason = str(found.get("reason", "finished"))
                self.ended = REASONS.get(reason, reason)
            case ev.RunFailed():
                self.ended, self.failed = plain(f"failed: {event.fault.message}", 60), True
            case ev.RunCancelled():
                self.ended, self.failed = "cancelled", True
            case _:
                pass


def draw_agent(program: Program, events: Iterable[Event] | None = None) -> tuple[Graph, Taken | None]:
    """The picture of an agent's definition; with the events of a run, what that run did is counted and marked."""
    story = Story()
    for event in events or ():
        story.take(event)
    picture = _Picture(program, story, of_run=events is not None)
    picture.draw()
    return picture.graph, picture.seen if events is not None else None


class _Picture:
    def __init__(self, program: Program, story: Story, of_run: bool) -> None:
        self.program, self.story, self.of_run = program, story, of_run
        self.settings: Mapping[str, Any] = program.namespace["AGENT"]
        self.graph = Graph(program.name)
        self.nodes: set[str] = set()
        self.edges: set[tuple[str, str]] = set()

    @property
    def seen(self) -> Taken:
        return Taken(frozenset(self.nodes), frozenset(self.edges))

    def add(self, name: str, kind: NodeKind, label: str, taken: bool) -> None:
        self.graph.nodes[name] = Node(name, kind, label, 0)
        if taken:
            self.nodes.add(name)

    def link(self, source: str, target: str, taken: bool, label: str = "") -> None:
        if all((edge.source, edge.target) != (source, target) for edge in self.graph.edges):
            self.graph.edges.append(Edge(source, target, label))
        if taken:
            self.edges.add((source, target))

    def draw(self) -> None:
        story, asked = self.story, len(self.story.questions)
        self.add("start", "start", f"{self.program.name}: {goal_of(self.program)}", taken=True)
        attended = self.program.closure.root == ATTENDED
        role = "a loop outside chooses" if attended else f"the model ({self.settings['role']}) chooses"
        self.add(MODEL, "decision", f"{role}; asked {times(asked)}" if self.of_run else role, taken=asked > 0)
        self.link("start", MODEL, taken=asked > 0)
        told: list[dict[str, Any]] = json.loads(self.settings["tools"])
        names = [str(tool["name"]) for tool in told if tool["name"] not in OWN]
        for queue in self.queues():
            self.person(queue)
        for name in names:
            self.tool(name)
        for name in names:
            self.link(f"tool {name}", STEP, taken=bool(story.tool(name).begun or story.tool(name).direct))
        for queue in self.queues():
            if set(self.verdicts(queue)) - {"approved", "waiting"}:
                self.link(f"queue {queue}", STEP, taken=True, label="not approved")
        self.end(asked)

    def queues(self) -> Sequence[str]:
        return list(dict.fromkeys(queue for used in self.story.tools.values() for queue in used.asked.values()))

    def verdicts(self, queue: str) -> list[str]:
        """What became of each call that a queue was asked about."""
        commands = [one for used in self.story.tools.values() for one, of in used.asked.items() if of == queue]
        return [self.story.decided.get(one, "waiting") for one in commands]

    def person(self, queue: str) -> None:
        """Those who are asked before a call is made."""
        counts = self.verdicts(queue)
        words = [f"{counts.count(verdict)} {verdict}" for verdict in dict.fromkeys(counts)]
        self.add(f"queue {queue}", "person", f"{queue}: {', '.join(words)}", taken=True)
        self.link(MODEL, f"queue {queue}", taken=True)

    def tool(self, name: str) -> None:
        used, interface = self.story.tool(name), self.program.interfaces[name]
        label = name.replace("_", " ")
        kind: str = (
            interface.effect if interface.kind == "action" else "agent" if interface.kind == "agent" else "child"
        )
        made = bool(used.begun or used.direct)
        self.add(f"tool {name}", cast("NodeKind", kind), f"{label}: {used.words}" if self.of_run else label, taken=made)
        for queue in dict.fromkeys(used.asked.values()):
            through = [one for one in used.begun if used.asked.get(one) == queue]
            self.link(f"queue {queue}", f"tool {name}", taken=bool(through))
        if used.direct or not used.asked:
            self.link(MODEL, f"tool {name}", taken=bool(used.direct))

    def end(self, asked: int) -> None:
        """What it learned goes back to the model, until there is a reason to stop."""
        story, escalate = self.story, str(self.settings["escalate"])
        stopped = bool(story.ended) or story.escalated
        self.add(STEP, "decision", "goal met, or a reason to stop?", taken=asked > 1 or stopped)
        self.link(MODEL, STEP, taken=story.planned or (bool(story.ended) and not story.escalated))
        self.link(STEP, MODEL, taken=asked > 1, label="go on")
        last = story.ended or ("what it found" if not self.of_run else "not yet ended")
        if escalate:
            self.add(ESCALATION, "person", f"task {escalate}", taken=story.escalated)
            self.link(STEP, ESCALATION, taken=story.escalated, label="goal not met")
        self.add(FINDING, "failed" if story.failed else "end", last, taken=bool(story.ended))
        self.link(STEP, FINDING, taken=bool(story.ended) and not story.escalated, label="stop")
        if escalate:
            self.link(ESCALATION, FINDING, taken=story.answered)


def times(count: int) -> str:
    return {0: "not yet", 1: "once", 2: "twice"}.get(count, f"{count} times")
