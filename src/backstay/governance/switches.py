"""The kill switch: what is off, by action, effect class, workflow or everything. Reading always goes on."""

from __future__ import annotations

from backstay.errors import InvalidInput
from backstay.types import Effect

SCOPES = ("all", "action:NAME", "effect:write", "effect:irreversible", "workflow:NAME")
"""What a switch may name."""


class Switches:
    """The scopes that are off now, each with the reason it was flipped for."""

    def __init__(self) -> None:
        self.off: dict[str, str] = {}

    def flip(self, scope: str, *, off: bool, reason: str) -> None:
        """Turn a scope off or on again; raises InvalidInput for a scope that does not exist."""
        kind, _, name = scope.partition(":")
        if scope != "all" and not (kind in ("action", "workflow") and name) and scope not in SCOPES:
            raise InvalidInput(f"there is no switch {scope!r}; name one of {', '.join(SCOPES)}", {"scope": "unknown"})
        if off:
            self.off[scope] = reason
        else:
            self.off.pop(scope, None)

    def stops(self, *, action: str, effect: Effect, workflow: str) -> str | None:
        """The scope that stops such a call, or None."""
        if not self.off or effect == "read":
            return None
        for scope in ("all", f"effect:{effect}", f"action:{action}", f"workflow:{workflow}"):
            if scope in self.off:
                return scope
        return None
