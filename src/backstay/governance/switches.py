"""The kill switch: what is off, by action, effect class, workflow or everything. Reading always goes on."""

from __future__ import annotations

from backstay.errors import InvalidInput
from backstay.types import Effect

SCOPES = ("all", "action:NAME", "effect:write", "effect:irreversible", "workflow:NAME")
"""What a switch may name."""


def check_flip(scope: object, off: object, reason: object) -> None:
    """Raise InvalidInput for a flip of the wrong types: `off="false"` must not mean off."""
    for name, value, shape, word in (
        ("scope", scope, str, "text"),
        ("off", off, bool, "true or false"),
        ("reason", reason, str, "text"),
    ):
        if not isinstance(value, shape):
            raise InvalidInput(f"a switch's {name} must be {word}, not {value!r}", {name: f"must be {word}"})


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
