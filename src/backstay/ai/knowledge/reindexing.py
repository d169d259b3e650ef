"""Bringing a knowledge base up to date, as a workflow: portion by portion, so that a worker that dies goes on where it was.

`Reindexing` stores it under the base's own name, with the base's actions in it.
"""

from __future__ import annotations

from backstay.actions import action
from backstay.ai.knowledge.base import Indexed, KnowledgeBase, Survey
from backstay.ai.shipped import Shipped
from backstay.commands import note
from backstay.language import workflow


@action(effect="read")
async def survey() -> Survey:
    """Stands for the base's own."""
    raise NotImplementedError


@action(effect="write")
async def ingest(names: list[str]) -> Indexed:
    """Stands for the base's own."""
    raise NotImplementedError


@action(effect="write")
async def finish(gone: list[str]) -> int:
    """Stands for the base's own."""
    raise NotImplementedError


@action(effect="write")
async def embed() -> int:
    """Stands for the base's own."""
    raise NotImplementedError


@workflow
async def reindex() -> Indexed:
    """Read what is new or has changed into the base, forget what is gone, and make vectors."""
    todo = await survey()
    read = 0
    unreadable: list[str] = []
    for portion in todo.portions:
        done = await ingest(portion)
        read += done.read
        unreadable += done.unreadable
        await note(f"{read} documents read")
    gone = await finish(todo.gone)
    embedded = 0
    made = await embed()
    while made > 0:
        embedded += made
        await note(f"{embedded} passages embedded")
        made = await embed()
    return Indexed(read=read, unreadable=unreadable, gone=gone, embedded=embedded)


class Reindexing(Shipped[[], Indexed]):
    """The workflow `reindex_NAME` of a base: `App(workflows=[Reindexing(handbook)], suppliers=[handbook])`."""

    def __init__(self, base: KnowledgeBase) -> None:
        actions = {"survey": base.survey, "ingest": base.ingest, "finish": base.finish, "embed": base.embed}
        super().__init__(reindex, f"reindex_{base.name}", actions)
