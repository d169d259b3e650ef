"""Datasets: files of cases with what is expected of them, as JSON Lines or YAML. Nothing in them is code but the names of
functions that judge.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import to_jsonable_python

from backstay.canonical import digest
from backstay.errors import AuthorError, InvalidInput, NotFound
from backstay.types import Json

EXAMPLE: Final = '{"id": "freight", "input": {"invoice": "7"}, "expect": {"fields": {"cause": "freight"}}}'
"""A case as somebody might begin."""


class Part(BaseModel):
    """A part of a dataset: unknown fields are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Use(Part):
    """A use of a tool, with these arguments among its own; a name alone means any arguments."""

    tool: str
    args: dict[str, Json] = {}


Used: TypeAlias = Annotated[Use, BeforeValidator(lambda given: {"tool": given} if isinstance(given, str) else given)]


class Answer(Use):
    """What a tool answers in a case, in place of what it would do; the first answer that fits counts."""

    result: Json = None
    error: str = ""
    """It fails with this message instead."""


class Most(Part):
    """What a case may use up."""

    steps: int | None = None
    tool_calls: int | None = None
    tokens: int | None = None
    usd: Decimal | None = None
    holds: int | None = None


class Expected(Part):
    """What is expected; each field is judged by the evaluator of its name, if it is given. Paths are dotted names."""

    reason: str = ""
    """Why it stops; "" is `goal-met` for an agent and `finished` for a workflow."""
    exact: Json = None
    """The whole output."""
    fields: dict[str, Json] = {}
    """Path in the output -> value."""
    contains: dict[str, str | list[str]] = {}
    """Path in the output -> words that stand in that text in upper or lower case, or entries of that list."""
    within: dict[str, tuple[Decimal, Decimal]] = {}
    """Path in the output -> a number, and how far from it the output's may be."""
    called: list[Used] = []
    not_called: list[Used] = []
    before: list[tuple[str, str]] = []
    """Pairs of tools, of which the first was answered before the second was asked."""
    at_most: dict[str, int] = {}
    """Tool -> how often it may be called."""
    limits: Most = Most()
    functions: list[str] = []
    """FILE.py:NAME, the file as seen from the dataset: functions of (case, trajectory) that say True, or what is wrong."""


class Case(Part):
    """One case."""

    id: str = Field(min_length=1)
    agent: str = ""
    """The agent or workflow; "" for the only agent of the application."""
    input: Json = None
    """What an agent is given; of a workflow, its arguments by name."""
    answers: list[Answer] = []
    people: Literal["nobody", "approve", "reject"] = "nobody"
    """What becomes of what is held for a person: it waits, or somebody approves or rejects all of it."""
    expect: Expected = Expected()

    @cached_property
    def digest(self) -> str:
        """What tells whether a case is still the same."""
        return digest(self.model_dump(mode="json", exclude_unset=True))[:16]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The cases of a file."""

    path: Path
    cases: tuple[Case, ...]

    @property
    def digest(self) -> str:
        """What tells whether it is still the same set of cases."""
        return digest([case.digest for case in self.cases])[:16]


def read_dataset(path: Path) -> Dataset:
    """The cases of a file; raises NotFound, and InvalidInput naming the line and the field that is wrong."""
    if not path.is_file():
        raise NotFound(f"there is no dataset {str(path)!r}; write one case a line, for example {EXAMPLE}")
    cases = tuple(_case(given, f"{path.name}, {place}") for place, given in _entries(path))
    if not cases:
        raise InvalidInput(
            f"{path.name} has no cases; write one a line, for example {EXAMPLE}", {"dataset": "is empty"}
        )
    names = [case.id for case in cases]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput(f"{path.name}: two cases are called {', '.join(twice)}", {"id": "is not unique"})
    return Dataset(path=path, cases=cases)


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Each case with the place where it stands."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"{path.name} is not UTF-8 text", {"dataset": "is no text"}) from None
    if path.suffix in (".yaml", ".yml"):
        yield from _of_yaml(path.name, text)
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except ValueError as error:
                raise InvalidInput(
                    f"{path.name}, line {number} is not JSON: {error}", {"dataset": "is no JSON"}
                ) from None


def _of_yaml(name: str, text: str) -> Iterator[tuple[str, Any]]:
    try:
        import yaml  # pyright: ignore[reportMissingModuleSource] - it is optional
    except ImportError:
        raise AuthorError(f"{name}: to read YAML, install backstay[yaml]; or write the cases as JSON Lines") from None
    try:
        given: Any = to_jsonable_python(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise InvalidInput(f"{name} is not YAML: {error}", {"dataset": "is no YAML"}) from None
    if not isinstance(given, list | None):
        raise InvalidInput(f"{name} must hold a list of cases", {"dataset": "is no list"})
    entries: Sequence[Any] = given or []
    yield from ((f"case {number}", entry) for number, entry in enumerate(entries, 1))


def _case(given: Any, where: str) -> Case:
    try:
        return Case.model_validate(given)
    except ValidationError as error:
        wrong = {".".join(map(str, one["loc"])) or "case": one["msg"] for one in error.errors()}
        listed = "; ".join(f"{name}: {why}" for name, why in wrong.items())
        raise InvalidInput(f"{where}: {listed}", wrong) from None
