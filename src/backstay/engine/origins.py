"""Where what a run knows came from: each event, as it is applied, labels the values that it brings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from backstay import events as ev
from backstay.actions import Action
from backstay.events import Event
from backstay.governance.labels import PLANTED, SUSPECT, Labels
from backstay.governance.plans import PLAN, Plan
from backstay.language import Program
from backstay.store.payloads import from_outside
from backstay.types import Json

PLAIN: Final = re.compile("[A-Za-z_-]{1,24}")
"""A name that is a word or two; a longer one, or one with digits or signs, may be a message."""

BY_NAME: Final = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
"""Keywords of a schema whose members are schemas by name."""

WITHIN: Final = frozenset(
    "items prefixItems contains additionalProperties propertyNames anyOf oneOf allOf not if then else".split()
)
"""Keywords under which schemas stand."""

SILENT: Final = frozenset(
    "type required $ref minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength minItems maxItems "
    "minProperties maxProperties uniqueItems".split()
)
"""Keywords whose values tell a model nothing but the shape. Under any other its author writes what they like."""


class Origins:
    """The labels and the plan of one run."""

    def __init__(self) -> None:
        self.labels, self.plan = Labels(), Plan()

    def begin(self, started: ev.RunStarted, program: Program, actions: Mapping[str, Action[Any]]) -> None:
        """What the run was started with. actions: those that are deployed, by name."""
        self.labels.observe(started.input, untrusted=started.outside or (), spoken=True, wished=True)
        if program.agent:
            self.labels.observe(program.namespace["AGENT"]["system"], spoken=True)
            theirs = unreviewed(program, actions)
            for tool in theirs.values():  # it stands in the prompt, without anybody having asked for those words
                words = [tool["description"], *wording(tool["arguments"])]
                self.labels.observe(words, untrusted=True, asked_for=False)
            own = (tool for tool in program.interfaces.values() if tool.name not in theirs)
            self.labels.own.update(name.casefold() for tool in own for name in tool.parameters)
        self.plan.heard = started.heard or bool(started.outside)
        if started.plan is not None:
            self.plan.first = frozenset(started.plan)
        self.plan.withheld = frozenset(started.withheld or ())

    def take(self, event: Event, args: Json, action: Action[object] | None, agent: str) -> None:
        """What an event brings; args: of the call that it is about. action: what that calls, where it is known.

        A result that a person filled in is what the action would have given: they may have copied it from there.
        """
        if isinstance(event, ev.CallReturned) or (isinstance(event, ev.CallSettled) and event.outcome == "happened"):
            self._returned(event.result, args, action, agent)
        elif isinstance(event, ev.CallFailed):
            self._heard(event.fault.message, made=True)  # it may repeat what it was asked with
        elif isinstance(event, ev.SignalReceived):
            self._heard(event.payload)
        elif isinstance(event, ev.CallAsked):
            self.labels.observe(event.args, untrusted=True, made=True)
        elif isinstance(event, ev.TaskCompleted):
            self.labels.observe(event.value, spoken=True, wished=True)
        elif isinstance(event, ev.ChildEnded):
            self.labels.observe(event.result, untrusted=event.outside or ())
            self._heard(event.reason)
            self.plan.heard |= bool(event.outside)
        elif isinstance(event, ev.Noted) and agent and event.text == PLAN and isinstance(event.data, dict):
            self.plan.take(cast("dict[str, Json]", event.data).get("tools"))

    def _returned(self, result: Json, args: Json, action: Action[object] | None, agent: str) -> None:
        wrote = action is None or action.untrusted or from_outside(result, action.interface["result"])
        asks_model = action is not None and action.derived
        echoes = () if asks_model else self.labels.suspects(args)
        asked_for = asks_model or self.labels.names(args)
        self.labels.observe(
            result, untrusted=wrote, made=asks_model, asked_for=asked_for, echoes=echoes,
            record=bool(agent) and not asks_model,
        )  # fmt: skip
        self.plan.heard |= bool(wrote) and not asks_model

    def _heard(self, text: Json, made: bool = False) -> None:
        self.labels.observe(text, untrusted=True, made=made)
        self.plan.heard |= bool(text)


def unreviewed(program: Program, actions: Mapping[str, Action[Any]]) -> dict[str, Json]:
    """The tools that an agent is told of in words of outsiders which nobody has looked at, or no more since they changed."""
    outside = {name: found for name in program.interfaces
               if (found := actions.get(name)) is not None and found.reviewed is not None}  # fmt: skip
    told = json.loads(program.namespace["AGENT"]["tools"]) if outside else []
    return {tool["name"]: tool for tool in told if tool["name"] in outside and not _seen(tool, outside[tool["name"]])}


def _seen(told: dict[str, Json], action: Action[Any]) -> bool:
    """Whether somebody looked at a tool in just these words."""
    now = action.described, action.told_schema
    return bool(action.reviewed) and (told["description"], told["arguments"]) == now


def wording(schema: Json) -> Iterator[Json]:
    """The words and values in a schema, without its shape, and without names that are plain words."""
    for part in schema if isinstance(schema, list) else [schema]:
        for word, value in part.items() if isinstance(part, dict) else ():
            if word in BY_NAME and isinstance(value, dict):
                yield from (name for name in value if not PLAIN.fullmatch(name))
                yield from wording(list(value.values()))
            elif word in WITHIN:
                yield from wording(value)
            elif word not in SILENT:
                yield value


def where_from(input_: Json, schema: Json, labels: Labels | None) -> dict[str, str]:
    """Of the parts of an input that nobody may trust, where they stand, and what they are.

    labels: what the run that gives the input knows; None where somebody outside gives it.
    """
    said = dict.fromkeys(from_outside(input_, schema), SUSPECT if labels is not None else PLANTED)
    return {**said, **(labels.pointers(input_, _members(schema)) if labels is not None else {})}


def _members(schema: Json) -> set[str]:
    """The names of members that a schema gives."""
    found = set[str]()
    if isinstance(schema, dict):
        named = schema.get("properties")
        found.update(name.casefold() for name in (named if isinstance(named, dict) else ()))
        schema = list(schema.values())
    for item in schema if isinstance(schema, list) else ():
        found |= _members(item)
    return found
