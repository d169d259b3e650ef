"""Turns a workflow's tree into the picture that a process owner reads: what it waits for, decides, and ends with.

Pure computation is left out: a branch or loop shows when something waits, ends or is decided by a rule inside it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal

from backstay.language.closure import Closure, Item
from backstay.language.steps import Step, number_steps, step_of
from backstay.language.trees import one_line

NodeKind = Literal[
    "start",
    "end",
    "failed",
    "read",
    "write",
    "irreversible",
    "child",
    "agent",
    "person",
    "wait",
    "decision",
    "loop",
    "rule",
    "error",
    "draw",
    "group",
]
"""read, write, irreversible: an action, by effect. person: approval or task. wait: sleep or event. draw: clock, chance,
setting, note. group: gather or race. error: where a caught error goes on."""

_COMMANDS: Final[Mapping[str, NodeKind]] = {
    "approval": "person",
    "task": "person",
    "wait_for": "wait",
    "sleep": "wait",
    "gather": "group",
    "race": "group",
    "start": "child",
    "ask": "agent",
}
_LEAVES: Final = (ast.Await, ast.Return, ast.Raise, ast.Break, ast.Continue)


@dataclass(frozen=True)
class Node:
    """One box of the picture."""

    id: str
    """The step id, or "start", "end", "end.2" ..."""
    kind: NodeKind
    label: str
    line: int


@dataclass(frozen=True)
class Edge:
    source: str
    target: str
    label: str = ""
    error: bool = False
    """Taken when the source fails."""


@dataclass
class Graph:
    """Nodes in the order of the source, and the edges between them."""

    name: str
    nodes: dict[str, Node] = field(default_factory=dict[str, Node])
    edges: list[Edge] = field(default_factory=list[Edge])


Exits = list[tuple[str, str]]
"""Loose ends: node and the label of the edge that will leave it."""


def draw_graph(closure: Closure) -> Graph:
    """The control-flow graph of a closure's workflow."""
    item = closure.items[closure.root]
    steps = number_steps(item, closure)
    builder = _Builder(item, closure, steps)
    tree = item.tree
    assert isinstance(tree, ast.AsyncFunctionDef | ast.FunctionDef)
    builder.add("start", "start", item.name.replace("_", " "), tree)
    exits = builder.block(tree.body, [("start", "")])
    if exits:
        builder.link(exits, builder.add("end", "end", "done", tree))
    return builder.graph


class _Builder:
    def __init__(self, item: Item, closure: Closure, steps: Mapping[str, Step]) -> None:
        self.item, self.closure, self.steps = item, closure, steps
        self.graph = Graph(item.name)
        self.loops: list[tuple[str, Exits]] = []
        """Open loops: their head, and the exits of their breaks."""
        self.attempts: list[list[str]] = []
        """Open try blocks: the nodes in them that may fail."""

    def text(self, node: ast.AST, limit: int = 60) -> str:
        return one_line(self.item.source.text, node, limit)

    def add(self, base: str, kind: NodeKind, label: str, node: ast.AST) -> str:
        name, count = base, 1
        while name in self.graph.nodes:
            count += 1
            name = f"{base}.{count}"
        line = self.item.source.line + getattr(node, "lineno", 1) - 1
        self.graph.nodes[name] = Node(name, kind, label, line)
        return name

    def link(self, exits: Exits, target: str) -> None:
        for source, label in dict.fromkeys(exits):
            self.graph.edges.append(Edge(source, target, label))

    def follow(self, exits: Exits, node: str) -> Exits:
        """Put a node behind loose ends; its own end is loose then."""
        self.link(exits, node)
        return [(node, "")]

    # --- statements ----------------------------------------------------------------------------------

    def block(self, body: Sequence[ast.stmt], exits: Exits) -> Exits:
        for statement in body:
            exits = self.statement(statement, exits) if exits else exits
        return exits

    def statement(self, node: ast.stmt, exits: Exits) -> Exits:
        match node:
            case ast.If():
                return self.branch(node, exits)
            case ast.For():
                return self.loop(
                    node,
                    self.asked(node.iter, exits),
                    f"each {self.text(node.target, 20)} in {self.text(node.iter, 40)}",
                )
            case ast.While():
                endless = isinstance(node.test, ast.Constant)
                return self.loop(node, exits, "repeat" if endless else f"while {self.text(node.test)}")
            case ast.Match():
                return self.choice(node, exits)
            case ast.Try():
                return self.attempt(node, exits)
            case ast.Return():
                exits = self.asked(node.value, exits)
                self.link(exits, self.add("end", "end", self.text(node.value, 48) if node.value else "done", node))
                return []
            case ast.Raise():
                return self.fail(node, exits)
            case ast.Break():
                self.loops[-1][1].extend(exits)
                return []
            case ast.Continue():
                self.link(exits, self.loops[-1][0])
                return []
            case _:
                return self.asked(node, exits)

    def fail(self, node: ast.Raise, exits: Exits) -> Exits:
        failed = self.add("fail", "failed", self.text(node.exc, 48) if node.exc else "raise again", node)
        self.link(exits, failed)
        if self.attempts:
            self.attempts[-1].append(failed)
        return []

    def branch(self, node: ast.If, exits: Exits) -> Exits:
        exits = self.asked(node.test, exits, rules=False)
        if not self.shows(node.body) and not self.shows(node.orelse):
            return exits
        decision = self.add(step_of(node), "decision", self.text(node.test) + "?", node)
        self.link(exits, decision)
        yes = self.block(node.body, [(decision, "yes")])
        return [*yes, *self.block(node.orelse, [(decision, "no")])]

    def loop(self, node: ast.For | ast.While, exits: Exits, label: str) -> Exits:
        if not self.shows([*node.body, *node.orelse]):
            return exits
        head = self.add(step_of(node), "loop", label, node)
        self.link(exits, head)
        breaks: Exits = []
        self.loops.append((head, breaks))
        self.link(self.block(node.body, [(head, "next")]), head)
        self.loops.pop()
        endless = isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and bool(node.test.value)
        after: Exits = [] if endless else self.block(node.orelse, [(head, "done")])
        return [*after, *breaks]

    def choice(self, node: ast.Match, exits: Exits) -> Exits:
        exits = self.asked(node.subject, exits)
        if not any(self.shows(case.body) for case in node.cases):
            return exits
        decision = self.add(step_of(node), "decision", self.text(node.subject) + "?", node)
        self.link(exits, decision)
        out: Exits = []
        for case in node.cases:
            guard = f" if {self.text(case.guard, 30)}" if case.guard else ""
            out.extend(self.block(case.body, [(decision, self.text(case.pattern, 30) + guard)]))
        last = node.cases[-1]
        complete = last.guard is None and isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None
        return out if complete else [*out, (decision, "otherwise")]

    def attempt(self, node: ast.Try, exits: Exits) -> Exits:
        self.attempts.append([])
        exits = self.block(node.body, exits)
        failing = self.attempts.pop()
        exits = self.block(node.orelse, exits)
        for handler in node.handlers:
            exits = [*exits, *self.handle(handler, failing)]
        return self.block(node.finalbody, exits)

    def handle(self, handler: ast.ExceptHandler, failing: list[str]) -> Exits:
        if not failing:
            return []
        caught = self.add("except", "error", self.text(handler.type, 40) if handler.type else "any error", handler)
        self.graph.edges.extend(Edge(source, caught, "", error=True) for source in dict.fromkeys(failing))
        return self.block(handler.body, [(caught, "")])

    # --- what a statement asks for -------------------------------------------------------------------

    def asked(self, node: ast.AST | None, exits: Exits, rules: bool = True) -> Exits:
        """Put the awaits and rules of a statement behind loose ends, in the order they happen."""
        for inner in _in_order(node) if node is not None else ():
            if isinstance(inner, ast.Await):
                exits = self.follow(exits, self.awaited(inner))
            elif rules and isinstance(inner, ast.Call) and step_of(inner):
                name = inner.func.id if isinstance(inner.func, ast.Name) else ""
                exits = self.follow(exits, self.add(step_of(inner), "rule", _spoken(name), inner))
        return exits

    def awaited(self, node: ast.Await) -> str:
        step = self.steps[step_of(node)]
        added = self.add(step.id, self.kind(step, node.value), self.label(node.value), node)
        for attempt in self.attempts[-1:]:
            attempt.append(added)
        return added

    def kind(self, step: Step, value: ast.expr) -> NodeKind:
        if step.kind != "call":
            return _COMMANDS.get(step.kind, "draw")
        name = value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""
        match self.closure.interfaces[name].effect:
            case "read" | "write" as effect:
                return effect
            case _:
                return "irreversible"

    def label(self, value: ast.expr) -> str:
        if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
            return self.text(value, 40)
        name = self.closure.outside(value.func.id) or value.func.id
        first = value.args[0] if value.args else None
        if name in ("gather", "race"):
            called = [
                inner.func.id
                for inner in ast.walk(value)
                if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name)
            ]
            several = [
                _spoken(one)
                for one in dict.fromkeys(called)
                if self.closure.kind(one) in ("action", "workflow", "agent", "command") and one != name
            ]
            return ("all of: " if name == "gather" else "first of: ") + (", ".join(several) or self.text(value, 40))
        if self.closure.kind(value.func.id) == "command":
            return f"{_spoken(name)} {self.detail(first)}".strip()
        return _spoken(name)

    def detail(self, node: ast.expr | None) -> str:
        """The first argument of a command, text without its quotes."""
        text = self.text(node, 40) if node is not None else ""
        quoted = isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
        return text.lstrip("fr").strip("\"'") if quoted else text

    def shows(self, body: Iterable[ast.stmt]) -> bool:
        """Whether anything in a block would be drawn."""
        for statement in body:
            for inner in ast.walk(statement):
                if isinstance(inner, _LEAVES) or (isinstance(inner, ast.Call) and step_of(inner)):
                    return True
        return False


def _spoken(name: str) -> str:
    return name.replace("_", " ").strip()


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes with the inner ones first, as they are evaluated."""
    for child in ast.iter_child_nodes(node):
        yield from _in_order(child)
    yield node


# --- the path a run took ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Taken:
    """What of a graph a run went through."""

    nodes: frozenset[str] = frozenset()
    edges: frozenset[tuple[str, str]] = frozenset()


def taken(graph: Graph, path: Iterable[str], finished: bool = False) -> Taken:
    """The part of a graph that a run visited; `path` holds step ids in order, those that are not drawn are skipped."""
    visited = ["start", *(step for step in path if step in graph.nodes)]
    targets = {(edge.source, edge.target) for edge in graph.edges}
    edges: set[tuple[str, str]] = set()
    nodes = set(visited)
    for source, target in pairwise(visited):
        for through in _between(targets, graph, source, target):
            edges.add(through)
            nodes.update(through)
    last = visited[-1]
    ends = [target for source, target in targets if source == last and graph.nodes[target].kind in ("end", "failed")]
    if finished and len(ends) == 1:
        nodes.add(ends[0])
        edges.add((last, ends[0]))
    return Taken(frozenset(nodes), frozenset(edges))


def _between(edges: set[tuple[str, str]], graph: Graph, source: str, target: str) -> list[tuple[str, str]]:
    """The edge between two visited nodes, or the two edges through a node that is no step, such as `except`."""
    if (source, target) in edges:
        return [(source, target)]
    for name, node in graph.nodes.items():
        if node.kind == "error" and (source, name) in edges and (name, target) in edges:
            return [(source, name), (name, target)]
    return []
