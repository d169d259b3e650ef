"""Labels: where each value of a run came from, so that an outsider's text or a model never decides who or what.

Origins are found by matching literals; `Labels` says which there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from backstay.governance.forms import bare, hosts, identifier, leaves, names, records, words
from backstay.types import Json

CUT_OUT: Final = 4
"""Characters from which a text counts as cut out of an outsider's, or as holding a part of it."""
PLANTED: Final = "planted"
SUSPECT: Final = "suspect"
LONG: Final = 12
"""Characters from which a text is looked into, and not only compared."""
DISTINCT: Final = 8
"""Characters from which a text is looked for within words, and however it is spelled."""
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

    def __len__(self) -> int:
        return len(self._texts)

    def __contains__(self, text: str) -> bool:
        """Whether a text is one of these, as a whole."""
        return text in self._texts

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
    """The literals that a run has seen, by origin. One that trusted data holds too is trusted.

    said: by a person, an author or a workflow, and whole fields of records. It may stand in a sink.
    suspect: outsiders wrote it or a model made it, or workflow code cut it out of that. A person must confirm it.
    planted: suspect, and it stands in a text that came without anybody having asked for just that. Nobody wants it, so
    nobody is asked: neither in this spelling nor in another, nor an identifier that stands nowhere, once there is such a text.
    loose: in a record that holds no word which a person said, of a read that nobody asked for. Said, until something planted
    was read: then a text may have picked it, and it is suspect, or planted where such a text names it.
    The pointers of what is not said go along when one run starts another, and come back with its result.
    """

    trusted: set[str] = field(default_factory=set)
    untrusted: set[str] = field(default_factory=set)
    loose: set[str] = field(default_factory=set)
    parts: Parts = field(default_factory=Parts)
    """The untrusted ones, to find them in what was made of them."""
    spoken: Texts = field(default_factory=lambda: Texts(whole_words=True))
    """What people and authors said in longer texts: whole words in them are trusted."""
    outside: Texts = field(default_factory=Texts)
    """Longer texts of outsiders and models."""
    planted: Texts = field(default_factory=Texts)
    """Everything of outsiders that came without anybody having asked for just that."""
    planted_words: Texts = field(default_factory=lambda: Texts(whole_words=True))
    planted_bare: Texts = field(default_factory=Texts)
    seen_bare: Texts = field(default_factory=Texts)
    """Letters and digits of everything that no model made."""
    wished: set[str] = field(default_factory=set)
    """The words of people, without those of authors."""
    data: set[str] = field(default_factory=set)
    """The words of everything that tools gave back to an agent."""
    own: set[str] = field(default_factory=set)
    """Names of members that authors gave."""

    def observe(
        self, value: Json, *, untrusted: bool | Collection[str] = False, spoken: bool = False, wished: bool = False,
        made: bool = False, asked_for: bool = True, record: bool = False, echoes: Collection[str] = (),
    ) -> None:  # fmt: skip
        """Remember every literal in a value, names of members too.

        untrusted: all of it, or what stands at these JSON pointers and below; with a mapping, those that are "planted" came
        without anybody having asked for them. spoken: people or authors said the rest. wished: a person did. made: a model
        may have made it up. asked_for: False where nothing in it was. record: a tool gave it back to an agent. echoes:
        suspect texts that the call was made with; what only gives them back is no better for that.
        """
        roots = frozenset[str]() if isinstance(untrusted, bool) else frozenset(untrusted)
        planted = {at for at, kind in untrusted.items() if kind == PLANTED} if isinstance(untrusted, Mapping) else ()
        pointed = {""} if asked_for or not record else self._pointed(value, roots)
        for pointer, text in literals(value):
            if record:
                self.data.update(words(text))
            theirs = untrusted is True or _below(pointer, roots)
            echo = not theirs and _echoes(text, echoes)
            if not (made or echo):
                self.seen_bare.add(bare(text))
            if theirs or echo:
                self._distrust(text)
                if theirs and (not asked_for or _below(pointer, planted)):
                    self._plant(text)
            elif _below(pointer, pointed):
                self._trust(text, spoken=spoken, wished=wished)
            else:
                self.loose.add(text)

    def _distrust(self, text: str) -> None:
        if text not in self.untrusted:
            self.untrusted.add(text)
            self.parts.add(text)
            if len(text) >= LONG:
                self.outside.add(text)

    def _plant(self, text: str) -> None:
        self.planted.add(text)
        self.planted_words.add(text)
        self.planted_bare.add(bare(text))

    def _trust(self, text: str, *, spoken: bool, wished: bool) -> None:
        self.trusted.add(text)
        if spoken and len(text) >= LONG:
            self.spoken.add(text)
        if wished:
            self.wished.update(words(text))

    def _pointed(self, value: Json, outside: Collection[str]) -> Collection[str]:
        """Where the records in a result stand that a person spoke of: they hold a word of theirs, and not each of its kind does.

        What outsiders wrote in them counts only where all of it was said.
        """
        found = set[str]()
        for kind in records(value):
            held = [self._held(parts, outside) for parts in kind]
            common = Counter(word for each in held for word in each)
            for parts, each in zip(kind, held, strict=True):
                if any(common[word] < len(kind) or len(kind) == 1 for word in each):
                    found.update(parts)
        return found

    def _held(self, parts: Mapping[str, Json], outside: Collection[str]) -> set[str]:
        """What people said of a record."""
        held = set[str]()
        for root, part in parts.items():
            key = root.rpartition("/")[2].casefold() if isinstance(part, dict) else ""
            for pointer, text in [(root, key), *leaves(part, root)]:
                if not _below(pointer, outside):
                    held.update(word for word in words(text) if len(word) >= CUT_OUT and word in self.wished)
                elif len(text) >= CUT_OUT and self.spoken.hold(text):
                    held.add(text)
        return held

    # --- answers ---

    def suspects(self, value: Json) -> list[str]:
        """The literals in `value` that nobody said."""
        return [text for _, text in leaves(value) if self._suspect(text)]

    def leaks(self, value: Json) -> list[str]:
        """Those in `value`, which is told to somebody outside, that say what tools gave back, or something encoded."""
        return [text for text in self.suspects(value) if identifier(text) or any(map(self._tells, words(text)))]

    def _tells(self, word: str) -> bool:
        return word not in self.wished and (word in self.data or not word.isalpha())

    def smuggled(self, value: Json) -> list[str]:
        """The suspect literals that an outsider's text chose which no person named: nobody wanted these."""
        return [text for text in self.suspects(value) if self._planted(text)] if self.planted else []

    def names(self, value: Json) -> bool:
        """Whether people, authors or records spoke of all that stands in `value`, in any order, and it is not nothing."""
        found = [text for _, text in leaves(value) if len(text) > 1]
        return bool(found) and all(text in self.trusted or self._said(text) for text in found)

    def pointers(self, value: Json, known: Collection[str] = ()) -> dict[str, str]:
        """Where in `value` such literals stand, and whether they are planted: what another run must know of it.

        known: names of members that its author gave.
        """
        found = dict[str, str]()
        for pointer, text in literals(value, {*self.own, *known}):
            if self._suspect(text) and found.get(pointer) != PLANTED:  # a member's name shares the place of its value
                found[pointer] = PLANTED if self._planted(text) else SUSPECT
        return found

    def _said(self, text: str) -> bool:
        if self.spoken.hold(text):
            return True
        long = [word for word in words(text) if len(word) >= CUT_OUT]
        return bool(long) and all(word in self.wished for word in long)

    def _suspect(self, text: str) -> bool:
        if text in self.trusted or self.spoken.hold(text):
            return False
        if text in self.loose:
            return bool(self.planted)
        if text in self.untrusted:
            return True
        if len(text) < CUT_OUT:
            return False
        return self.outside.hold(text) or any(part not in self.trusted for part in self.parts.within(text))

    def _planted(self, text: str) -> bool:
        """Whether a suspect text was planted."""
        if not self.planted:
            return False
        if text in self.loose:  # that it is the whole of somebody's field, or a number, says little
            return not text.isdecimal() and text not in self.planted and self.planted_words.hold(text)
        if (self.planted if len(text) >= DISTINCT else self.planted_words).hold(text):
            return True
        plain = bare(text)
        if len(plain) >= DISTINCT and self.planted_bare.hold(plain):
            return True
        if any(
            self.planted.hold(host) for host in hosts(text) if host not in self.trusted and not self.spoken.hold(host)
        ):
            return True
        return identifier(text) and not self.seen_bare.hold(plain)


def literals(value: Json, known: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """All leaves, and the names of members, but for known ones, at the pointers of what they name."""
    yield from leaves(value)
    yield from ((pointer, name) for pointer, name in names(value) if name not in known)


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
