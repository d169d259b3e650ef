"""How a divergence looks: the decision that came out another way, what follows from it, and the end, old beside new."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from backstay.cli import screen
from backstay.operations.divergence import Change, Divergence, Ending, Side
from backstay.operations.wording import plain
from backstay.store.views import Run
from backstay.types import Json

MARKS: Final[dict[str, tuple[str, str]]] = {
    "new": ("+", "green"),
    "changed": ("~", "yellow"),
    "again": ("+", "cyan"),
    "gone": ("-", "red"),
    "moved": ("~", "cyan"),
}
"""The sign and colour of each kind of change."""

WORDS: Final[dict[str, str]] = {
    "call": "calls",
    "undo": "undoes with",
    "start": "starts",
    "approval": "asks for a decision by",
    "task": "task for",
    "wait": "waits for",
    "sleep": "sleeps",
    "draw": "draws",
}
"""How each kind of command is told."""


def print_divergence(found: Divergence, row: Run) -> None:
    """One case, recorded and as it would have gone."""
    screen.say(f"run {row.id}  {found.workflow}  {found.old_version[:7]} → {found.new_version[:7]}", "dim")
    for item in found.touched:
        screen.say(f"{item.change:8}  {item.kind} {item.name}  {item.file}:{item.line}", "dim")
    screen.say()
    if found.same:
        screen.say(f"Nothing would have gone differently: {found.unchanged} commands as recorded.", "bold green")
        return
    screen.say("It would have gone differently.", "bold yellow")
    screen.say()
    out, made = screen.out(), two_columns()
    if found.turn is not None:
        for label, old, new in of_turn(found.turn.old, found.turn.new):
            made.add_row(Text(label, "dim"), Text(screen.one_line(old)), Text(screen.one_line(new)))
        made.add_row()
    for label, old, new in of_endings(found.old, found.new):
        made.add_row(Text(label, "dim"), Text(screen.one_line(old)), Text(screen.one_line(new)))
    out.print(made)
    screen.say()
    screen.say(f"= {found.unchanged} commands as recorded", "dim")
    for change in found.changes:
        print_change(change)
    if found.new.status == "unknown":
        screen.hint("`--assume NAME=JSON` says what the answer would be, and lets it go on.")


def two_columns() -> Table:
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    made.add_column("")
    made.add_column("as recorded", overflow="fold", ratio=1)
    made.add_column("with the change", overflow="fold", ratio=1)
    return made


def of_turn(old: Side | None, new: Side | None) -> Iterator[tuple[str, str, str]]:
    """The rows of a decision: what it came to, why, and where it stands."""
    yield "decision", old.words if old else "not asked", new.words if new else "not asked"
    details = [dict(_joined(side)) if side else {} for side in (old, new)]
    for label in dict.fromkeys((*details[0], *details[1])):
        yield label, details[0].get(label, ""), details[1].get(label, "")
    yield "source", _source(old), _source(new)


def _source(side: Side | None) -> str:
    return f"{side.file}:{side.line}  {side.source}" if side is not None else ""


def _joined(side: Side) -> Iterator[tuple[str, str]]:
    """Details by label; several of one label on one line."""
    for label in dict.fromkeys(label for label, _ in side.details):
        yield label, "; ".join(value for other, value in side.details if other == label)


def of_endings(old: Ending, new: Ending) -> Iterator[tuple[str, str, str]]:
    yield "ends", _status(old), _status(new)
    if old.result != new.result:
        yield "result", plain(old.result) if old.result else "", plain(new.result) if new.result else ""
    if old.reason != new.reason:
        yield "reason", old.reason, new.reason


def _status(ending: Ending) -> str:
    """How it stands, and for what it waits."""
    if ending.status == "unknown":
        return f"nobody knows: {', '.join(ending.waits)} was never answered"
    return f"{ending.status}{' for ' + ', '.join(ending.waits) if ending.waits else ''}"


def print_change(change: Change) -> None:
    """One command: its sign, what it is, where, and the values in which it differs."""
    sign, style = MARKS[change.what]
    line = change.new_line or change.old_line
    words = f"{WORDS.get(change.kind, change.kind)} {change.subject}".strip()
    told = Text.assemble(
        (f"{sign} ", style), screen.one_line(words), (f"  line {line}" if line else "", "dim"),
        (f"  {screen.one_line(change.note)}" if change.note else "", "dim"),
    )  # fmt: skip
    screen.out().print(told)
    for label, old, new in differing(change.old, change.new) if change.what == "changed" else ():
        screen.out().print(
            Text(screen.one_line(f"    {label}: {plain(old, 60)} → {plain(new, 60)}"), "dim"), soft_wrap=True
        )


def differing(old: Any, new: Any, label: str = "") -> Iterator[tuple[str, Json, Json]]:
    """The smallest parts of two JSON values that differ, by their path."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys((*old, *new)):
            yield from differing(old.get(name), new.get(name), f"{label}.{name}" if label else str(name))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differing(one, other, f"{label}[{place}]")
    elif old != new:
        yield label or "value", old, new
