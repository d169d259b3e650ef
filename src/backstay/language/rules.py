"""`@rule`: a named business rule, pure and synchronous, which shows in the picture and in the log."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar

from backstay.errors import WorkflowRefused
from backstay.language.checker import check
from backstay.language.closure import ItemKind
from backstay.language.collect import Scope, collect, scope_of
from backstay.language.diagnostics import refuse_at

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


def rule(fn: Callable[P, R]) -> Rule[P, R]:
    """Check a pure function now; raises WorkflowRefused with everything that is outside the language."""
    require_function(fn, "rule")
    checked = Rule(fn, scope_of(fn, sys._getframe(1)))  # pyright: ignore[reportPrivateUsage] - classes may be local
    check_now(fn, checked.name, "rule", checked.scope)
    return checked


def check_now(fn: Any, name: str, kind: ItemKind, scope: Scope) -> None:
    """Refuse what can be refused already; names that are not defined yet are left for later."""
    diagnostics = check(collect(fn, name, kind, scope))
    if diagnostics:
        raise WorkflowRefused(diagnostics)


def require_function(fn: Any, decorator: str) -> None:
    """Refuse what has no code of its own."""
    if not hasattr(fn, "__code__"):
        name = getattr(fn, "__name__", repr(fn))
        raise WorkflowRefused([refuse_at("B124", "<unknown>", 1, f"@{decorator}", name)])
