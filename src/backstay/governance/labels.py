"""Labels: where each value of a run came from, so that an outsider's text or a model never decides who or what.

Origins are found by matching literals. Trusted is what the author, an authenticated person, a workflow or a whole field
of a record says; everything that outsiders wrote or a model made is not, nor what workflow code cut out of it. The
pointers of what is not go along when one run starts another, and come back with its result.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from backstay.types import Json

CUT_OUT: Final = 4
"""Characters from which a text counts as cut out of an outsider's, or as holding a part of it."""
LONG: Final = 12
"""Characters from which a text is looked into, and not only compared."""


@dataclass(slots=True)
class Labels:
    """The literals a run has seen, by origin. A literal that trusted data holds too is trusted."""

    trusted: set[str] = field(default_factory=set)
    untrusted: set[str] = field(default_factory=set)
    spoken: list[str] = field(default_factory=list)
    """What people and authors said in longer texts: whole words in them are trusted."""
    outside: list[str] = field(default_factory=list)
    """Longer texts of outsiders and models."""
    planted: list[str] = field(default_factory=list)
    """Everything of outsiders that came without anybody having asked for just that."""

    def observe(
        self, value: Json, *, untrusted: bool | Collection[str] = False, spoken: bool = False, asked_for: bool = True
    ) -> None:  # fmt: skip
        """Remember every literal in a value.

        untrusted: all of it, or what stands at these JSON pointers and below. spoken: people said the rest. asked_for:
        False for what outsiders wrote and no person named.
        """
        roots = () if isinstance(untrusted, bool) else untrusted
        for pointer, text in leaves(value):
            if untrusted is True or _below(pointer, roots):
                self.untrusted.add(text)
                if not asked_for:
                    self.planted.append(text)
                if len(text) >= LONG:
                    self.outside.append(text)
            else:
                self.trusted.add(text)
                if spoken and len(text) >= LONG:
                    self.spoken.append(text)

    def suspects(self, value: Json) -> list[str]:
        """The literals in `value` that only outsiders or a model brought in."""
        return [text for _, text in leaves(value) if self._suspect(text)]

    def smuggled(self, value: Json) -> list[str]:
        """The suspect literals that stand in an outsider's text which no person named: nobody wanted these."""
        return [text for text in self.suspects(value) if any(text in other for other in self.planted)]

    def names(self, value: Json) -> bool:
        """Whether people or authors spoke of all that stands in `value`, and it is not nothing."""
        found = [text for _, text in leaves(value)]
        return bool(found) and all(any(_says(said, text) for said in self.spoken) for text in found)

    def pointers(self, value: Json) -> list[str]:
        """Where in `value` such literals stand."""
        return [pointer for pointer, text in leaves(value) if self._suspect(text)]

    def _suspect(self, text: str) -> bool:
        if text in self.trusted or any(_says(said, text) for said in self.spoken):
            return False
        if text in self.untrusted:
            return True
        if len(text) < CUT_OUT:
            return False
        return any(text in long for long in self.outside) or any(
            part in text for part in self.untrusted if len(part) >= CUT_OUT and part not in self.trusted
        )


def leaves(value: Json, pointer: str = "") -> Iterator[tuple[str, str]]:
    """All scalar leaves as folded text, with their JSON pointers; flags, nulls and single characters say nothing."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from leaves(item, f"{pointer}/{place}")
    elif value is not None and not isinstance(value, bool):
        text = " ".join(str(value).casefold().split())
        if len(text) > 1:
            yield pointer, text


def _below(pointer: str, roots: Collection[str]) -> bool:
    return any(pointer == root or pointer.startswith(f"{root}/") for root in roots)


def _says(said: str, text: str) -> bool:
    """Whether a text stands in what was said, as whole words."""
    place = said.find(text)
    while place >= 0:
        before, after = said[place - 1 : place], said[place + len(text) : place + len(text) + 1]
        if not (before.isalnum() or after.isalnum()):
            return True
        place = said.find(text, place + 1)
    return False
