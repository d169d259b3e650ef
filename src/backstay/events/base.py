"""What every event is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar, dataclass_transform

from backstay.types import Json

SCHEMA: Final = 1
"""Version of this union, written into every `run_started`."""

R = TypeVar("R")

Trail: TypeAlias = list[dict[str, Json]]
"""Branches, rules and tables that were decided since the event before, with the values that decided them."""

Plan: TypeAlias = list[dict[str, str]]
"""What happens to an item that nobody acts on, in order: {"at": moment, "do": "remind" | "escalate" | "expire" | "close" | "decline", "to": queue}.
expire ends it after working time, which a question puts off; close at a fixed moment."""

Refs: TypeAlias = dict[str, str]
"""JSON pointer into the event -> where the value really lies: "seal:CLASS:TOKEN" or "blob:SHA256"."""


@dataclass_transform(frozen_default=True, kw_only_default=True)
def record(cls: type[R]) -> type[R]:
    """A frozen dataclass to whoever writes code against it: the type checker forbids assignments. Python's own check
    would cost an event more than writing it does."""
    return dataclass(slots=True, kw_only=True)(cls)


@record
class Event:
    """Base: when it was recorded, and by whom ("" is the run itself)."""

    at: str
    by: str = ""


@record
class Fault:
    """An error as data: class name, redacted message, and the workflow line it came from, if any."""

    type: str
    message: str
    line: int | None = None
