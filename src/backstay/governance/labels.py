"""Labels: where each value of a run came from, so that an outsider's text or a model never decides who or what.

Origins are found by matching literals. Trusted is what the author, an authenticated person, a workflow or a whole field
of a record says; everything that outsiders wrote or a model made is not, nor what workflow code cut out of it. The
pointers of what is not go along when one run starts another, and come back with its result.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from backstay.types import Json

CUT_OUT: Final = 4
"""Characters from which a text counts as cut out of an outsider's, or as holding a part of it."""
PLANTED: Final = "planted"
SUSPECT: Final = "suspect"
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
        self, value: Json, *, untrusted: bool | Collection[str] = False, spoken: bool = False, asked_for: bool = True,
        echoes: Collection[str] = (),
    ) -> None:  # fmt: skip
        """Remember every literal in a value, names of members too.

        untrusted: all of it, or what stands at these JSON pointers and below; with a mapping, those that are "planted" came
        without anybody having asked for them. spoken: people said the rest. asked_for: False where nothing untrusted in it
        was. echoes: suspect texts that the call was made with; what only gives them back is no better for that.
        """
        roots = () if isinstance(untrusted, bool) else untrusted
        planted = [at for at, kind in roots.items() if kind == PLANTED] if isinstance(roots, Mapping) else ()
        for pointer, text in literals(value):
            if untrusted is True or _below(pointer, roots) or _echoes(text, echoes):
                self.untrusted.add(text)
                if not asked_for or _below(pointer, planted):
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

    def pointers(self, value: Json) -> dict[str, str]:
        """Where in `value` such literals stand, and whether they are planted: what another run must know of it."""
        return {
            pointer: PLANTED if any(text in other for other in self.planted) else SUSPECT
            for pointer, text in literals(value)
            if self._suspect(text)
        }

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


def literals(value: Json) -> Iterator[tuple[str, str]]:
    """All leaves, and the names of members at the pointers of what they name."""
    yield from leaves(value)
    yield from _names(value, "")


def _names(value: Json, pointer: str) -> Iterator[tuple[str, str]]:
    for at, key, item in _members(value, pointer):
        yield from leaves(key, at)
        yield from _names(item, at)


def _members(value: Json, pointer: str) -> Iterator[tuple[str, Json, Json]]:
    """Pointer, name (None in a list) and value of each member."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}", key, item
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield f"{pointer}/{place}", None, item


def leaves(value: Json, pointer: str = "") -> Iterator[tuple[str, str]]:
    """All scalar leaves as folded text, with their JSON pointers; flags, nulls and single characters say nothing."""
    if isinstance(value, dict | list):
        for at, _, item in _members(value, pointer):
            yield from leaves(item, at)
    elif value is not None and not isinstance(value, bool):
        text = " ".join(str(value).casefold().split())
        if len(text) > 1:
            yield pointer, text


def _echoes(text: str, suspect: Collection[str]) -> bool:
    """Whether a text is one of these, holds one, or is a part of one."""
    return any(
        text == each or (min(len(text), len(each)) >= CUT_OUT and (each in text or text in each)) for each in suspect
    )


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
