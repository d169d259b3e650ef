"""What a model answered, made safe to go on with: bounded, with values for pseudonyms, checked against what was offered.

A model may answer anything. None of it may fail the run: what cannot be carried out becomes the problem of its call, in words
that the model can act on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from backstay.ai.providers import Asked
from backstay.ai.transcripts import Reply, ToolCall
from backstay.canonical import json_text
from backstay.errors import InvalidInput
from backstay.types import CUT, Json, Mask, journalable

CALLS: Final = 50
"""A reply may ask for so many calls."""

TEXT: Final = 200_000
"""So many characters of a reply are kept."""

ARGUMENTS: Final = 100_000
"""So many characters the arguments of one call may have, as JSON."""

DEPTH: Final = 50
"""So deep they may be nested."""

NAME: Final = 200
"""So many characters of a call's id, and of the tool that it names."""

PROBLEM: Final = 500
"""So many characters about each thing that is wrong with a call."""


def heard(reply: Reply, asked: Asked, mask: Mask) -> Reply:
    """The reply to a request as the run may take it in."""
    calls = [_checked(_bounded(call), asked, mask) for call in reply.calls[:CALLS]]
    if more := reply.calls[CALLS:]:
        problem = f"one reply may ask for {CALLS} calls; this one and {len(more) - 1} after it were not looked at"
        calls.append(_bounded(ToolCall(id=more[0].id, tool=more[0].tool, problem=problem)))
    return reply.model_copy(update={"text": mask.show(_short(reply.text, TEXT)), "calls": _told_apart(calls, asked)})


def _bounded(call: ToolCall) -> ToolCall:
    """The call without arguments that nobody should have to carry on."""
    problem = call.problem or _excess(call.args)
    return ToolCall(
        id=_plain(call.id)[:NAME], tool=_short(call.tool, NAME), args={} if problem else call.args,
        problem=_short(problem, PROBLEM),
    )  # fmt: skip


def _excess(args: dict[str, Json]) -> str:
    """What makes arguments too much, or nothing that a journal can keep."""
    level: list[Json] = [args]
    for _ in range(DEPTH):
        inner = [item for part in level for item in (part.values() if isinstance(part, dict) else part)]
        level = [item for item in inner if isinstance(item, dict | list)]
    if level:
        return f"the arguments are nested deeper than {DEPTH}"
    try:
        size = len(json_text(journalable(args, "the arguments")))
    except InvalidInput as error:
        return str(error)
    return f"the arguments are {size} characters of JSON, and may be {ARGUMENTS}" if size > ARGUMENTS else ""


def _told_apart(calls: Sequence[ToolCall], asked: Asked) -> list[ToolCall]:
    """The calls, each with an id of its own: it pairs a call with its answer."""
    taken = {call.id for message in asked.messages for call in message.calls}
    named: list[ToolCall] = []
    for number, call in enumerate(calls):
        name = call.id or "call"
        while not call.id or name in taken:
            name = f"{name}-{len(asked.messages)}-{number}"
            call = call.model_copy(update={"id": name})
        taken.add(name)
        named.append(call)
    return named


def _plain(text: str) -> str:
    """Text without halves of surrogate pairs, which no journal can keep."""
    return text.encode("utf-8", "replace").decode()


def _short(text: str, longest: int) -> str:
    text = _plain(text)
    return text if len(text) <= longest else f"{text[:longest]}{CUT}"


# --- against the schema ---------------------------------------------------------------------------------


def _checked(call: ToolCall, asked: Asked, mask: Mask) -> ToolCall:
    """The call with values for pseudonyms, and with what is wrong with these; the words hide what is private."""
    if call.problem:
        return call
    schema = asked.offered.get(call.tool)
    if schema is None:
        problem = f"there is no tool {call.tool!r}; there are {', '.join(asked.offered)}"
        return call.model_copy(update={"args": mask.show(call.args), "problem": problem})
    args = mask.show(call.args)
    errors = list(_validator(json.dumps(schema, sort_keys=True)).iter_errors(args))
    problem = "; ".join(_short(_words(error, mask), PROBLEM) for error in errors[:10])
    return call.model_copy(update={"args": args, "problem": problem})


def _words(error: Any, mask: Mask) -> str:
    """What is wrong at one place."""
    place, value = "/".join(map(str, error.instance_path)) or "arguments", error.instance
    if not isinstance(value, dict | list) and mask.hide(value) != value:
        return str(mask.hide(f"{place}: this private value does not fit {str(error.schema_path[-1])!r}"))
    return str(mask.hide(f"{place}: {error.message}"))


@lru_cache(maxsize=1000)
def _validator(schema: str) -> Any:
    import jsonschema_rs

    return jsonschema_rs.validator_for(json.loads(schema))
