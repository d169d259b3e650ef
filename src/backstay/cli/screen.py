"""What commands print: readable on a terminal, plain when piped, one JSON value with --json.

Text from outside (file names, titles, reasons) may hold anything: control characters are taken out where a console
draws, so that no file name moves the cursor or forges a line. JSON keeps them.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

PIPED_WIDTH = 160

CONTROLS: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Characters that steer a terminal or turn the reading direction; a line feed is the layout's own."""

COMMAND: Final = re.compile(r"(^ *|`)backstay (?=[a-z])", re.MULTILINE)
"""A command that a text tells somebody to type."""


@cache
def consoles() -> dict[str, Console]:
    """One console per stream, made when the first line is printed."""
    from rich.console import Console
    from rich.segment import Segment

    class Plain(Console):
        """A console that draws no control characters of the text, and no blanks at the end of a piped line."""

        def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
            for part in super().render(renderable, options):
                yield part if part.control else Segment(CONTROLS.sub("", part.text), part.style)

        def print(self, *objects: Any, **options: Any) -> None:
            if self.is_terminal:
                super().print(*objects, **options)
                return
            with self.capture() as captured:
                super().print(*objects, **options)
            self.file.write("".join(f"{line.rstrip(' ')}\n" for line in captured.get().split("\n")[:-1]))
            self.file.flush()

    def make(stream: Any) -> Console:
        width = None if stream.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
        return Plain(file=stream, width=width, highlight=False, soft_wrap=False)

    return {"out": make(sys.stdout), "err": make(sys.stderr)}


def out() -> Console:
    return consoles()["out"]


def err() -> Console:
    return consoles()["err"]


@cache
def typed() -> str:
    """What to type for `backstay` in this shell: the script may be there for `uv run` only, or not be on the path."""
    if "UV_RUN_RECURSION_DEPTH" in os.environ:
        return "uv run backstay"
    if shutil.which("backstay") is not None:
        return "backstay"
    return shlex.quote(sys.argv[0]) if Path(sys.argv[0]).stem == "backstay" else "uv run backstay"


def commands(text: str) -> str:
    """A text for people, with the commands that it names as they can be typed here."""
    return COMMAND.sub(lambda found: f"{found[1]}{typed()} ", text)


def at_home(home: Path) -> str:
    """The option that leads a printed command to this store; nothing for the usual place."""
    return "" if home == Path(".backstay") else f" --home {shlex.quote(str(home))}"


def one_line(text: str) -> str:
    """Text from outside on one line, so that it cannot look like a line of ours."""
    return CONTROLS.sub("", text.replace("\n", " ").replace("\t", " "))


def say(text: str = "", style: str = "") -> None:
    """One line of text for people; `text` is never read as markup."""
    from rich.text import Text

    out().print(Text(commands(one_line(text)), style=style))


def hint(text: str) -> None:
    """What to do next, said quietly."""
    from rich.text import Text

    typed_line = text.startswith("  ")  # one to be copied, so it is not broken
    out().print(Text(commands(one_line(text)), style="dim"), soft_wrap=typed_line)


def show_json(value: Any) -> None:
    """The one JSON value of a command, on standard output."""
    json.dump(as_json(value), sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def as_json(value: Any) -> Any:
    """Frozen values of the store as JSON."""
    if (names := _fields_of(value)) is not None:
        shown = {name: as_json(getattr(value, name)) for name in names}
        named = getattr(type(value), "id", None)  # an item's id is made of its run and command
        return {"id": named.fget(value), **shown} if isinstance(named, property) and named.fget else shown
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - any JSON
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - any JSON
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, datetime) else value


def _fields_of(value: Any) -> Sequence[str] | None:
    """The names of a named tuple's or a dataclass' fields."""
    if is_dataclass(value) and not isinstance(value, type):
        return [field.name for field in fields(value)]
    return getattr(value, "_fields", None) if isinstance(value, tuple) else None


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
        made.add_row(*[Text(one_line(str(cell))) if not isinstance(cell, Text) else _flat(cell) for cell in row])
    out().print(made)


def _flat(text: Text) -> Text:
    """A styled cell on one line."""
    if "\n" in text.plain:
        text.plain = text.plain.replace("\n", " ")
    return text


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
