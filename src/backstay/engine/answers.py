"""What a loop outside is told of its calls, and what it is about: the values that a session takes and gives."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from backstay.canonical import json_text
from backstay.types import Json

if TYPE_CHECKING:
    from backstay.engine.sessions import Session

TRIGGER: Final = "session"
"""What started the run of a session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The tool was used."""

    id: str
    value: Json

    @property
    def observation(self) -> str:
        """What a claim names as its source."""
        return f"o{self.id.rpartition('.')[2]}"

    @property
    def text(self) -> str:
        """What a model is told."""
        return self.value if isinstance(self.value, str) else json_text(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The tool was not used, or it failed."""

    id: str
    kind: str
    """"ActionDenied": the gate or a person said no. "ActionDrafted": it was written down and not done. "ActionFailed",
    "ChildFailed": it was tried in vain. "BudgetCrossed": the session has used up its calls."""
    reason: str

    @property
    def text(self) -> str:
        """What a model is told."""
        return f"It did not work: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A person must do something first, or it takes longer than the caller wants to wait. Await it for how that ended."""

    id: str
    reason: str
    queue: str
    """Whose turn it is; "" when it is nobody's and the tool is just slow."""
    session: Session

    @property
    def text(self) -> str:
        """What a model is told."""
        why = f"this waits for a person of {self.queue!r} ({self.reason})" if self.queue else self.reason
        return f"Not done yet: {why}. Go on with something else, or finish."

    def __await__(self) -> Generator[Any, Any, Returned | Refused]:
        return self.session.settled(self.id).__await__()


ToolAnswer: TypeAlias = Returned | Refused | Proposed


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A call as it was asked for."""

    id: str
    tool: str
    args: Json
    key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What a session is about."""

    goal: str
    input: Any
    acting_for: str | None
    key: str | None
    plan: list[str] | None
