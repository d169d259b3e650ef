"""Where refusals go: raised at once, or gathered while a whole file is being checked."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from backstay.errors import WorkflowRefused
from backstay.language.diagnostics import Diagnostic

_gathered: Final[ContextVar[list[Diagnostic] | None]] = ContextVar("gathered", default=None)


def refuse(diagnostics: Sequence[Diagnostic]) -> None:
    """Raise WorkflowRefused, unless somebody is gathering."""
    gathered = _gathered.get()
    if gathered is not None:
        gathered.extend(diagnostics)
    elif diagnostics:
        raise WorkflowRefused(diagnostics)


@contextmanager
def gathering() -> Generator[list[Diagnostic]]:
    """Collect refusals instead of raising them."""
    found: list[Diagnostic] = []
    token = _gathered.set(found)
    try:
        yield found
    finally:
        _gathered.reset(token)
