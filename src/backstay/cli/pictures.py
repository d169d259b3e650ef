"""Pictures of workflows: as SVG or Mermaid, with the way that a run took."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from backstay.language import Program
    from backstay.store.database import Reader
    from backstay.store.views import Run, Stored

Format = Literal["svg", "mermaid"]


def way(stored: Sequence[Stored]) -> list[str]:
    """The step ids that a run went through, in order."""
    steps: list[str] = []
    for item in stored:
        steps += [str(entry.get("step", "")) for entry in getattr(item.event, "path", None) or ()]
        site = getattr(item.event, "site", "")
        if site and (not steps or steps[-1] != site):
            steps.append(site.split(".undo")[0])
    return steps


def draw(program: Program, form: Format, stored: Sequence[Stored] | None = None, finished: bool = False) -> str:
    """The flowchart as text of its format; with a journal, its way stands out."""
    from backstay.language.drawing import to_svg
    from backstay.language.mermaid import to_mermaid

    path = None if stored is None else way(stored)
    return (to_svg if form == "svg" else to_mermaid)(program, path, finished)


def write_picture(reader: Reader, row: Run, file: Path) -> Path | None:
    """Draw a run's way into a file; None when its definition is missing or the place cannot be written."""
    from backstay.cli.runs import program_of
    from backstay.store.views import read_events

    program = program_of(reader, row)
    if program is None:
        return None
    try:
        file.parent.mkdir(exist_ok=True)
        save(file, draw(program, "svg", read_events(reader, row.id), row.status == "finished"))
    except OSError:
        return None
    return file


def save(file: Path, text: str) -> None:
    """Write a file all at once."""
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_text(text, "utf-8")
    os.replace(fresh, file)
