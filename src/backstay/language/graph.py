"""Turns a workflow's tree into the picture that a process owner reads: what it waits for, decides, and ends with.

Pure computation is left out: a branch or loop shows when something waits, ends or is decided by a rule inside it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal

from backstay.language.closure import CLASS_KINDS, Closure, Item
from backstay.language.steps import Step, number_steps, step_of
from backstay.language.trees import one_line
from backstay.types import Json

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
setting, note. group: gather or race; its parts are boxes of their own. error: where a caught error goes on."""

_COMMANDS: Final[Mapping[str, NodeKind]] = {
    "approval": "person",
    "task": "person",
    "wait_for": "wait",
    "sleep": "wait",
    "gather": "group",
    "race": "group",
    "serve": "wait",
    "start": "child",
    "ask": "agent",
}
RAISED_BY: Final[Mapping[str, frozenset[NodeKind]]] = {
    "ActionFailed": frozenset({"read", "write", "irreversible"}),
    "ActionDenied": frozenset({"read", "write", "irreversible"}),
    "ChildFailed": frozenset({"child"}),
    "TimedOut": frozenset({"wait"}),
}
"""Errors that only some nodes raise; any other may come from everything in its `try`."""
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
    parts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """What a group does at once, in the order of its arguments; the last stands for all that a list adds."""


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
        self.winners: dict[str, list[str]] = {}
        """By variable: the parts of the race whose winner it holds."""

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
                self.link(exits, self.add("end", "end", self.ending(node.value), node))
                return []
            case ast.Raise():
                return self.fail(node, exits)
            case ast.Break():
                self.loops[-1][1].extend(exits)
                return []
            case ast.Continue():
                self.link(exits, self.loops[-1][0])
                return []
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Await(value=ast.Call() as called)):
                exits = self.asked(node, exits)
                group = step_of(node.value) if self.called(called) == "race" else ""
                self.winners[name] = self.graph.parts.get(group, [])
                return exits
            case _:
                return self.asked(node, exits)

    def ending(self, value: ast.expr | None) -> str:
        """What a workflow ends with: of a model, what it says in plain words; what was awaited stands above."""
        match value:
            case None | ast.Await():
                return "done"
            case ast.Constant(value=str(text)):
                return _cut(text, 48)
            case ast.JoinedStr():
                parts = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in value.values]
                return _cut("".join(parts), 48)
            case ast.Call(func=ast.Name(id=name)) if self.closure.kind(name) in CLASS_KINDS:
                words = [text for text in (self.said(word.value) for word in value.keywords) if text]
                return _cut(": ".join(words), 60) if words else name
            case _:
                return self.text(value, 48)

    def said(self, value: ast.expr) -> str:
        """What a literal or a member of an enum says; "" for what only a run can say."""
        match value:
            case ast.Constant(value=str(text)):
                return text
            case ast.Attribute(value=ast.Name(id=name), attr=member) if self.closure.kind(name) in CLASS_KINDS:
                return _spoken(member.lower())
            case _:
                return ""

    def fail(self, node: ast.Raise, exits: Exits) -> Exits:
        failed = self.add("fail", "failed", self.text(node.exc, 48) if node.exc else "raise again", node)
        self.link(exits, failed)
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        cancels = isinstance(raised, ast.Name) and self.closure.outside(raised.id) == "Cancelled"
        if self.attempts and not cancels:  # no handler takes it
            self.attempts[-1].append(failed)
        return []

    def branch(self, node: ast.If, exits: Exits) -> Exits:
        exits = self.asked(node.test, exits, rules=False)
        if not self.shows(node.body) and not self.shows(node.orelse):
            return exits
        decision = self.add(step_of(node), "decision", self.question(node.test), node)
        self.link(exits, decision)
        yes = self.block(node.body, [(decision, "yes")])
        return [*yes, *self.block(node.orelse, [(decision, "no")])]

    def question(self, test: ast.expr) -> str:
        """A condition as it is asked; `first.index == 1` by what the race had in that place."""
        match test:
            case ast.Compare(
                left=ast.Attribute(value=ast.Name(id=name), attr="index"),
                ops=[ast.Eq()],
                comparators=[ast.Constant(value=int(place))],
            ) if place < len(self.winners.get(name, ())):
                return f"first: {self.graph.nodes[self.winners[name][place]].label}?"
            case _:
                return self.text(test) + "?"

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
            out.extend(self.block(case.body, [(decision, _case(self.text(case.pattern, 30)) + guard)]))
        last = node.cases[-1]
        complete = last.guard is None and isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None
        return out if complete else [*out, (decision, OTHERWISE)]

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
        raising = RAISED_BY.get(self.closure.outside(handler.type.id) if isinstance(handler.type, ast.Name) else "")
        sources = [name for name in failing if raising is None or self.graph.nodes[name].kind in raising] or failing
        self.graph.edges.extend(Edge(source, caught, "", error=True) for source in dict.fromkeys(sources))
        return self.block(handler.body, [(caught, "")])

    # --- what a statement asks for -------------------------------------------------------------------

    def asked(self, node: ast.AST | None, exits: Exits, rules: bool = True) -> Exits:
        """Put the awaits and rules of a statement behind loose ends, in the order they happen."""
        for inner in _in_order(node) if node is not None else ():
            if isinstance(inner, ast.Await):
                exits = self.awaited(inner, exits)
            elif rules and isinstance(inner, ast.Call) and step_of(inner):
                name = inner.func.id if isinstance(inner.func, ast.Name) else ""
                exits = self.follow(exits, self.add(step_of(inner), "rule", _spoken(name), inner))
        return exits

    def awaited(self, node: ast.Await, exits: Exits) -> Exits:
        step = self.steps[step_of(node)]
        if step.kind in ("gather", "race") and isinstance(node.value, ast.Call):
            return self.group(step.id, node.value, exits)
        return self.ask(step.id, self.kind(step.kind, node.value), node.value, exits)

    def ask(self, name: str, kind: NodeKind, value: ast.expr, exits: Exits) -> Exits:
        if isinstance(value, ast.Call) and self.called(value) == "attempt" and value.args:
            value = value.args[0]  # whatever comes of it: it is what is done
            kind = self.kind(self.called(value), value)
        added = self.add(name, kind, self.label(value), value)
        for attempt in self.attempts[-1:]:
            if self.called(value) != "sleep":
                attempt.append(added)
        return self.follow(exits, added)

    def group(self, name: str, value: ast.Call, exits: Exits) -> Exits:
        """What is done at once, side by side; what comes as a variable cannot be told apart."""
        race = self.called(value) == "race"
        group = self.add(name, "group", "first of" if race else "all of", value)
        self.link(exits, group)
        out: Exits = []
        for place, argument in enumerate(value.args):
            before = len(self.graph.nodes)
            part, label = argument.value if isinstance(argument, ast.Starred) else argument, ""
            if isinstance(part, ast.ListComp):
                each = part.generators[0]
                part, label = part.elt, f"each {self.text(each.target, 20)} in {self.text(each.iter, 30)}"
            inner = f"{group}/{place}"
            if isinstance(part, ast.Call) and self.called(part) in ("gather", "race"):
                out += self.group(inner, part, [(group, label)])
            else:
                out += self.ask(inner, self.kind(self.called(part), part), part, [(group, label)])
            self.graph.parts.setdefault(group, []).append(list(self.graph.nodes)[before])
        return out or [(group, "")]

    def called(self, value: ast.expr) -> str:
        """The command that a call makes, "call" for an action, "" for what is not a call by name."""
        name = value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""
        kinds = {"action": "call", "workflow": "start", "agent": "ask"}
        return kinds.get(self.closure.kind(name)) or self.closure.outside(name)

    def kind(self, command: str, value: ast.expr) -> NodeKind:
        if command != "call":
            return _COMMANDS.get(command, "draw")
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
        if self.closure.kind(value.func.id) != "command":
            return _spoken(name)
        until = next((f"until {self.text(word.value, 40)}" for word in value.keywords if word.arg == "until"), "")
        return f"{_spoken(name)} {self.detail(value.args[0] if value.args else None) or until}".strip()

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


OTHERWISE: Final = "otherwise"
"""The way of what fits no other case."""


def _case(pattern: str) -> str:
    """A pattern as people read it."""
    return OTHERWISE if pattern == "_" else pattern.replace('"', "").replace("'", "")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


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


Visit = tuple[str, str]
"""A step, and the label of the edge by which the run left it; "" where that is not known."""


def visit_of(entry: Mapping[str, Json]) -> Visit:
    """A decision as a trail holds it, with the edge that its verdict leads to."""
    yes, no = ("next", "done") if entry.get("kind") == "while" else ("yes", "no")
    if entry.get("kind") == "match":
        yes, no = _case(str(entry.get("text", "")).removeprefix("case ")), OTHERWISE
    left_by = {True: yes, False: no}.get(entry["verdict"], "") if isinstance(entry.get("verdict"), bool) else ""
    return str(entry.get("step", "")), left_by


def taken(graph: Graph, path: Iterable[str | Visit], finished: bool = False) -> Taken:
    """The part of a graph that a run visited; `path` holds steps in order, those that are not drawn are skipped."""
    visits = [(each, "") if isinstance(each, str) else each for each in path]
    drawn = [(node, left_by) for step, left_by in visits if (node := _node_of(graph, step)) is not None]
    visited = ["start", *(node for node, _ in drawn)]
    targets = {(edge.source, edge.target) for edge in graph.edges}
    groups = {part: group for group, parts in graph.parts.items() for part in parts}
    edges: set[tuple[str, str]] = set()
    nodes = set(visited)
    fronts = ["start"]
    for node in visited[1:]:
        within = _within(groups, node)
        together = any(group in within[:-1] for front in fronts for group in _within(groups, front)[:-1])
        ways = [] if together else [way for front in fronts for way in _between(targets, graph, front, within[0])]
        ways += pairwise(within)
        edges.update(ways)
        nodes.update(name for way in ways for name in way)
        fronts = [*fronts, node] if together else [node]
    ends = _ends(graph, fronts[-1], drawn[-1][1] if drawn else "")
    if finished and len(ends) == 1:
        nodes.add(ends[0])
        edges.update((front, ends[0]) for front in fronts)
    return Taken(frozenset(nodes), frozenset(edges & targets))


def _ends(graph: Graph, last: str, left_by: str) -> list[str]:
    """The ends that follow a node, by the label of the edge if that is known."""
    own = [edge for edge in graph.edges if edge.source == last]
    ways = [edge for edge in own if left_by and _fits(edge.label, left_by)] or own
    return list(dict.fromkeys(edge.target for edge in ways if graph.nodes[edge.target].kind in ("end", "failed")))


def _fits(label: str, left_by: str) -> bool:
    """Whether an edge is the one that was left by; that of a case may have its guard behind it."""
    return label == left_by or label.startswith(f"{left_by} if ")


def _within(groups: Mapping[str, str], node: str) -> list[str]:
    """The groups that a node is part of, the outermost first, and the node."""
    found = [node]
    while found[0] in groups:
        found.insert(0, groups[found[0]])
    return found


def _node_of(graph: Graph, step: str) -> str | None:
    """The node of a step; the parts of a group are numbered behind its id."""
    head, _, number = step.rpartition(".")
    group = head if head in graph.parts else _node_of(graph, head) if "." in head else None
    parts = graph.parts.get(group or "", [])
    if parts and number.isdigit() and not (int(number) >= len(parts) and step in graph.nodes):
        return parts[min(int(number), len(parts) - 1)]
    if step in graph.nodes:
        return step
    whole = group or head
    return whole if number == "0" and whole in graph.nodes else None  # an attempt has one part, and no box of its own


def _between(edges: set[tuple[str, str]], graph: Graph, source: str, target: str) -> list[tuple[str, str]]:
    """The edge between two visited nodes, or the two edges through a node that is no step, such as `except`."""
    if (source, target) in edges:
        return [(source, target)]
    for name, node in graph.nodes.items():
        if node.kind == "error" and (source, name) in edges and (name, target) in edges:
            return [(source, name), (name, target)]
    return []
