"""Retrieval with citations over an organisation's own documents."""

from backstay.ai.knowledge.base import Indexed, KnowledgeBase, Passage, Retrieved, Survey
from backstay.ai.knowledge.reindexing import Reindexing
from backstay.ai.knowledge.sources import Folder, Mailbox, Pages, Table

__all__ = [
    "Folder",
    "Indexed",
    "KnowledgeBase",
    "Mailbox",
    "Pages",
    "Passage",
    "Reindexing",
    "Retrieved",
    "Survey",
    "Table",
]
