"""Evaluators: each looks at what a case came to, and says what is not as expected. One table holds them all."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from backstay.canonical import json_text
from backstay.errors import AuthorError, NotFound
from backstay.operations.datasets import Case, Expected, Most, Use
from backstay.operations.trajectory import Missed, Trajectory
from backstay.types import Json

Function: TypeAlias = Callable[[Case, Trajectory], object]
"""An evaluator of the author's: True or None is well, False is not, and text says what is not."""

SUCCESS: Final = ("goal-met", "finished")
"""How an agent and a workflow end well."""


class _Missing:
    """What a path leads to where there is nothing."""

    def __repr__(self) -> str:
        return "missing"


def judge(case: Case, trajectory: Trajectory, functions: Mapping[str, Function]) -> list[str]:
    """What is not as expected; nothing when all is."""
    expected: Expected = case.expect
    asked = expected.model_fields_set | {"reason"}
    wrong = [
        f"{name}: {why}"
        for name, evaluate in EVALUATORS.items()
        if name in asked
        for why in evaluate(getattr(expected, name), trajectory)
    ]
    return [
        *wrong,
        *(f"{name}: {why}" for name in expected.functions for why in _asked(functions[name], case, trajectory)),
    ]


# --- how it went ---------------------------------------------------------------------------------------------


def _reason(wanted: str, found: Trajectory) -> Iterator[str]:
    if found.reason not in ((wanted,) if wanted else SUCCESS):
        more = f" ({found.why})" if found.why else ""
        yield f"it is {found.reason}{more}, not {wanted or ' or '.join(SUCCESS)}"


def _called(wanted: Sequence[Use], found: Trajectory) -> Iterator[str]:
    for use in wanted:
        yield from _why(lambda use=use: found.called(use.tool, **use.args))


def _not_called(unwanted: Sequence[Use], found: Trajectory) -> Iterator[str]:
    for use in unwanted:
        yield from _why(lambda use=use: found.not_called(use.tool, **use.args))


def _before(pairs: Sequence[tuple[str, str]], found: Trajectory) -> Iterator[str]:
    for first, then in pairs:
        yield from _why(lambda first=first, then=then: found.before(first, then))


def _at_most(most: Mapping[str, int], found: Trajectory) -> Iterator[str]:
    for tool, number in most.items():
        yield from _why(lambda tool=tool, number=number: found.at_most(number, tool))


def _limits(most: Most, found: Trajectory) -> Iterator[str]:
    yield from _why(lambda: found.within(**dict(most)))


def _why(assertion: Callable[[], object]) -> Iterator[str]:
    try:
        assertion()
    except Missed as missed:
        yield missed.why


# --- what it came back with ----------------------------------------------------------------------------------


def _exact(wanted: Json, found: Trajectory) -> Iterator[str]:
    if found.output != wanted:
        yield f"the output is {_text(found.output)}, not {_text(wanted)}"


def _fields(wanted: Mapping[str, Json], found: Trajectory) -> Iterator[str]:
    for path, value in wanted.items():
        there = _at(found.output, path)
        if there != value:
            yield f"{path} is {_text(there)}, not {_text(value)}"


def _contains(wanted: Mapping[str, str | list[str]], found: Trajectory) -> Iterator[str]:
    for path, parts in wanted.items():
        there = _at(found.output, path)
        for part in [parts] if isinstance(parts, str) else parts:
            if isinstance(there, str) and part.casefold() in there.casefold():
                continue
            if isinstance(there, list) and part in there:
                continue
            yield f"{path} is {_text(there)}, without {_text(part)}"


def _within(wanted: Mapping[str, tuple[Decimal, Decimal]], found: Trajectory) -> Iterator[str]:
    for path, (number, tolerance) in wanted.items():
        there = _at(found.output, path)
        value = _number(there)
        if value is None or abs(value - number) > tolerance:
            yield f"{path} is {_text(there)}, not {number:f} give or take {tolerance:f}"


EVALUATORS: Final[Mapping[str, Callable[[Any, Trajectory], Iterator[str]]]] = {
    "reason": _reason,
    "exact": _exact,
    "fields": _fields,
    "contains": _contains,
    "within": _within,
    "called": _called,
    "not_called": _not_called,
    "before": _before,
    "at_most": _at_most,
    "limits": _limits,
}
"""Field of `Expected` -> its evaluator, in the order in which they are asked; `functions` come last."""


def _at(output: Json, path: str) -> Any:
    """What a dotted path leads to in an output."""
    there: Any = output
    for name in path.split("."):
        if isinstance(there, dict) and name in there:
            there = cast("dict[str, Any]", there)[name]
        elif isinstance(there, list) and name.isdigit() and int(name) < len(cast("list[Any]", there)):
            there = cast("list[Any]", there)[int(name)]
        else:
            return _Missing()
    return there


def _number(value: Any) -> Decimal | None:
    """A number, or text that is one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _text(value: Any) -> str:
    return repr(value) if isinstance(value, _Missing) else json_text(value)


# --- functions of the author's -------------------------------------------------------------------------------


def read_functions(names: Sequence[str], folder: Path) -> dict[str, Function]:
    """The functions that a dataset names; raises NotFound, and AuthorError for a file that cannot be imported."""
    return {name: _read(name, folder) for name in dict.fromkeys(names)}


def _read(name: str, folder: Path) -> Function:
    file, _, function = name.rpartition(":")
    path = folder / file
    spec = importlib.util.spec_from_file_location(f"evaluators_{path.stem}", path) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise NotFound(f"functions: {name!r} names no Python file; write FILE.py:NAME, as seen from the dataset")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise AuthorError(f"{path.name} cannot be imported: {type(error).__name__}: {error}") from error
    found = getattr(module, function, None)
    if not callable(found):
        raise NotFound(f"functions: {path.name} has no function {function!r}")
    return cast("Function", found)


def _asked(function: Function, case: Case, trajectory: Trajectory) -> Iterator[str]:
    try:
        said = function(case, trajectory)
    except Missed as missed:
        said = missed.why
    except Exception as error:  # whatever is wrong with it must not pass for a good case
        said = f"{type(error).__name__}: {error}"
    if said is not None and said is not True and said != "":
        yield str(said) if isinstance(said, str) else "it says no"
