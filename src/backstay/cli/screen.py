"""What commands print: readable on a terminal, plain when piped, one JSON value with --json."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPED_WIDTH = 160


@cache
def consoles() -> dict[str, Console]:
    """One console per stream, made when the first line is printed."""
    from rich.console import Console

    def make(stream: Any) -> Console:
        width = None if stream.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
        return Console(file=stream, width=width, highlight=False, soft_wrap=False)

    return {"out": make(sys.stdout), "err": make(sys.stderr)}


def out() -> Console:
    return consoles()["out"]


def err() -> Console:
    return consoles()["err"]


def say(text: str = "", style: str = "") -> None:
    """One line of text for people; `text` is never read as markup."""
    from rich.text import Text

    out().print(Text(text, style=style))


def hint(text: str) -> None:
    """What to do next, said quietly."""
    say(text, "dim")


def show_json(value: Any) -> None:
    """The one JSON value of a command, on standard output."""
    json.dump(as_json(value), sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def as_json(value: Any) -> Any:
    """Frozen values of the store as JSON."""
    if is_dataclass(value) and not isinstance(value, type):
        shown = {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
        named = getattr(type(value), "id", None)  # an item's id is made of its run and command
        return {"id": named.fget(value), **shown} if isinstance(named, property) and named.fget else shown
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - any JSON
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - any JSON
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, datetime) else value


def table(*columns: str, flexible: str = "") -> Table:
    """A borderless table; the column named `flexible` gives way when the terminal is narrow."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=False)
    for column in columns:
        wraps = column == flexible
        made.add_column(
            column, overflow="ellipsis" if not wraps else "fold", no_wrap=not wraps, ratio=1 if wraps else None
        )
    return made


def rows(made: Table, found: Sequence[Sequence[Any]]) -> None:
    """Fill a table and print it; cells are plain text unless they are already rich."""
    from rich.text import Text

    for row in found:
        made.add_row(*[cell if isinstance(cell, Text) else Text(str(cell)) for cell in row])
    out().print(made)


STYLES = {
    "running": "cyan",
    "waiting": "yellow",
    "attention": "bold red",
    "finished": "green",
    "failed": "red",
    "cancelled": "dim",
}
"""How each status of a run looks."""


def status(value: str) -> Any:
    from rich.text import Text

    return Text(value, STYLES.get(value, ""))


def short(run: str) -> str:
    """The end of a run's id, which is enough to name it."""
    return run[-8:]


def ago(moment: str, now: datetime) -> str:
    """How long ago a recorded moment was, or how long until it comes."""
    from backstay.operations.wording import lasting

    seconds = (now - datetime.fromisoformat(moment)).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"{lasting(seconds, 1)} ago" if seconds > 0 else f"in {lasting(-seconds, 1)}"
