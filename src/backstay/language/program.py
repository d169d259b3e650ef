"""Compiles a stored definition to a program that can be driven. Nothing here imports the author's module."""

from __future__ import annotations

import ast
import builtins
import copy
import itertools
import linecache
import sys
import weakref
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter

from backstay.actions import bind
from backstay.commands import Call, Command, Start
from backstay.errors import WorkflowRefused
from backstay.language import guards, tracker, weights
from backstay.language.checker import check
from backstay.language.closure import CLASS_KINDS, Closure, Interface, Item
from backstay.language.definitions import read_document
from backstay.language.fields import fields_of
from backstay.language.frozen import freeze
from backstay.language.instrument import Instrument, helper
from backstay.language.library import LIBRARY
from backstay.language.sealing import Sealed
from backstay.language.signatures import Signature
from backstay.language.steps import Step, number_steps
from backstay.language.tracker import Point
from backstay.language.trees import FLAGS
from backstay.types import Json

HELPERS: Final[Mapping[str, Any]] = {
    **guards.RUNTIME,
    **{name: getattr(guards, name) for name in {*guards.OPERATORS.values(), *guards.IN_PLACE.values()}},
    "answered": guards.answered,
    "at": guards.at,
    "ask_rule": tracker.ask_rule,
    "ask_table": tracker.ask_table,
    "checked": guards.checked,
    "each": guards.each,
    "enter": tracker.enter,
    "formatted": guards.formatted,
    "freeze": freeze,
    "heavy": weights.heavy,
    "method": guards.method,
    "missing": tracker.MISSING,
    "raised": guards.raised,
    "read": guards.read,
    "tick": tracker.tick,
    "verdict": tracker.verdict,
    "walk": guards.walk,
    "weigh": weights.weigh,
    "weighty": weights.weighty,
    "within": weights.within,
    "write": guards.write,
    "AssertionError": AssertionError,
    "MemoryError": MemoryError,
    "RecursionError": RecursionError,
}
"""All that instrumented code may call besides what the author wrote."""

_serial: Final = itertools.count()
_BUILTINS: Final = {"__build_class__": builtins.__build_class__, "object": object}


class Stub:
    """An action, agent or workflow as a program sees it: calling it makes a command."""

    __slots__ = ("__name__", "action", "agent", "name", "parameters", "returns")

    def __init__(self, interface: Interface) -> None:
        self.__name__ = self.name = interface.name
        self.action, self.agent = interface.kind == "action", interface.kind == "agent"
        self.parameters = interface.parameters
        self.returns: Any = None

    def __call__(self, *args: Any, **named: Any) -> Command[Any]:
        if self.agent and "input" not in named and not args:  # a case, by its parts
            named = {"input": named}
        bound = bind(self.name, self.parameters, args, named) if args else named
        if self.action:
            return Call(self.name, bound, self.returns)
        return Start(self.name, bound, self.returns)


@dataclass(frozen=True, kw_only=True, eq=False)
class Program:
    """A definition that can be driven: `begin` gives a coroutine that yields commands."""

    name: str
    version: str
    text: str
    deadline: str | None
    agent: str
    """The agent whose loop this is; "" for a workflow of its own."""
    autonomy: str
    """How far that agent may go."""
    interfaces: Mapping[str, Interface]
    """By the callee's own name."""
    steps: Mapping[str, Step]
    """Every place that waits or decides, of the workflow and of its rules."""
    namespace: Mapping[str, Any]
    signature: Signature
    closure: Closure
    module: ModuleType
    """Keeps the stored classes reachable for pydantic as long as the program lives."""

    def __repr__(self) -> str:
        return f"<program {self.name}@{self.version[:8]}>"

    def begin(self, input: Json) -> Coroutine[Command[Any], Any, Any]:
        """Read the input into the definition's own types and make the coroutine; it has not run yet."""
        return self.signature.fn(**self.signature.read(f"input of workflow {self.name!r}", input))

    def write_result(self, value: Any) -> Json:
        """Validate a result and write it as JSON; raises InvalidInput naming each field that does not fit."""
        return self.signature.write_result(f"result of workflow {self.name!r}", value)

    @property
    def input_schema(self) -> dict[str, Json]:
        return self.signature.input_schema

    @property
    def result_schema(self) -> dict[str, Json]:
        return self.signature.result_schema

    def line_of(self, site: str) -> int | None:
        """The line of the author's file on which a step stands."""
        step = self.steps.get(site)
        return step.line if step is not None else None


def compile_definition(text: str, version: str | None = None) -> Program:
    """Compile a stored text; raises DefinitionMissing if it is not the version asked for, WorkflowRefused if it is unsafe."""
    closure, actual = read_document(text, version)
    diagnostics = check(closure, complete=True)
    if diagnostics:
        raise WorkflowRefused(diagnostics)
    return _Compiler(closure, actual, text).program()


class _Compiler:
    def __init__(self, closure: Closure, version: str, text: str) -> None:
        self.closure, self.version, self.text = closure, version, text
        self.module = ModuleType(f"backstay_definition_{version}_{next(_serial)}")
        self.steps: dict[str, Step] = {}
        self.points: list[Point] = []

    def program(self) -> Program:
        space = self.module.__dict__
        space["__builtins__"] = dict(_BUILTINS)
        space.update({helper(name): value for name, value in HELPERS.items()})
        space.update({written: LIBRARY[name].value for written, name in self.closure.library.items()})
        sys.modules[self.module.__name__] = self.module
        self._register_source()
        stubs = {written: Stub(interface) for written, interface in self.closure.interfaces.items()}
        space.update(stubs)
        sealed = Sealed(self.closure)
        for item in self.closure.items.values():
            self._define(item, sealed)
        fn = space[self.closure.root]
        self._finish(stubs)
        space.update(stubs)
        signature = Signature.of(fn)
        program = Program(
            name=self.closure.agent or self.closure.root,
            version=self.version,
            text=self.text,
            deadline=self.closure.deadline,
            agent=self.closure.agent,
            autonomy=space["AGENT"]["autonomy"] if self.closure.agent else "",
            interfaces=MappingProxyType({item.name: item for item in self.closure.interfaces.values()}),
            steps=MappingProxyType(self.steps),
            namespace=MappingProxyType(space),
            signature=signature,
            closure=self.closure,
            module=self.module,
        )
        weakref.finalize(program, _forget, self.module.__name__, self._files())
        return program

    def _define(self, item: Item, sealed: Sealed) -> None:
        """Instrument, compile and run one item in the program's module."""
        self.steps.update(number_steps(item, self.closure))
        own = replace(item)
        own.__dict__["tree"] = copy.deepcopy(item.tree)
        first = len(self.points)
        statement = Instrument(own, self.closure, self.steps, sealed, self.points).whole()
        for number, point in enumerate(self.points[first:], first):
            self.module.__dict__[f"__p{number}__"] = point
        tree = ast.fix_missing_locations(ast.Module(body=[statement], type_ignores=[]))
        ast.increment_lineno(tree, item.source.line - 1)
        code = compile(tree, self.file(item), "exec", flags=FLAGS, dont_inherit=True, optimize=0)
        exec(code, self.module.__dict__)
        for alias, name in self.closure.aliases.items():
            if name == item.name:
                self.module.__dict__[alias] = self.module.__dict__[name]

    def _finish(self, stubs: Mapping[str, Stub]) -> None:
        """Resolve what may refer to later definitions: fields of models, results of actions."""
        space = self.module.__dict__
        for name, item in self.closure.items.items():
            made = space[name]
            if item.kind in CLASS_KINDS and isinstance(made, type) and issubclass(made, BaseModel):
                made.model_rebuild(_types_namespace=space)
            if item.kind in CLASS_KINDS:
                setattr(made, guards.READABLE, fields_of(name, self.closure))
            if item.kind == "dataclass":
                _complete(made)
        for written, stub in stubs.items():
            returns = self.closure.interfaces[written].returns
            stub.returns = TypeAdapter(eval(returns, space)) if returns else None

    def file(self, item: Item) -> str:
        return f"{guards.STORED_FILE}{self.closure.root}@{self.version[:8]}/{item.source.file}>"

    def _files(self) -> tuple[str, ...]:
        return tuple({self.file(item): None for item in self.closure.items.values()})

    def _register_source(self) -> None:
        """Let tracebacks show the stored source at the lines of the author's file."""
        for file in self._files():
            items = [item for item in self.closure.items.values() if self.file(item) == file]
            lines = [""] * max(item.source.line + item.source.text.count("\n") for item in items)
            for item in items:
                for offset, line in enumerate(item.source.text.splitlines()):
                    lines[item.source.line - 1 + offset] = " " * item.source.indent + line
            linecache.cache[file] = (1, None, [line + "\n" for line in lines], file)


_GENERATED: Final = (
    "__init__", "__eq__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__", "__setattr__", "__delattr__",
)  # fmt: skip
_GENERATED_BUILTINS: Final = {
    "__builtins__": {"BaseException": BaseException, "NotImplemented": NotImplemented, "TypeError": TypeError}
    | {fn.__name__: fn for fn in (hash, object, super, type, getattr, isinstance, setattr, tuple)}
}


def _complete(kind: type) -> None:
    """Give the methods that @dataclass generated the built-ins they use, which no program can name."""
    for name in _GENERATED:
        made = vars(kind).get(name)
        if isinstance(made, FunctionType) and not guards.is_pure(made):
            own = FunctionType(made.__code__, _GENERATED_BUILTINS, name, made.__defaults__, made.__closure__)
            own.__kwdefaults__, own.__annotations__ = made.__kwdefaults__, made.__annotations__
            own.__qualname__ = made.__qualname__
            setattr(kind, name, own)


def _forget(module: str, files: tuple[str, ...]) -> None:
    sys.modules.pop(module, None)
    for file in files:
        linecache.cache.pop(file, None)
