"""Streams: what a call that is still open tells of itself, to whoever watches its run. Nothing of it is kept.

A watcher sees no more in clear than the journal will show: a text is held back while something private may begin in it.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final
from weakref import WeakValueDictionary

from backstay.types import Mask, PieceKind, Progress

LONGEST: Final = 200_000
"""So many characters of one text are told while it comes."""

PIECES: Final = 1000
"""So many pieces wait for a watcher that is slow; of more, the oldest are forgotten."""

DETECTED: Final = 100
"""Characters that a detected value of several words has at most: a card, an account, a national id, the head of a key."""

STEP: Final = 20
"""A text is looked at again when it has grown by one part in so many: looking costs as much as the text is long."""

_SUSPECT: Final = re.compile(r"\S*(?:\d|-----)\S*")
"""A word with which a detected value of several words may begin."""

_LAST_WORD: Final = re.compile(r"\S*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Something that an open call told."""

    run: str
    command: str
    kind: PieceKind
    text: str
    """For "begun", who answers; for "text", how it goes on; for "tool", its name."""
    after: int
    """Number of the run's last event when the call was made."""


class Watch:
    """What one watcher has not seen yet."""

    def __init__(self) -> None:
        self.moved = asyncio.Event()
        """Set when there is something to see."""
        self._pieces: deque[Piece] = deque(maxlen=PIECES)

    def hear(self, piece: Piece) -> None:
        """Take in a piece; one that goes on where the last one ended becomes part of it."""
        last = self._pieces[-1] if self._pieces else None
        if last is not None and replace(last, text=piece.text) == piece and piece.kind == "text":
            self._pieces[-1] = replace(last, text=last.text + piece.text)
        else:
            self._pieces.append(piece)
        self.moved.set()

    def take(self) -> list[Piece]:
        """Everything since the last time."""
        taken = list(self._pieces)
        self._pieces.clear()
        return taken


class Streams:
    """All open calls of an application that tell how far they are, and all who watch."""

    def __init__(self) -> None:
        self.on_stream: Callable[[Piece], Any] | None = None
        """Hears every piece of every run."""
        self._open: WeakValueDictionary[tuple[str, str], _Stream] = WeakValueDictionary()
        """The calls that are being made; each ends with whoever tells by it."""
        self._watches: dict[str, list[Watch]] = {}
        self.over = False
        """Whether the application is being closed."""

    def of(self, run: str, command: str, after: int, mask: Mask) -> Progress:
        """What a call tells with; `mask` hides what is private in its case."""
        stream = _Stream(self, Piece(run=run, command=command, kind="begun", text="", after=after), mask)
        self._open[run, command] = stream
        return Progress(stream.tell)

    def follow(self, run: str, watch: Watch) -> None:
        """Let somebody watch a run, who also hears what its open calls told before."""
        for (at, _), stream in list(self._open.items()):
            if at == run:
                for piece in stream.so_far():
                    watch.hear(piece)
        self._watches.setdefault(run, []).append(watch)

    def leave(self, run: str, watch: Watch) -> None:
        """Let somebody watch a run no more."""
        self._watches[run].remove(watch)
        if not self._watches[run]:
            del self._watches[run]

    def hears(self, run: str) -> bool:
        """Whether anybody does."""
        return self.on_stream is not None or run in self._watches

    def put(self, piece: Piece) -> None:
        """Hand a piece to everybody who watches its run; a listener that fails harms nobody."""
        for watch in self._watches.get(piece.run, ()):
            watch.hear(piece)
        try:
            if self.on_stream is not None:
                self.on_stream(piece)
        except Exception as error:
            context = {"message": f"on_stream listener failed: {error!r}", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)

    def close(self) -> None:
        """Let everybody who watches go."""
        self.over = True
        for watch in [watch for watches in self._watches.values() for watch in watches]:
            watch.moved.set()


class _Stream:
    """One call: what it said so far, and how much of that was shown."""

    def __init__(self, streams: Streams, like: Piece, mask: Mask) -> None:
        self._streams, self._like, self._mask = streams, like, mask
        self._loop = asyncio.get_running_loop()
        self._parts: list[str] = []
        self._size = self._looked_at = 0
        self._shown = ""
        self._told: list[Piece] = []

    def so_far(self) -> list[Piece]:
        """What was told since somebody began to answer."""
        self._show(ended=False)
        return self._told

    def tell(self, kind: PieceKind, text: str) -> None:
        """Take in a piece, from any thread."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._loop.call_soon_threadsafe(self._take, kind, text)
        else:
            self._take(kind, text)

    def _take(self, kind: PieceKind, text: str) -> None:
        if kind == "text":
            self._size += len(text)
            if self._size <= LONGEST:
                self._parts.append(text)
                if self._size - self._looked_at > self._looked_at // STEP and self._streams.hears(self._like.run):
                    self._show(ended=False)
            return
        if kind != "begun":
            self._show(ended=True)
        else:
            self._told = []
        self._parts, self._size, self._looked_at, self._shown = [], 0, 0, ""
        self._put(kind, str(self._mask.hide(text)))

    def _show(self, *, ended: bool) -> None:
        """Show what no longer can become part of something private."""
        text = "".join(self._parts)
        self._parts, self._looked_at = [text], self._size
        safe = hidden = str(self._mask.hide(text))
        if not ended:
            safe = _common(str(self._mask.hide(text[: self._settled(text)])), hidden)
        if len(safe) > len(self._shown) and safe.startswith(self._shown):
            self._put("text", safe[len(self._shown) :])
            self._shown = safe

    def _settled(self, text: str) -> int:
        """How much of a text that goes on nothing private can reach into any more.

        The last word may go on. So may a private text of the case, and what the detectors know: that has either no space
        in it, or digits or dashes in its first word.
        """
        start = max(0, len(text) - DETECTED)
        while start and not text[start - 1].isspace():
            start -= 1
        suspect, last = _SUSPECT.search(text, start), _LAST_WORD.search(text, start)
        return min(self._mask.begins(text), *(found.start() for found in (suspect, last) if found is not None))

    def _put(self, kind: PieceKind, text: str) -> None:
        piece = replace(self._like, kind=kind, text=text)
        self._told.append(piece)
        self._streams.put(piece)


def _common(one: str, other: str) -> str:
    """What two texts begin with."""
    if other.startswith(one):
        return one
    return one[: next(at for at, (left, right) in enumerate(zip(one, f"{other}\0", strict=False)) if left != right)]
