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
BLOCK: Final = 65_536
"""Characters of joined texts, beyond which what comes is joined anew."""


class Texts:
    """Longer texts in which parts are looked for again and again.

    They are joined, as one long search is quicker than many, and each part is only looked for in what is new since.
    """

    __slots__ = ("_blocks", "_find", "_looked", "_new", "_texts")

    def __init__(self, *, whole_words: bool = False) -> None:
        self._find = _find_words if whole_words else str.find
        self._texts, self._new = set[str](), list[str]()
        self._blocks = [""]
        self._looked = dict[str, tuple[int, int]]()
        """Part -> the block and the place in it up to which it does not stand anywhere."""

    def add(self, text: str) -> None:
        """Add a folded text: it holds no line breaks, so that nothing is found across two of them."""
        if text not in self._texts:
            self._texts.add(text)
            self._new.append(text)

    def hold(self, part: str) -> bool:
        """Whether a part, a folded text itself, stands in one of the texts."""
        if part in self._texts:
            return True
        if self._new:
            self._join()
        block, place = self._looked.get(part, (0, 0))
        found = self._find(self._blocks[block], part, place)
        while found < 0 and block + 1 < len(self._blocks):
            block += 1
            found = self._find(self._blocks[block], part, 0)
        self._looked[part] = block, found if found >= 0 else len(self._blocks[block])
        return found >= 0

    def _join(self) -> None:
        added = "".join(f"{text}\n" for text in self._new)
        self._new.clear()
        if len(self._blocks[-1]) < BLOCK:
            self._blocks[-1] += added
        else:
            self._blocks.append(added)


class Parts:
    """Texts that are looked for in other texts, found by how they begin."""

    __slots__ = ("_begin", "_lengths", "_new")

    def __init__(self) -> None:
        self._new = list[str]()
        self._lengths = dict[str, set[int]]()
        """Their first CUT_OUT characters -> how long the beginnings are that begin so: LONG at most."""
        self._begin = dict[str, list[str]]()

    def add(self, text: str) -> None:
        if len(text) >= CUT_OUT:
            self._new.append(text)

    def within(self, text: str) -> Iterator[str]:
        """Those that stand in a text."""
        for new in self._new:
            self._lengths.setdefault(new[:CUT_OUT], set()).add(len(new[:LONG]))
            self._begin.setdefault(new[:LONG], []).append(new)
        self._new.clear()
        lengths = self._lengths
        beginnings = {
            text[place : place + length]
            for place in range(len(text) - CUT_OUT + 1)
            for length in lengths.get(text[place : place + CUT_OUT], ())
        }
        return (part for begin in beginnings for part in self._begin.get(begin, ()) if part in text)


@dataclass(slots=True)
class Labels:
    """The literals a run has seen, by origin. A literal that trusted data holds too is trusted."""

    trusted: set[str] = field(default_factory=set)
    untrusted: set[str] = field(default_factory=set)
    parts: Parts = field(default_factory=Parts)
    """The untrusted ones, to find them in what was made of them."""
    spoken: Texts = field(default_factory=lambda: Texts(whole_words=True))
    """What people and authors said in longer texts: whole words in them are trusted."""
    outside: Texts = field(default_factory=Texts)
    """Longer texts of outsiders and models."""
    planted: Texts = field(default_factory=Texts)
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
        roots = frozenset[str]() if isinstance(untrusted, bool) else frozenset(untrusted)
        planted = {at for at, kind in untrusted.items() if kind == PLANTED} if isinstance(untrusted, Mapping) else ()
        for pointer, text in literals(value):
            if untrusted is True or _below(pointer, roots) or _echoes(text, echoes):
                self._distrust(text)
                if not asked_for or _below(pointer, planted):
                    self.planted.add(text)
            else:
                self.trusted.add(text)
                if spoken and len(text) >= LONG:
                    self.spoken.add(text)

    def _distrust(self, text: str) -> None:
        if text not in self.untrusted:
            self.untrusted.add(text)
            self.parts.add(text)
            if len(text) >= LONG:
                self.outside.add(text)

    def suspects(self, value: Json) -> list[str]:
        """The literals in `value` that only outsiders or a model brought in."""
        return [text for _, text in leaves(value) if self._suspect(text)]

    def smuggled(self, value: Json) -> list[str]:
        """The suspect literals that stand in an outsider's text which no person named: nobody wanted these."""
        return [text for text in self.suspects(value) if self.planted.hold(text)]

    def names(self, value: Json) -> bool:
        """Whether people or authors spoke of all that stands in `value`, and it is not nothing."""
        found = [text for _, text in leaves(value)]
        return bool(found) and all(self.spoken.hold(text) for text in found)

    def pointers(self, value: Json) -> dict[str, str]:
        """Where in `value` such literals stand, and whether they are planted: what another run must know of it."""
        found = dict[str, str]()
        for pointer, text in literals(value):
            if self._suspect(text) and found.get(pointer) != PLANTED:  # a member's name shares the place of its value
                found[pointer] = PLANTED if self.planted.hold(text) else SUSPECT
        return found

    def _suspect(self, text: str) -> bool:
        if text in self.trusted or self.spoken.hold(text):
            return False
        if text in self.untrusted:
            return True
        if len(text) < CUT_OUT:
            return False
        return self.outside.hold(text) or any(part not in self.trusted for part in self.parts.within(text))


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
    """Whether a pointer, or one above it, is among these."""
    if not roots:
        return False
    while pointer not in roots:
        if not pointer:
            return False
        pointer = pointer.rpartition("/")[0]
    return True


def _find_words(said: str, text: str, place: int) -> int:
    """Where a text stands from a place on, as whole words; -1 for nowhere."""
    place = said.find(text, place)
    while place >= 0:
        before, after = said[place - 1 : place], said[place + len(text) : place + len(text) + 1]
        if not (before.isalnum() or after.isalnum()):
            return place
        place = said.find(text, place + 1)
    return -1
