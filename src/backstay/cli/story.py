"""How a case's log looks: a narrow margin of time and mark, the story beside it, values under it; plain when piped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from backstay.cli.screen import one_line
from backstay.operations.log import Line
from backstay.operations.wording import moment, plain, span
from backstay.store.views import ENDED, Run

MARKS: Final[dict[str, tuple[str, str]]] = {
    "start": ("▶", "bold cyan"),
    "decision": ("◇", "magenta"),
    "action": ("●", "green"),
    "retry": ("↻", "yellow"),
    "error": ("×", "red"),
    "problem": ("!", "bold red"),
    "asked": ("?", "bold yellow"),
    "answered": ("✓", "bold blue"),
    "rejected": ("✗", "bold blue"),
    "wait": ("…", "cyan"),
    "note": ("·", "dim"),
    "undo": ("↩", "yellow"),
    "end": ("■", "bold green"),
    "failed": ("■", "bold red"),
}
"""The sign and colour of each kind of line."""


NARROW: Final = 100
"""Columns up to which the margin has no room for a workflow's name."""


def heading(run: Run) -> Text:
    """What the case is, on two lines."""
    lasted = span(run.started_at, run.updated_at)
    state = f"{run.status} after {lasted}" if run.status in ENDED else f"{run.status} since {moment(run.updated_at)}"
    short = f": {run.summary}" if run.status == "finished" and run.summary else ""
    return Text.assemble(
        (one_line(run.workflow), "bold"), f"  {state}", (one_line(short), "bold red"), "\n",
        (f"run      {run.id}, version {run.version[:12]}\n", "dim"),
        (f"started  {moment(run.started_at)} by {one_line(run.requester)}", "dim"),
    )  # fmt: skip


def print_story(console: Console, run: Run, lines: Sequence[Line]) -> None:
    """The whole log of a case."""
    console.print(heading(run))
    day = ""
    for line in lines:
        if line.at[:10] != day:
            day = line.at[:10]
            console.print(Text(f"\n{moment(line.at)[:10]}", "bold"))
        console.print(drawn(line, console.width, wide=not console.is_terminal))


def drawn(line: Line, width: int, *, wide: bool = False) -> Group:
    """One line of the log with its values."""
    sign, style = MARKS[line.mark]
    person = "@" not in line.by
    who = line.by if person or (wide and width > NARROW) else f"@{line.version[:7]}"
    row = Table.grid(padding=(0, 1, 0, 0), expand=True)
    for _ in range(2):
        row.add_column(no_wrap=True)
    row.add_column(ratio=1, overflow="fold")
    row.add_column(justify="right", no_wrap=True, overflow="ellipsis", max_width=max(8, width // 3))
    words = Text(one_line(line.text), "bold" if line.mark in ("end", "failed", "asked", "problem") else "")
    margin = Text.assemble(("" if line.line is None else f"line {line.line}  ", "dim"))
    margin.append(one_line(who), "blue" if person else "dim")
    row.add_row(Text(moment(line.at, date=False), "dim"), Text(sign, style), words, margin)
    parts: list[Any] = [row]
    if line.details:
        parts.append(Padding(details(line.details), (0, 0, 0, 11)))
    return Group(*parts)


def details(pairs: Sequence[tuple[str, str]]) -> Table:
    """Labels and values in two columns."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(style="dim", no_wrap=True, max_width=24, overflow="ellipsis")
    grid.add_column(ratio=1, overflow="fold")
    for label, value in pairs:
        grid.add_row(Text(one_line(label)), Text(one_line(value), "bold" if label == "→" else ""))
    return grid


def brief(line: Line, run: str, width: int) -> Text:
    """A line of the log among those of other runs, as `dev` and `demo` print them."""
    sign, style = MARKS[line.mark]
    told = Text.assemble(
        (moment(line.at, date=False), "dim"), " ", (run[-8:], "cyan"), " ", (sign, style), " ", one_line(line.text),
    )  # fmt: skip
    values = ", ".join(f"{label} {value}".strip() for label, value in line.details if label not in ("key", "took"))
    if values:
        told.append(f"  {plain(values)}", "dim")
    if "@" not in line.by and line.mark in ("answered", "rejected"):
        told.append(f"  {one_line(line.by)}", "blue")
    told.truncate(width, overflow="ellipsis")
    return told


MARGIN: Final = 20
"""Columns before the words of such a line: its time, its run, its sign."""


def said(words: str, run: str) -> Text:
    """What a model is just saying, among such lines; nobody has recorded it yet, so it has no time."""
    return Text.assemble(" " * 9, (run[-8:], "cyan"), " ", ("›", "dim"), " ", (one_line(words), "dim italic"))
