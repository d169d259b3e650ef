"""Places a graph in layers, top to bottom (after Sugiyama, Tagawa and Toda, 1981): rank, order, then straighten."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from backstay.language.graph import Edge, Graph, Node

GAP_X: Final = 36.0
GAP_Y: Final = 58.0
CHARACTER: Final = 7.1
LINE_HEIGHT: Final = 17.0
WRAP: Final = 26
ROUNDS: Final = 12
_PIECE: Final = re.compile(r"[^\s(.,]*(?:[(.,]+\s*|\s+|$)")


@dataclass
class Box:
    """A placed node, or a bend of a long edge; x and y are the centre."""

    name: str
    width: float
    height: float
    lines: tuple[str, ...] = ()
    rank: int = 0
    x: float = 0.0
    y: float = 0.0


@dataclass
class Layout:
    """Boxes by node, and for each edge the bends it goes through."""

    boxes: dict[str, Box] = field(default_factory=dict[str, Box])
    routes: dict[int, list[Box]] = field(default_factory=dict[int, list[Box]])
    """Position of the edge in the graph -> bends from source to target."""
    back: dict[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])
    """Edges that lead upwards: source and target."""
    width: float = 0.0
    height: float = 0.0


def place(graph: Graph) -> Layout:
    """Coordinates for every node and every bend."""
    layout = Layout()
    ranks = _ranks(graph)
    for name, node in graph.nodes.items():
        layout.boxes[name] = _box(node, ranks[name])
    layers, links = _layers(graph, layout)
    _order(layers, links)
    _straighten(layers, links)
    _tuck(layers, layout)
    _stack(layers, layout)
    return layout


def _box(node: Node, rank: int) -> Box:
    lines = wrap(node.label)
    width = max(map(len, lines)) * CHARACTER + 30
    height = len(lines) * LINE_HEIGHT + 20
    if node.kind in ("decision", "loop", "rule"):
        width += 26
    return Box(node.id, max(width, 84.0), height, lines, rank)


def wrap(label: str) -> tuple[str, ...]:
    """Up to three lines; code may break after a bracket, a comma or a dot."""
    lines = [""]
    for piece in _PIECE.findall(label):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > WRAP:
            lines.append("")
        lines[-1] += piece
    kept = [line.strip()[:36] for line in lines[:3]]
    return (*kept[:2], kept[2] + " …") if len(lines) > 3 else tuple(kept)


def _ranks(graph: Graph) -> dict[str, int]:
    """Longest way from the start, edges that close a loop left out; nodes are in the order of the source."""
    back = back_edges(graph)
    incoming: dict[str, list[str]] = defaultdict(list)
    for number, edge in enumerate(graph.edges):
        if number not in back:
            incoming[edge.target].append(edge.source)
    ranks: dict[str, int] = {}

    def rank(name: str) -> int:
        if name not in ranks:
            ranks[name] = max((rank(source) + 1 for source in incoming[name]), default=0)
        return ranks[name]

    for name in graph.nodes:
        rank(name)
    return ranks


def back_edges(graph: Graph) -> set[int]:
    """Edges that lead back to a node on the way to their source."""
    outgoing: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for number, edge in enumerate(graph.edges):
        outgoing[edge.source].append((number, edge.target))
    found: set[int] = set()
    done: set[str] = set()
    open_nodes: set[str] = set()

    def visit(name: str) -> None:
        open_nodes.add(name)
        for number, target in outgoing[name]:
            if target in open_nodes:
                found.add(number)
            elif target not in done:
                visit(target)
        open_nodes.discard(name)
        done.add(name)

    for name in graph.nodes:
        if name not in done:
            visit(name)
    return found


Links = Mapping[str, list[str]]


def _layers(graph: Graph, layout: Layout) -> tuple[list[list[Box]], tuple[Links, Links]]:
    """Boxes by rank with a bend on every layer that a long edge crosses, and who is linked to whom above and below."""
    depth = max((box.rank for box in layout.boxes.values()), default=0) + 1
    layers: list[list[Box]] = [[] for _ in range(depth)]
    for name in graph.nodes:
        layers[layout.boxes[name].rank].append(layout.boxes[name])
    above: dict[str, list[str]] = defaultdict(list)
    below: dict[str, list[str]] = defaultdict(list)
    for number, edge in enumerate(graph.edges):
        chain = _chain(edge, number, layout, layers)
        for upper, lower in pairwise(chain):
            below[upper].append(lower)
            above[lower].append(upper)
    return layers, (above, below)


def _chain(edge: Edge, number: int, layout: Layout, layers: list[list[Box]]) -> list[str]:
    """The boxes an edge passes from top to bottom; one that leads back has a column of its own beside its ends."""
    source, target = layout.boxes[edge.source], layout.boxes[edge.target]
    forward = source.rank < target.rank
    ranks = range(source.rank + 1, target.rank) if forward else range(target.rank, source.rank + 1)
    bends = [Box(f"{number}@{rank}", 14.0, 0.0, (), rank) for rank in ranks]
    for bend in bends:
        _insert(layers[bend.rank], bend, None if forward else (source if bend.rank == source.rank else target))
    if not forward:
        layout.back[number] = (edge.source, edge.target)
    names = [bend.name for bend in bends]
    layout.routes[number] = bends if forward else bends[::-1]
    return [source.name, *names, target.name] if forward else names


def _insert(layer: list[Box], bend: Box, beside: Box | None) -> None:
    layer.insert(layer.index(beside) + 1 if beside in layer else len(layer), bend)


def _order(layers: list[list[Box]], links: tuple[Links, Links]) -> None:
    """Sort each layer by where its neighbours stand, down and up, until it settles."""
    for round_number in range(ROUNDS):
        downwards = round_number % 2 == 0
        neighbours = links[0] if downwards else links[1]
        sequence = range(1, len(layers)) if downwards else range(len(layers) - 2, -1, -1)
        for index in sequence:
            reference = layers[index - 1 if downwards else index + 1]
            position = {box.name: place for place, box in enumerate(reference)}
            scale = len(reference) / max(1, len(layers[index]))
            keys = {
                box.name: _mean(
                    [position[name] for name in neighbours.get(box.name, []) if name in position],
                    place * scale,
                )
                for place, box in enumerate(layers[index])
            }
            layers[index].sort(key=lambda box: keys[box.name])


def _mean(values: list[float] | list[int], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _straighten(layers: list[list[Box]], links: tuple[Links, Links]) -> None:
    """Pull every box towards its neighbours while keeping the order and the gaps."""
    by_name = {box.name: box for layer in layers for box in layer}
    for layer in layers:
        _spread(layer, [0.0] * len(layer))
    for round_number in range(4 * ROUNDS):
        neighbours = links[round_number % 2]
        for layer in layers if round_number % 2 == 0 else reversed(layers):
            wanted = [_mean([by_name[name].x for name in neighbours.get(box.name, [])], box.x) for box in layer]
            _spread(layer, wanted)


def _spread(layer: list[Box], wanted: list[float]) -> None:
    """Positions as near as possible to the wanted ones that keep the gaps: isotonic regression by pooling."""
    offset, offsets = 0.0, list[float]()
    for position, box in enumerate(layer):
        if position:
            offset += (layer[position - 1].width + box.width) / 2 + GAP_X
        offsets.append(offset)
    pools: list[tuple[float, int]] = []
    for want, shift in zip(wanted, offsets, strict=True):
        mean, size = want - shift, 1
        while pools and pools[-1][0] > mean:
            other, count = pools.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        pools.append((mean, size))
    flat = [mean for mean, size in pools for _ in range(size)]
    for box, start, shift in zip(layer, flat, offsets, strict=True):
        box.x = start + shift


def _tuck(layers: list[list[Box]], layout: Layout) -> None:
    """Let each edge that leads back run straight, close to the right of all that it passes; the short ones inside."""
    returning = sorted((layout.routes[number] for number in layout.back), key=len)
    waiting = {bend.name for bends in returning for bend in bends}
    for bends in returning:
        waiting -= {bend.name for bend in bends}
        passed = [box for bend in bends for box in layers[bend.rank] if box not in bends and box.name not in waiting]
        right = max((box.x + box.width / 2 for box in passed), default=0.0)
        for bend in bends:
            bend.x = right + GAP_X / 2 + bend.width / 2


def _stack(layers: list[list[Box]], layout: Layout) -> None:
    """Give every layer its height and move everything into the positive quarter."""
    y = GAP_X
    for layer in layers:
        height = max((box.height for box in layer), default=0.0)
        for box in layer:
            box.y = y + height / 2
            box.height = box.height if box.lines else height  # a bend passes its layer straight, beside the boxes
        y += height + GAP_Y
    everything = [box for layer in layers for box in layer]
    left = min((box.x - box.width / 2 for box in everything), default=0.0)
    for box in everything:
        box.x += GAP_X - left
    layout.width = max((box.x + box.width / 2 for box in everything), default=0.0) + GAP_X
    layout.height = y - GAP_Y + GAP_X
