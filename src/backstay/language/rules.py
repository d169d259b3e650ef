"""`@rule`: a named business rule, pure and synchronous, which shows in the picture and in the log."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar

from backstay.language.checker import check
from backstay.language.closure import ItemKind
from backstay.language.collect import Scope, collect, scope_of
from backstay.language.diagnostics import Diagnostic, refuse_at
from backstay.language.refusals import refuse

P = ParamSpec("P")
R = TypeVar("R")


class Rule(Generic[P, R]):
    """A checked rule. Called outside a workflow it simply runs, so that it can be tested like any function."""

    language_kind: ClassVar = "rule"

    def __init__(self, fn: Callable[P, R], scope: Scope) -> None:
        self.fn = fn
        self.name = fn.__name__
        self.scope = scope
        update_wrapper(self, fn)

    def __call__(self, *args: P.args, **named: P.kwargs) -> R:
        return self.fn(*args, **named)

    def __repr__(self) -> str:
        return f"<rule {self.name}>"

    def refusals(self) -> list[Diagnostic]:
        """Everything that is still outside the language, undefined names included."""
        return check(collect(self.fn, self.name, "rule", self.scope), complete=True)


def rule(fn: Callable[P, R]) -> Rule[P, R]:
    """Check a pure function now; raises WorkflowRefused with everything that is outside the language."""
    fn = plain_function(fn, "rule")
    checked = Rule(fn, scope_of(fn, sys._getframe(1)))  # pyright: ignore[reportPrivateUsage] - classes may be local
    check_now(fn, checked.name, "rule", checked.scope)
    return checked


def check_now(fn: Any, name: str, kind: ItemKind, scope: Scope) -> None:
    """Refuse what can be refused already; names that are not defined yet are left for later."""
    refuse(check(collect(fn, name, kind, scope)))


def plain_function(fn: Callable[P, R], decorator: str) -> Callable[P, R]:
    """The function below other decorators, which the checker will refuse by name; refuse what has no code of its own."""
    found = inspect.unwrap(fn)
    if not hasattr(found, "__code__"):
        refuse([refuse_at("B124", "<unknown>", 1, f"@{decorator}", getattr(fn, "__name__", repr(fn)))])
    return found
