"""What a waiting item is about, in a few words for lists; of what an agent wants, who it is and with which values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from backstay.cli.stores import about

if TYPE_CHECKING:
    from backstay.operations.items import Tally
    from backstay.store.database import Reader
    from backstay.store.views import Wait

LONG: Final = 60
"""Characters of a value that a list shows."""


def title_of(wait: Wait) -> str:
    """What is asked; a title that only repeats the kind says nothing."""
    from backstay.operations.wording import plain

    if wait.kind == "approval" and wait.subject:
        return wait.subject
    if wait.title in (wait.kind, ""):
        return wait.subject or f"a {wait.kind}; `show` has what it is about"
    return plain(wait.title, 90)


def titles_of(reader: Reader, waits: Sequence[Wait], tallies: Mapping[str, Tally]) -> dict[str, str]:
    """Item -> what set its run off, and what is asked."""
    words = {run: (about(reader, run), agent_of(reader, run)) for run in dict.fromkeys(wait.run for wait in waits)}
    found: dict[str, str] = {}
    for wait in waits:
        case, agent = words[wait.run]
        args = tallies[wait.id].args
        title = agent_title(wait, agent, args) if agent else " ".join([title_of(wait), *values_of(args)])
        found[wait.id] = " · ".join(filter(None, (case, title)))
    return found


def agent_title(wait: Wait, agent: str, args: Any = None) -> str:
    """What an agent wants: `resolver (agent): add_note number=7 text=late`."""
    return " ".join([f"{agent} (agent):", title_of(wait).removeprefix(f"{agent}: "), *values_of(args)])


def values_of(args: Any) -> list[str]:
    """With what a call would be made: `number=7`, `text=late`."""
    from backstay.operations.wording import plain

    given = cast("dict[str, Any]", args).items() if isinstance(args, dict) else ()
    return [f"{name}={plain(value, LONG)}" for name, value in given]


def agent_of(reader: Reader, run: str) -> str:
    """The agent whose run it is; "" for a workflow's, and where the definition is missing or damaged."""
    row = reader.one("run", (run,))
    stored = None if row is None else reader.one("definition", (row["version"],))
    try:
        document: Any = json.loads(stored["text"]) if stored is not None else None
    except ValueError:
        return ""
    return str(cast("dict[str, Any]", document).get("agent", "")) if isinstance(document, dict) else ""


def held_up_by(reader: Reader, run: str) -> Iterator[Wait]:
    """What waits for a person in a run, or in those that it started and waits for."""
    from backstay.store.views import read_wait

    for row in reader.all("waits_of_run", (run,)):
        wait = read_wait(row)
        if wait.queue:
            yield wait
        elif wait.kind == "child":
            yield from held_up_by(reader, wait.subject)
