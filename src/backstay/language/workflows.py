"""`@workflow`: an async function that has been proved replayable, with its signature as its contract."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Coroutine, Mapping
from functools import cached_property, update_wrapper
from typing import Any, ClassVar, Generic, Literal, ParamSpec, TypeVar, overload

from pydantic import BaseModel

from backstay.actions import bind
from backstay.canonical import digest
from backstay.commands import Start
from backstay.errors import WorkflowRefused
from backstay.language.checker import check
from backstay.language.collect import Scope, collect, scope_of
from backstay.language.definitions import Definition, define
from backstay.language.frozen import freeze
from backstay.language.program import Program, compile_definition
from backstay.language.rules import check_now, plain_function
from backstay.language.signatures import Signature
from backstay.types import Duration, Json, seconds

P = ParamSpec("P")
R = TypeVar("R")


class Workflow(Generic[P, R]):
    """A checked workflow. Calling it inside another workflow makes the command that starts it as a child."""

    language_kind: ClassVar[Literal["workflow", "agent"]] = "workflow"

    def __init__(self, fn: Callable[P, Coroutine[Any, Any, R]], scope: Scope, deadline: str | None) -> None:
        self.fn = fn
        self.name = fn.__name__
        self.scope = scope
        self.deadline = deadline
        update_wrapper(self, fn)

    def __call__(self, *args: P.args, **named: P.kwargs) -> Start[R]:
        return Start(
            workflow=self.name,
            args=bind(self.name, self.parameters, args, named),
            returns=self._signature.returns,
        )

    def __repr__(self) -> str:
        return f"<workflow {self.name}>"

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.fn).parameters)

    @cached_property
    def _signature(self) -> Signature:
        return Signature.of(self.fn, self.scope.near)

    @cached_property
    def program(self) -> Program:
        """The definition, compiled from its text as every worker does it; refuses what only shows when it runs."""
        closure = collect(self.fn, self.name, "workflow", self.scope, self.deadline)
        diagnostics = check(closure, complete=True)
        if diagnostics:
            raise WorkflowRefused(diagnostics)
        program = compile_definition(define(closure).text)
        stale = [name for name, value in closure.values.items() if program.namespace[name] != freeze(value)]
        if stale:
            items = [closure.items[name] for name in stale]
            raise WorkflowRefused([item.place.refuse("B413", item.tree, item.name) for item in items])
        return program

    @cached_property
    def definition(self) -> Definition:
        """The closed, content-hashed form; raises WorkflowRefused when a name is still not defined."""
        return Definition(name=self.name, version=self.program.version, text=self.program.text)

    def write_input(self, args: tuple[Any, ...] = (), named: Mapping[str, Any] | None = None) -> dict[str, Json]:
        """Validate input and write it as JSON; raises InvalidInput naming each field that does not fit."""
        return self._signature.write(f"input of workflow {self.name!r}", self.parameters, args, named or {})

    @cached_property
    def input_schema(self) -> dict[str, Json]:
        return self._signature.input_schema

    @property
    def told_schema(self) -> dict[str, Json]:
        """The input's JSON Schema with its prose, for whoever must be told of it."""
        return self._signature.model.model_json_schema()

    @cached_property
    def result_schema(self) -> dict[str, Json]:
        return self._signature.result_schema

    @cached_property
    def attended(self) -> Workflow[..., Any] | None:
        """Of an agent, the same with a loop outside in place of its own."""
        return None

    @cached_property
    def finish(self) -> type[BaseModel]:
        """Of an agent, what it ends with."""
        return BaseModel

    @cached_property
    def told_tools(self) -> list[dict[str, Json]]:
        """Of an agent, the tools as a model is told of them."""
        return []

    @cached_property
    def interface(self) -> Json:
        """What the definition of a caller pins."""
        return {
            "name": self.name,
            "kind": self.language_kind,
            "effect": "",
            "parameters": list(self.parameters),
            "arguments": self.input_schema,
            "result": self.result_schema,
        }

    @cached_property
    def interface_digest(self) -> str:
        return digest(self.interface)


@overload
def workflow(fn: Callable[P, Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...
@overload
def workflow(
    *, deadline: Duration | None = None
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Workflow[P, R]]: ...
def workflow(fn: Any = None, /, *, deadline: Duration | None = None) -> Any:
    """Check an async function now; raises WorkflowRefused with everything that is outside the language.

    deadline: how long a run may take from its start, for example "30d"; after it the run is ended.
    """
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage] - models may be local to the function that defines the workflow
    if fn is not None:
        return _declare(fn, None, scope_of(fn, frame))
    written = None if deadline is None else f"{seconds(deadline):g}s" if not isinstance(deadline, str) else deadline
    if written is not None:
        seconds(written)
    return lambda function: _declare(function, written, scope_of(function, frame))


def _declare(fn: Any, deadline: str | None, scope: Scope) -> Workflow[Any, Any]:
    fn = plain_function(fn, "workflow")
    check_now(fn, fn.__name__, "workflow", scope)
    return Workflow(fn, scope, deadline)
