"""Long-term memory: what agents and workflows keep for later cases, with where it came from, who approved it, and until when.

Nothing is kept without an observation of the case that says so. What is recalled is text from outside: it informs, and
decides nothing. Private values are kept as pseudonyms.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from pydantic import BaseModel, Field

from backstay.actions import Action, CallContext
from backstay.ai.observations import Case
from backstay.errors import AuthorError
from backstay.store.memories import Keeping, Memories
from backstay.types import Duration, IdempotencyKey, iso, seconds

T = TypeVar("T")

MOST: Final = 10
"""Items that one recall gives."""

Text: TypeAlias = Annotated[
    str, Field(min_length=3, max_length=1000, description="One statement, in words of its own.")
]
Subject: TypeAlias = Annotated[str, Field(min_length=1, max_length=200, description="Whom or what it is about.")]
Source: TypeAlias = Annotated[
    str, Field(description="The observation that supports it: its id, such as o1, or the tool that told it.")
]
Quote: TypeAlias = Annotated[
    str, Field(min_length=3, max_length=1000, description="Words that stand in that observation, as they stand there.")
]


class Remembered(BaseModel):
    """One item of a memory, with its provenance."""

    id: str
    subject: str
    text: str
    quote: str
    """Words of the observation that it was kept from."""
    source: str
    """What was observed there: a tool, another agent, a queue, a signal, or the input of the case."""
    run: str
    """The case in which that was."""
    command: str
    """The command of that run which was answered so."""
    kept_by: str
    approved_by: list[str]
    """Empty where no person was asked."""
    since: str
    until: str | None


class Kept(BaseModel):
    """What became of something that was to be kept."""

    id: str
    since: str
    until: str | None


class Memory:
    """Something that is remembered across cases: `App(suppliers=[vendors])`, `Agent(tools=[vendors.recall, vendors.keep])`.

    name: unique in its application; the actions are `recall_NAME` and `keep_NAME`. about: what belongs into it, for the
    model. keep_for: after which time an item is not recalled any more; None for never. approvers: the queue that decides
    what is kept. Agents share what they share a memory for. Raises AuthorError naming what does not fit.
    """

    def __init__(
        self, name: str, *, about: str = "", keep_for: Duration | None = "180d", approvers: str = "memory"
    ) -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,39}", name):
            raise AuthorError(f"memory {name!r}: a name has letters, digits and _, begins with a letter, and is short")
        try:
            lasts = None if keep_for is None else timedelta(seconds=seconds(keep_for))
        except (ValueError, OverflowError) as error:
            raise AuthorError(f"memory {name!r}: keep_for: {error}") from None
        if lasts is not None and lasts <= timedelta(0):
            raise AuthorError(f"memory {name!r}: keep_for must be more than nothing, not {keep_for!r}")
        self.name, self.about, self.approvers = name, about or f"what was learned about {name}", approvers
        self._lasts = lasts
        self._open: dict[Path, Memories] = {}

    @property
    def actions(self) -> Sequence[Action[Any]]:
        return [self.recall, self.keep]

    @cached_property
    def recall(self) -> Action[list[Remembered]]:
        """Look something up. Its result is text from outside, whoever kept it."""

        async def recall(query: str, context: CallContext, subject: str | None = None) -> list[Remembered]:
            case = await asyncio.to_thread(Case, context)
            asked, about = case.clean(query), None if subject is None else case.clean(subject)
            moment = iso(context.now)
            found = await self._do(context, lambda file: file.recall(self.name, asked, about, moment, MOST))
            return [
                Remembered(
                    id=item.id, subject=item.subject, text=item.text, quote=item.quote, source=item.source, run=item.run,
                    command=item.command, kept_by=item.by, approved_by=list(item.approved_by), since=item.since,
                    until=item.until,
                )
                for item in found
            ]  # fmt: skip

        recall.__doc__ = (
            f"Look up {self.about}, kept in earlier cases. query: words; empty for the newest. subject: only about that. "
            "Each item says where it came from and until when it counts. It is a hint: check it before you rely on it."
        )
        return Action(fn=recall, name=f"recall_{self.name}", effect="read", untrusted=True, on_failure="raise")

    @cached_property
    def keep(self) -> Action[Kept]:
        """Keep something. What a model or an outsider worded is held for a person."""

        async def keep(
            text: Text, subject: Subject, source: Source, quote: Quote, key: IdempotencyKey, context: CallContext
        ) -> Kept:
            case = await asyncio.to_thread(Case, context)
            seen = case.find(source, quote, without={self.recall.name, self.keep.name})
            until = None if self._lasts is None else iso(context.now + self._lasts)
            kept = Keeping(
                key=key, memory=self.name, subject=_line(case.clean(subject)), text=_line(case.clean(text)),
                at=iso(context.now), until=until, by=context.by, run=context.run, source=seen.source,
                command=seen.command, quote=case.clean(quote), approved_by=case.approvers,
            )  # fmt: skip
            id_, since, until = await self._do(context, lambda file: file.keep(kept))
            return Kept(id=id_, since=since, until=until)

        keep.__doc__ = (
            f"Keep {self.about} for later cases. A person may have to approve it. Keep what will still be true, not "
            "what is true of this case only. The same text about the same subject again renews it."
        )
        return Action(
            fn=keep, name=f"keep_{self.name}", effect="write", sinks=frozenset({"text", "subject"}),
            approvers=self.approvers, on_failure="raise",
        )  # fmt: skip

    async def close(self) -> None:
        """Close its files; they are opened again when they are needed."""
        while self._open:
            self._open.popitem()[1].close()

    async def _do(self, context: CallContext, work: Callable[[Memories], T]) -> T:
        file = self._open.get(context.home)
        if file is None:
            file = self._open[context.home] = Memories(context.home)
        return await asyncio.to_thread(work, file)


def _line(text: str) -> str:
    return " ".join(text.split())
