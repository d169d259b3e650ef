"""Draws a graph as an SVG picture that stands alone: no scripts, no fonts to load, readable in print."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Final
from xml.sax.saxutils import escape

from backstay.language.definitions import Definition
from backstay.language.graph import Edge, Graph, Node, Taken, Visit, taken
from backstay.language.layout import CHARACTER, LINE_HEIGHT, Box, Layout, place
from backstay.language.mermaid import graph_of
from backstay.language.palette import COLOURS, INK, LEGEND, LINE, TAKEN
from backstay.language.program import Program

LEGEND_HEIGHT: Final = 44.0
_FONT: Final = "font-family=\"ui-sans-serif, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif\""


def to_svg(program: Program | Definition, path: Iterable[str | Visit] | None = None, finished: bool = False) -> str:
    """The flowchart as SVG; with `path` (step ids in order) the way that a run took stands out."""
    graph = graph_of(program)
    return draw_svg(graph, taken(graph, path, finished) if path is not None else None)


def draw_svg(graph: Graph, seen: Taken | None = None) -> str:
    """A graph as SVG; what was seen of it stands out."""
    layout = place(graph)
    legend, legend_width = _legend(graph, layout.height)
    width, height = max(layout.width, legend_width), layout.height + LEGEND_HEIGHT
    shift = (width - layout.width) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img">',
        f"<title>{escape(graph.name)}</title>",
        _defs(),
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        f'<g transform="translate({shift:.1f} 0)" {_FONT} font-size="13" fill="{INK}">',
        *(_edge(edge, number, layout, seen) for number, edge in enumerate(graph.edges)),
        *(_node(node, layout.boxes[node.id], seen) for node in graph.nodes.values()),
        *(_edge_label(edge, number, layout) for number, edge in enumerate(graph.edges) if edge.label),
        "</g>",
        legend,
        "</svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _defs() -> str:
    markers = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7.2" refY="4" markerWidth="8" markerHeight="8" orient="auto" markerUnits="userSpaceOnUse"><path d="M0.5 0.5 L7.5 4 L0.5 7.5 Z" fill="{colour}"/></marker>'
        for name, colour in (("arrow", LINE), ("taken", TAKEN), ("error", COLOURS["error"][1]))
    )
    return f"<defs>{markers}</defs>"


# --- nodes ---------------------------------------------------------------------------------------------


def _node(node: Node, box: Box, seen: Taken | None) -> str:
    fill, stroke = COLOURS[node.kind]
    visited = seen is not None and node.id in seen.nodes
    faded = ' opacity="0.45"' if seen is not None and not visited else ""
    style = f'fill="{fill}" stroke="{TAKEN if visited else stroke}" stroke-width="{2.6 if visited else 1.4}"'
    shape = _OUTLINES.get(node.kind, _rectangle)(box, style)
    return f'<g class="node {node.kind}" data-step="{escape(node.id)}" data-line="{node.line}"{faded}>{shape}{_lines(box)}</g>'


def _lines(box: Box) -> str:
    top = box.y - (len(box.lines) - 1) * LINE_HEIGHT / 2 + 4.4
    return "".join(
        f'<text x="{box.x:.1f}" y="{top + number * LINE_HEIGHT:.1f}" text-anchor="middle">{escape(line)}</text>'
        for number, line in enumerate(box.lines)
    )


def _rectangle(box: Box, style: str, radius: float = 7.0) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    return f'<rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{radius:.1f}" {style}/>'


def _pill(box: Box, style: str) -> str:
    return _rectangle(box, style, box.height / 2)


def _hexagon(box: Box, style: str) -> str:
    half, high, cut = box.width / 2, box.height / 2, 16.0
    points = [
        (-half, 0),
        (-half + cut, -high),
        (half - cut, -high),
        (half, 0),
        (half - cut, high),
        (-half + cut, high),
    ]
    return f'<polygon points="{" ".join(f"{box.x + x:.1f},{box.y + y:.1f}" for x, y in points)}" stroke-linejoin="round" {style}/>'


def _double(box: Box, style: str) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    bars = "".join(
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{top + box.height:.1f}" {style}/>'
        for x in (left + 6, left + box.width - 6)
    )
    return _rectangle(box, style, 3.0) + bars


def _person(box: Box, style: str) -> str:
    """A box with head and shoulders on its upper edge."""
    x, y = box.x - box.width / 2 + 13, box.y - box.height / 2
    head = f'<circle cx="{x:.1f}" cy="{y - 10:.1f}" r="4" {style}/>'
    shoulders = f'<path d="M{x - 8:.1f} {y:.1f} a8 6.5 0 0 1 16 0" {style}/>'
    return head + shoulders + _rectangle(box, style)


_OUTLINES: Final[Mapping[str, Callable[[Box, str], str]]] = {
    "start": _pill,
    "end": _pill,
    "failed": _pill,
    "wait": _pill,
    "decision": _hexagon,
    "rule": _hexagon,
    "loop": _hexagon,
    "child": _double,
    "agent": _double,
    "group": _double,
    "person": _person,
}
"""Kind -> outline; the others are boxes."""


# --- edges ---------------------------------------------------------------------------------------------

Point = tuple[float, float]


def _edge(edge: Edge, number: int, layout: Layout, seen: Taken | None) -> str:
    visited = seen is not None and (edge.source, edge.target) in seen.edges
    colour, marker = (TAKEN, "taken") if visited else (COLOURS["error"][1], "error") if edge.error else (LINE, "arrow")
    dash = ' stroke-dasharray="5 4"' if edge.error else ""
    faded = ' opacity="0.5"' if seen is not None and not visited else ""
    way = _way_back(edge, number, layout) if _is_back(edge, layout) else _way(_points(edge, number, layout))
    return f'<path d="{way}" fill="none" stroke="{colour}" stroke-width="{2.6 if visited else 1.4}" marker-end="url(#{marker})"{dash}{faded}/>'


def _points(edge: Edge, number: int, layout: Layout) -> list[Point]:
    """From the lower edge of the source, through the bends, to the upper edge of the target."""
    source, target = layout.boxes[edge.source], layout.boxes[edge.target]
    back, bends = _is_back(edge, layout), layout.routes[number]
    middle = [(bend.x, bend.y + side * bend.height / 2) for bend in bends for side in ((0,) if back else (-1, 1))]
    leave, enter = (_port(edge, number, layout, end) for end in (0, 1)) if back else (0.0, 0.0)
    first = (source.x + leave, source.y + source.height / 2)
    last = (target.x + enter, target.y - target.height / 2)
    return [first, *middle, last]


def _port(edge: Edge, number: int, layout: Layout, end: int) -> float:
    """How far beside the middle an edge that leads back leaves or enters, so that two do not share a line."""
    name = (edge.source, edge.target)[end]
    rivals = [
        other for other, bends in layout.routes.items() if bends and layout.back.get(other, ("", ""))[end] == name
    ]
    place = rivals.index(number) if number in rivals else 0
    return min(24.0 + 22.0 * place, layout.boxes[name].width / 2 - 12)


def _is_back(edge: Edge, layout: Layout) -> bool:
    return layout.boxes[edge.source].rank >= layout.boxes[edge.target].rank


def _way(points: list[Point]) -> str:
    """Smooth from layer to layer, with vertical tangents."""
    (x, y), *rest = points
    out = [f"M{x:.1f} {y:.1f}"]
    for to_x, to_y in rest:
        bend = (to_y - y) / 2
        out.append(f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    return " ".join(out)


def _way_back(edge: Edge, number: int, layout: Layout) -> str:
    """Down into the gap below the source, across, up its own column, across above the target and into it."""
    points = _points(edge, number, layout)
    source_gap = _gap(layout, layout.boxes[edge.source].rank, 1) + 4 * (number % 3)
    target_gap = _gap(layout, layout.boxes[edge.target].rank, -1) - 4 * (number % 3)
    columns = points[1:-1]
    corners = [points[0], (points[0][0], source_gap), (columns[0][0], source_gap)]
    for (x, y), (next_x, next_y) in pairwise(columns):
        corners += [(x, (y + next_y) / 2), (next_x, (y + next_y) / 2)] if abs(x - next_x) > 1 else []
    corners += [(columns[-1][0], target_gap), (points[-1][0], target_gap), points[-1]]
    return _rounded(corners)


def _gap(layout: Layout, rank: int, side: int) -> float:
    """A height between two layers, just outside the boxes of one of them."""
    edges = [box.y + side * box.height / 2 for box in layout.boxes.values() if box.rank == rank]
    return (max(edges) if side > 0 else min(edges)) + side * 18


def _rounded(corners: list[Point], radius: float = 7.0) -> str:
    """Straight lines with rounded corners."""
    out = [f"M{corners[0][0]:.1f} {corners[0][1]:.1f}"]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        start, end = _towards(corner, before, radius), _towards(corner, after, radius)
        out.append(f"L{start[0]:.1f} {start[1]:.1f} Q{corner[0]:.1f} {corner[1]:.1f} {end[0]:.1f} {end[1]:.1f}")
    return " ".join([*out, f"L{corners[-1][0]:.1f} {corners[-1][1]:.1f}"])


def _towards(point: Point, other: Point, distance: float) -> Point:
    (x, y), (to_x, to_y) = point, other
    length = max(((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5, 0.001)
    share = min(distance, length / 2) / length
    return x + (to_x - x) * share, y + (to_y - y) * share


def _edge_label(edge: Edge, number: int, layout: Layout) -> str:
    """The word on an edge, where it has left its neighbours behind, on a white ground."""
    points = _points(edge, number, layout)
    (x, y), (next_x, next_y) = points[0], points[1]
    at_x, at_y = x + (next_x - x) * 0.8, y + (next_y - y) * 0.62
    if _is_back(edge, layout):
        at_x, at_y = x + 4, y + 9
    text = edge.label if len(edge.label) <= 28 else edge.label[:27] + "…"
    width = len(text) * CHARACTER * 0.86 + 8
    ground = f'<rect x="{at_x - width / 2:.1f}" y="{at_y - 8.5:.1f}" width="{width:.1f}" height="16" rx="4" fill="#ffffff" opacity="0.92"/>'
    return f'{ground}<text x="{at_x:.1f}" y="{at_y + 3.6:.1f}" text-anchor="middle" font-size="11" fill="#4b5a69">{escape(text)}</text>'


def _legend(graph: Graph, top: float) -> tuple[str, float]:
    used = [kind for kind in LEGEND if any(node.kind == kind for node in graph.nodes.values())]
    x, parts = 24.0, list[str]()
    for kind in used:
        fill, stroke = COLOURS[kind]
        parts.append(
            f'<rect x="{x:.1f}" y="{top + 10:.1f}" width="13" height="13" rx="3" fill="{fill}" stroke="{stroke}"/>'
        )
        parts.append(f'<text x="{x + 19:.1f}" y="{top + 20.5:.1f}">{LEGEND[kind]}</text>')
        x += 19 + len(LEGEND[kind]) * 6.4 + 20
    return f'<g {_FONT} font-size="11.5" fill="#4b5a69">{"".join(parts)}</g>', x
