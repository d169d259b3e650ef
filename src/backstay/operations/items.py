"""One waiting item as the person sees it who must deal with it: what is shown, why it waits, what the form asks for."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from backstay import events as ev
from backstay.events import Event
from backstay.language import Program
from backstay.operations.decisions import Decisions
from backstay.operations.forms import Field, fields_of
from backstay.operations.wording import moment, plain
from backstay.store.views import Wait
from backstay.types import Json

OPENING: Final = (ev.ApprovalRequested, ev.TaskOpened, ev.CallQueued, ev.CallUnknown, ev.CallIntended)
LONG: Final = 600
"""Characters of a value that the view of a single item shows."""

COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "approval": ("approve {item}", "reject {item} --reason TEXT"),
    "queued": ("retry {item}", "settle {item} --happened --result JSON", "settle {item} --give-up --reason TEXT"),
    "diverted": ("retry {item}", "settle {item} --give-up --reason TEXT"),
    "switched": ("switch", "switch SCOPE --on"),
    "unknown": (
        "settle {item} --happened --result JSON", "settle {item} --not-happened", "settle {item} --give-up --reason TEXT",
    ),
    "attention": ("retry {item}",),
}  # fmt: skip
"""What may be typed for each kind of item; a task's command is made of its form."""

LAST: Final = 3
"""Decisions before an item that are told with it; the log has the rest."""

ALL_OPTIONAL: Final = 2
"""Fields that the example of a form without required fields shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A waiting item with what its event says."""

    wait: Wait
    show: Json = None
    why: str = ""
    action: str = ""
    args: Json = None
    evidence: Json = None
    error: str = ""
    suggestion: str = ""
    title: str = ""
    decided: tuple[str, ...] = ()
    """The rules and branches that led here, in words."""
    form: Json = None
    """JSON Schema of the answer."""
    fields: tuple[Field, ...] = ()
    do: tuple[str, ...] = ()
    """Command lines, each after the program's name."""

    def as_json(self) -> dict[str, Json]:
        """What machines get besides the wait itself."""
        fields = [
            {"name": one.name, "type": one.type, "required": one.required, "allowed": list(one.allowed),
             "default": one.default, "about": one.about} | ({"variant": one.variant} if one.variant else {})
            for one in self.fields
        ]  # fmt: skip
        return {
            "show": self.show, "why": self.why, "action": self.action or None, "args": self.args,
            "decided": list(self.decided), "evidence": self.evidence, "error": self.error or None, "suggestion": self.suggestion or None,
            "form": self.form, "fields": fields, "do": [f"backstay {line}" for line in self.do],
        }  # fmt: skip

    def facts(self) -> Iterator[tuple[str, str]]:
        """Labels and values, in the order in which somebody decides."""
        if self.action:
            yield "action", self.action
        yield from _pairs(self.args)
        yield from _pairs(self.show)
        yield "why", self.why
        yield from (("decided", text) for text in self.decided)
        yield "evidence", plain(self.evidence, LONG) if self.evidence else ""
        yield from (("error", self.error), ("suggestion", self.suggestion))
        yield "due", moment(self.wait.due_at) if self.wait.due_at else ""
        yield "claimed by", self.wait.claimed_by or ""


def describe(wait: Wait, stored: Sequence[Event], short: str, program: Program | None = None) -> Item:
    """An item out of the event that opened it, the last one of its command. `short` is how its run may be named."""
    decisions = Decisions(program)
    own = [event for event in stored if getattr(event, "command", "") == wait.command]
    opened = next((event for event in reversed(own) if isinstance(event, OPENING)), None)
    called = next((event for event in reversed(own) if getattr(event, "args", None) is not None), opened)
    form = opened.form if isinstance(opened, ev.TaskOpened) else None
    fields, item = tuple(fields_of(form)), f"{short}/{wait.command}"
    lines = tuple(line.format(item=item) for line in COMMANDS.get(wait.kind, ()))
    fault: ev.Fault | None = getattr(opened, "fault", None)
    return Item(
        wait=wait,
        show=getattr(opened, "show", None),
        why=str(getattr(opened, "reason", "") or ""),
        action=str(getattr(opened, "action", "") or ""),
        args=getattr(called, "args", None),
        evidence=getattr(opened, "evidence", None),
        error=plain(f"{fault.type}: {fault.message}", LONG) if fault else "",
        suggestion=str(getattr(opened, "suggestion", "") or ""),
        title=str(getattr(opened, "title", "") or ""),
        decided=tuple(decisions.tell(told)[0] for told in decisions.fold(getattr(opened, "path", None) or ()))[-LAST:],
        form=form,
        fields=fields,
        do=tuple(_done(item, fields, form)) if wait.kind == "task" else lines,
    )


def _done(item: str, fields: Sequence[Field], form: Json) -> Iterator[str]:
    """The command that fills in a form: its required fields, else the first ones."""
    if form is None:
        yield f"done {item} --form comment=TEXT"
        return
    for variant in dict.fromkeys(field.variant for field in fields):
        own = [field for field in fields if field.variant == variant]
        needed = [field for field in own if field.required] or own[:ALL_OPTIONAL]
        yield " ".join([f"done {item}", *(f"--form {shlex.quote(f'{one.name}={_example(one)}')}" for one in needed)])


def _example(field: Field) -> str:
    if field.allowed:
        return "|".join(map(str, field.allowed))
    if field.type.startswith("list"):
        return "[...]"
    return "true|false" if field.type == "true or false" else field.type.partition(",")[0].upper().replace(" ", "-")


def _pairs(value: Json) -> list[tuple[str, str]]:
    """Labelled lines, those that somebody must not miss in whole."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return [(key, plain(item, LONG)) for key, item in items if item not in (None, "", [], {})]
    return [] if value in (None, "") else [("", plain(value, LONG))]
