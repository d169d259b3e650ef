"""Writes a graph as Mermaid text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from backstay.language.definitions import Definition, read_document
from backstay.language.graph import Graph, Taken, Visit, draw_graph, taken
from backstay.language.palette import COLOURS
from backstay.language.program import Program

_SHAPES: Final[Mapping[str, tuple[str, str]]] = {
    "start": ("([", "])"),
    "end": ("([", "])"),
    "failed": ("([", "])"),
    "decision": ("{", "}"),
    "loop": ("{{", "}}"),
    "person": ("[/", "\\]"),
    "wait": ("((", "))"),
    "child": ("[[", "]]"),
    "agent": ("[[", "]]"),
    "group": ("[[", "]]"),
    "rule": ("{{", "}}"),
    "error": (">", "]"),
}
"""How each kind is bracketed; the others are plain boxes."""


def graph_of(program: Program | Definition) -> Graph:
    """The graph of a program or of a stored definition."""
    return draw_graph(program.closure if isinstance(program, Program) else read_document(program.text)[0])


def to_mermaid(program: Program | Definition, path: Iterable[str | Visit] | None = None, finished: bool = False) -> str:
    """The flowchart as Mermaid text; with `path`, the steps that a run took stand out."""
    graph = graph_of(program)
    return write_mermaid(graph, taken(graph, path, finished) if path is not None else None)


def write_mermaid(graph: Graph, seen: Taken | None = None) -> str:
    """A graph as Mermaid text; what was seen of it stands out."""
    names = {name: f"n{number}" for number, name in enumerate(graph.nodes)}
    lines = ["flowchart TD"]
    for name, node in graph.nodes.items():
        opening, closing = _SHAPES.get(node.kind, ("[", "]"))
        lines.append(f'    {names[name]}{opening}"{_escape(node.label)}"{closing}:::{node.kind}')
    for edge in graph.edges:
        arrow = "-.->" if edge.error else "-->"
        label = f'|"{_escape(edge.label)}"|' if edge.label else ""
        lines.append(f"    {names[edge.source]} {arrow}{label} {names[edge.target]}")
    for kind in dict.fromkeys(node.kind for node in graph.nodes.values()):
        fill, stroke = COLOURS[kind]
        lines.append(f"    classDef {kind} fill:{fill},stroke:{stroke},color:#1b2733")
    if seen is not None:
        lines.extend(_path(graph, names, seen))
    return "\n".join(lines) + "\n"


def _path(graph: Graph, names: Mapping[str, str], seen: Taken) -> list[str]:
    lines = ["    classDef taken stroke-width:3px"]
    lines += [f"    class {names[name]} taken" for name in graph.nodes if name in seen.nodes]
    numbers = [str(number) for number, edge in enumerate(graph.edges) if (edge.source, edge.target) in seen.edges]
    return [*lines, f"    linkStyle {','.join(numbers)} stroke-width:3px"] if numbers else lines


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
