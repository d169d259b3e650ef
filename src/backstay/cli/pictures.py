"""Pictures of workflows: as SVG or Mermaid, with the way that a run took."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from backstay.language import Program
    from backstay.language.graph import Visit
    from backstay.store.database import Reader
    from backstay.store.views import Run, Stored

Format = Literal["svg", "mermaid"]


def way(stored: Sequence[Stored]) -> list[Visit]:
    """The steps that a run went through, in order, with what its decisions came to."""
    from backstay.language.graph import visit_of

    visits: list[Visit] = []
    for item in stored:
        visits += [visit_of(entry) for entry in getattr(item.event, "path", None) or ()]
        site = getattr(item.event, "site", "")
        if site and (not visits or visits[-1][0] != site):
            visits.append((site.split(".undo")[0], ""))
    return visits


def draw(program: Program, form: Format, stored: Sequence[Stored] | None = None, finished: bool = False) -> str:
    """The flowchart as text of its format, of an agent its tools; with a journal, its way stands out."""
    from backstay.language.drawing import draw_svg, to_svg
    from backstay.language.mermaid import to_mermaid, write_mermaid

    if program.agent:
        from backstay.operations.agent_picture import draw_agent

        graph, seen = draw_agent(program, None if stored is None else [item.event for item in stored])
        return (draw_svg if form == "svg" else write_mermaid)(graph, seen)
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
