"""A recorded case as a test: an agent or workflow as it is now, driven on what its model, tools and people said then.

The machinery is that of a what-if: nothing real is called, nothing is asked, and time is the recorded one. A model's
recorded replies are checked against the tools that there are now. What was not recorded ends the rerun.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backstay import events as ev
from backstay.ai.agents import Agent
from backstay.ai.asking import ask_model
from backstay.ai.providers import Asked as Question
from backstay.ai.replies import heard
from backstay.ai.transcripts import Reply
from backstay.canonical import json_text
from backstay.errors import AuthorError
from backstay.events import Event
from backstay.language import Program, Workflow
from backstay.operations.proof import read_program
from backstay.operations.recording import Asked, Case, Recording, conceal
from backstay.operations.sweep import STORE_FILE, load_case
from backstay.operations.trajectory import Trajectory, derive
from backstay.operations.whatif import WhatIf
from backstay.store.database import Reader
from backstay.store.payloads import Payloads
from backstay.store.views import find_run
from backstay.types import Json, Mask

WORDS = ("system", "messages", "tools")
"""What of a question its model reads."""


class NotRecorded(AssertionError):
    """The definition asks for something that the recorded case has no answer to."""


@dataclass(frozen=True, kw_only=True)
class RecordedCase:
    """A case of a store, to be driven again with a definition as it is now."""

    case: Case
    program: Program
    """The definition that it ran with."""

    def rerun(self, workflow: Workflow[..., Any]) -> Trajectory:
        """Drive what the case ran, as it is defined now; the same case and definition always give the same.

        Raises NotRecorded naming what has no recorded answer, JournalMismatch when the recorded input does not fit any more,
        AuthorError when it is another workflow than that of the case.
        """
        if workflow.name != self.case.workflow:
            raise AuthorError(f"the case is one of {self.case.workflow!r}, and cannot be rerun with {workflow.name!r}")
        recording = Recording(self.case, self.program)
        if isinstance(workflow, Agent):
            _hear_again(recording, str(workflow.settings["tools"]))
        attended = workflow.attended if recording.machine.serving is not None else None
        rerun = WhatIf(recording, (attended or workflow).program, {})
        trajectory = _trajectory(recording, rerun)
        if missing := list(_missing(recording, rerun)):
            lines = "".join(f"\n  {line}" for line in missing)
            raise NotRecorded(
                f"the recorded case {self.case.run} has no answer to what {workflow.name!r} asks now:{lines}\n{trajectory}"
            )
        return trajectory


def read_recorded(home: Path, run: str) -> RecordedCase:
    """A case of the store in `home`, by the id of its run or a part of it; raises NotFound, or Differs when it is damaged."""
    with closing(Reader(home / STORE_FILE)) as reader:
        row = find_run(reader, run)
        case = load_case(reader, Payloads(home, reader), row.id)
        return RecordedCase(case=case, program=read_program(reader, row.version))


def _hear_again(recording: Recording, tools: str) -> None:
    """Check the recorded replies against the tools that are offered now, as replies are when they come in."""
    offered = Question(system="", messages=[], tools=tools)
    for moves in recording.moves.values():
        for place, (key, event) in enumerate(moves):
            if isinstance(event, ev.CallReturned) and event.action == ask_model.name:
                reply = Reply.model_validate(event.result)
                checked = zip(reply.calls, heard(reply, offered, Mask({})).calls, strict=True)
                calls = [call if call.problem else now for call, now in checked]
                result = reply.model_copy(update={"calls": calls}).model_dump(mode="json")
                moves[place] = (key, replace(event, result=result))


def _trajectory(recording: Recording, rerun: WhatIf) -> Trajectory:
    def events_of(asked: Asked) -> list[Event]:
        old = rerun.claims[asked.id].old
        return [] if old is None else [event for _, event in recording.moves.get(old.id, ())]

    olds = ((asked, rerun.claims[asked.id].old) for asked in rerun.way.asked if asked.subject == ask_model.name)
    reworded = sum(old is not None and _worded(asked) != _worded(old) for asked, old in olds)
    return derive(
        rerun.way.asked, events_of, rerun.machine, recording.case.private, reworded=reworded,
    )  # fmt: skip


def _worded(asked: Asked) -> list[Json]:
    return [asked.content[name] for name in WORDS]


def _missing(recording: Recording, rerun: WhatIf) -> Iterator[str]:
    """What has no recorded answer, and what got the answer to another call."""
    unanswered, turn = {leaf.id: why for leaf, why in rerun.unanswered()}, 0
    private = {**recording.case.private, **rerun.machine.secrets}
    gone = recording.way.program.interfaces.keys() - rerun.way.program.interfaces.keys()
    for asked in rerun.way.asked:
        old = rerun.claims[asked.id].old
        if asked.subject == ask_model.name:
            turn += 1
            if asked.id in unanswered:
                yield f"turn {turn} of its model: {turn - 1} were recorded"
        elif asked.subject in gone:
            yield f"{_told(asked, private)}: there is no such tool any more"
        elif asked.id in unanswered:
            yield f"{_told(asked, private)}: {unanswered[asked.id]}"
        elif old is not None and asked.kind in ("call", "start") and old.text != asked.text:
            yield f"{_told(asked, private)}: recorded was {_told(old, private)}"


def _told(asked: Asked, private: dict[str, str]) -> str:
    content = "" if asked.content is None else f" {json_text(conceal(asked.content, private))}"
    return f"{asked.kind} {asked.subject}{content}"
