"""Events as text and back: what stands in the journal's rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pydantic import TypeAdapter

from backstay import events as ev
from backstay.errors import InvalidInput

FROM_OUTSIDE: Final = frozenset(
    {
        ev.RunStarted, ev.CallAsked, ev.CancelRequested, ev.AttentionCleared, ev.CallRetried, ev.CallSettled, ev.ApprovalDecided,
        ev.TaskCompleted, ev.ItemClaimed, ev.ItemReleased, ev.ItemReassigned, ev.ItemAsked, ev.ItemAnswered, ev.ItemCommented, ev.VoteCast, ev.SignalReceived, ev.SystemRecorded, ev.ApprovalRequested,
        ev.TaskOpened, ev.WaitOpened, ev.ChildStarted, ev.Noted,
    }
)  # fmt: skip
"""Events whose fields callers or workflows fill in: read back before they are written, so that none can spoil a journal."""

_ADAPTERS: Final[dict[str, TypeAdapter[Any]]] = {}
_WRITERS: Final[dict[type[ev.Event], tuple[str, Callable[..., bytes]]]] = {}


def _adapter(kind: str) -> TypeAdapter[Any]:
    """Adapters cost milliseconds to build, so each is built when its kind is first met."""
    adapter = _ADAPTERS.get(kind)
    if adapter is None:
        adapter = _ADAPTERS[kind] = TypeAdapter(ev.EVENTS[kind])
    return adapter


def encode(event: ev.Event) -> tuple[str, str]:
    """Write an event as (kind, body); fields that hold their default are left out."""
    writer = _WRITERS.get(type(event))
    if writer is None:
        kind = ev.KINDS[type(event)]
        writer = _WRITERS[type(event)] = (kind, _adapter(kind).serializer.to_json)
    body = writer[1](event, exclude_defaults=True, warnings=False).decode()
    if type(event) in FROM_OUTSIDE:
        try:
            decode(writer[0], body)
        except ValueError as error:
            raise InvalidInput(f"{writer[0]} cannot be recorded as given: {error}") from None
    return writer[0], body


def decode(kind: str, body: str) -> ev.Event:
    """Read an event; raises ValueError for a kind or body that is not in the union."""
    if kind not in ev.EVENTS:
        raise ValueError(f"unknown event kind {kind!r}")
    return _adapter(kind).validate_json(body)
