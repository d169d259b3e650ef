"""The smallest driver that keeps the contract: answers from a list, remembers what was asked, decided and returned."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from backstay.commands import Approval, Call, Command, Draw, Gather, Race, Task, WaitFor, Winner
from backstay.errors import ActionFailed, BackstayError
from backstay.language import Program, Tracker, adapter, new_context
from backstay.language.text import error_text, written
from backstay.types import Json

Answer = Json
"""What the journal holds for one await: {"value": ...} or {"error": name of the action}."""


def describe(command: Command[Any]) -> Json:
    """A command as JSON, with everything that an engine would write."""
    children = [describe(child) for child in getattr(command, "children", ())]
    plain = {
        key: written(value)
        for key, value in vars(command).items()
        if key not in ("children", "returns", "form", "type")
    }
    return {"command": type(command).__name__, **plain, **({"children": children} if children else {})}


def read(command: Command[Any], value: Json) -> Any:
    """An answer in the program's own types."""
    match command:
        case Gather():
            return [read(child, item) for child, item in zip(command.children, value, strict=True)]
        case Race():
            return Winner(index=value[0], value=read(command.children[value[0]], value[1]))
        case Call():
            return adapter(command.returns).validate_python(value) if command.returns is not None else value
        case Approval():
            from_person = {"approved": value, "verdict": "approved" if value else "rejected", "by": "ann"}
            return adapter(_decision()).validate_python({**from_person, "at": "2026-01-02T03:04:05Z"})
        case Task() | WaitFor():
            return value
        case _:
            return value


def _decision() -> Any:
    from backstay.types import Decision

    return Decision


def make_up(command: Command[Any], dice: random.Random) -> Answer:
    """A random answer that fits the command."""
    if isinstance(command, Call) and dice.random() < 0.15:
        return {"error": command.action}
    return {"value": _value(command, dice)}


def _value(command: Command[Any], dice: random.Random) -> Json:
    match command:
        case Gather():
            return [_value(child, dice) for child in command.children]
        case Race():
            index = dice.randrange(len(command.children))
            return [index, _value(command.children[index], dice)]
        case Call(action="lookup"):
            return {
                "name": dice.choice(["ann", "bob", "zoë"]),
                "size": dice.randint(-3, 9),
                "price": f"{dice.randint(0, 999) / 100}",
            }
        case Call():
            return dice.randint(-5, 20)
        case Approval():
            return dice.random() < 0.5
        case Draw(kind="random"):
            return dice.random()
        case Draw():
            return f"drawn-{dice.randrange(1000)}"
        case _:
            return None


def run(program: Program, given: Json, answers: Callable[[Command[Any]], Answer | None]) -> tuple[str, list[Answer]]:
    """Drive a program until it ends or no answer is left; gives its whole behaviour as text, and the answers used."""
    tracker = Tracker()
    context = new_context(tracker)
    events: list[Json] = []
    used: list[Answer] = []
    coroutine = program.begin(given)
    step: Callable[[], Any] = lambda: context.run(coroutine.send, None)  # noqa: E731 - replaced in the loop
    while True:
        try:
            command = step()
        except StopIteration as stop:
            events += [{"trail": tracker.take()}, {"result": program.write_result(stop.value)}]
            break
        except Exception as error:
            events += [
                {"trail": tracker.take()},
                {"failed": type(error).__name__, "message": error_text(error)},
            ]
            break
        events += [
            {"trail": tracker.take()},
            {"asked": describe(command), "line": program.line_of(command.site)},
        ]
        answer = answers(command)
        if answer is None:
            coroutine.close()
            break
        used.append(answer)
        step = _next(context, coroutine, command, answer)
    return json.dumps(events, ensure_ascii=True), used


def _next(context: Any, coroutine: Any, command: Command[Any], answer: Answer) -> Callable[[], Any]:
    if "error" in answer:
        failure: BackstayError = ActionFailed(answer["error"], "Broken", "it broke", 3)
        return lambda: context.run(coroutine.throw, failure)
    value = read(command, answer["value"])
    return lambda: context.run(coroutine.send, value)
