"""What was done in the name of agents, as the journal has it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, cast

from backstay.events import Event, RunStarted
from backstay.language import Program, compile_definition
from backstay.store.database import Reader
from backstay.store.encoding import decode
from backstay.store.payloads import Payloads
from backstay.types import Effect

SLACK: Final = 1000
"""Events before the first that is late enough: those of one moment may be committed a little out of order."""


class Acted(NamedTuple):
    """One event of a run that acts for agents."""

    run: str
    agents: tuple[str, ...]
    """Those that led to it, and its own."""
    event: Event


def acted(
    reader: Reader, query: Literal["spent_after", "conduct_after"], since: str, payloads: Payloads
) -> Iterator[Acted]:
    """What calls used up, or what was proposed, decided and done, since a moment; oldest first, large values restored."""
    began: dict[str, tuple[str, ...]] = {}
    for row in reader.all(query, (position_of(reader, since),)):
        event = decode(row["kind"], row["body"])
        if event.at < since:
            continue
        if row["run"] not in began:
            started = decode("run_started", row["began"])
            led = [name for name, _ in started.acting or ()] if isinstance(started, RunStarted) else []
            began[row["run"]] = tuple(dict.fromkeys([*led, *([row["agent"]] if row["agent"] else ())]))
        yield Acted(row["run"], began[row["run"]], payloads.restore(event, {}, []))


def newest(reader: Reader) -> list[Program]:
    """The newest definition of each workflow and agent that the store holds."""
    versions = {row["name"]: row["version"] for row in reader.all("definitions")}.values()
    return [compile_definition(str(reader.value("definition_text", (version,))), version) for version in versions]


def changes_of(*programs: Program) -> dict[str, Effect]:
    """The actions of workflows and agents that change something, with their effects."""
    listed = [each for program in programs for each in program.interfaces.values()]
    return {
        each.name: cast("Effect", each.effect) for each in listed if each.kind == "action" and each.effect != "read"
    }


def position_of(reader: Reader, moment: str) -> int:
    """Where the first event may stand that was recorded at a moment or after it."""
    last = int(reader.value("last_position"))
    found = bisect_left(
        range(1, last + 1), moment, key=lambda place: str(reader.value("moment_at", (place,)) or moment)
    )
    return max(1, found + 1 - SLACK)
