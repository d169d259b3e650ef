"""Labels, first version: text that outsiders wrote must not decide who or what a call is about.

Origins are found by matching literals: a value that a run saw only in untrusted results is untrusted in an argument too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from backstay.types import Json


@dataclass(slots=True)
class Labels:
    """The literals a run has seen, by origin. A literal that trusted data holds too is trusted."""

    trusted: set[str] = field(default_factory=set)
    untrusted: set[str] = field(default_factory=set)

    def observe(self, value: Json, *, untrusted: bool) -> None:
        """Remember every literal in a value."""
        (self.untrusted if untrusted else self.trusted).update(literals(value))

    def suspects(self, value: Json) -> list[str]:
        """The literals in `value` that only untrusted text brought in."""
        return [text for text in literals(value) if text in self.untrusted and text not in self.trusted]


def literals(value: Json) -> list[str]:
    """All scalar leaves as folded text; flags, nulls and single characters say nothing about who or what."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in literals(item)]
    if isinstance(value, list):
        return [text for item in value for text in literals(item)]
    if value is None or isinstance(value, bool):
        return []
    text = " ".join(str(value).casefold().split())
    return [text] if len(text) > 1 else []
