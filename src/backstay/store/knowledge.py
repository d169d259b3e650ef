"""The file of the knowledge bases in a home: documents in all their versions, their passages, full text and vectors.

Who may read a document is decided in its queries (`knowledge_readable`): what somebody may not read is not even counted.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from backstay.errors import StoreUnavailable
from backstay.store.database import Parameters, Row, connect, queries
from backstay.store.memories import has_full_text

KNOWLEDGE_FILE: Final = "knowledge.db"

Who: TypeAlias = Sequence[Collection[str]]
"""For whom is asked: what each person is, such as {"ann", "everyone", "group:treasury"}. Empty for nobody."""

_SCHEMA: Final = (
    "bases_table", "documents_table", "documents_index", "readers_table", "passages_table", "vectors_table", "words_table",
    "terms_table", "known_table", "spelled_table",
    "fits_table",
)  # fmt: skip
_ASKING: Final = ("scratch_table", "scratch_terms_table", "who_table", "readable_view")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A passage as it is kept and indexed."""

    page: int | None
    heading: tuple[str, ...]
    text: str
    title_words: list[str]
    heading_words: list[str]
    body_words: list[str]
    """Its words, folded, in the order of the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a document."""

    name: str
    version: str
    title: str
    readers: frozenset[str]
    passages: Sequence[Written]
    problem: str = ""
    """Why it could not be read, if it could not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A passage with the document that it stands in."""

    id: int
    document: str
    title: str
    version: str
    until: str | None
    """Since when this version counts no more."""
    heading: tuple[str, ...]
    page: int | None
    number: int
    text: str


class KnowledgeFile:
    """The file of one home; safe for threads. Raises StoreUnavailable when it cannot be read or written."""

    def __init__(self, home: Path, *, readonly: bool = False) -> None:
        self._connection = connect(home / KNOWLEDGE_FILE, readonly=readonly)
        self._lock = threading.RLock()
        if not has_full_text(self._connection):
            self._connection.close()
            raise StoreUnavailable("knowledge bases need an SQLite with FTS5: install a Python that has one")
        for name in (*(() if readonly else _SCHEMA), *_ASKING):
            self._all(name)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    # --- changing ---

    def prepare(self, base: str, access: str, embedder: str, readers: Mapping[str, frozenset[str]]) -> None:
        """Make a base known as it is declared now. readers: who may read each document, also of versions that count no more."""
        with self._lock, self._change():
            known = self._one("base", (base,))
            embedder = embedder or (known["embedder"] if known is not None else "")  # its vectors wait for it
            if known is not None and (known["access"], known["embedder"]) == (access, embedder):
                return
            if known is not None and known["embedder"] != embedder:
                self._all("unembed_all", (base,))
            self._all("set_base", {"name": base, "access": access, "embedder": embedder})
            for row in self._all("every_version", (base,)):
                self._set_readers(row["id"], readers.get(row["name"], frozenset()))

    def put(self, base: str, documents: Iterable[Version], at: str) -> int:
        """Let versions of documents count from now on, in place of the last; gives how many were not there yet."""
        put = 0
        with self._lock, self._change():
            for each in documents:
                last = self._one("version", (base, each.name))
                if last is not None and last["version"] == each.version:
                    continue
                if last is not None:
                    self._end(last["id"], at)
                given = {"base": base, "at": at, "name": each.name, "version": each.version, "title": each.title}
                id_ = int(self._all("add_document", {**given, "problem": each.problem})[0][0])
                self._set_readers(id_, each.readers)
                for number, passage in enumerate(each.passages, start=1):
                    self._add(id_, number, passage)
                put += 1
            if put:
                self._all("changed", (base,))
        return put

    def drop(self, base: str, names: Collection[str], at: str) -> int:
        """Documents count no more: they are gone from where they came from. Gives how many there were."""
        with self._lock, self._change():
            gone = [row["id"] for row in self._all("versions", (base,)) if row["name"] in names]
            for id_ in gone:
                self._end(id_, at)
            if gone:
                self._all("changed", (base,))
            return len(gone)

    def embed(self, base: str, vectors: Iterable[tuple[int, bytes]]) -> None:
        """Keep the vectors of passages."""
        with self._lock, self._change():
            for passage, vector in vectors:
                self._all("add_vector", (passage, vector))
            self._all("changed", (base,))

    def looked_at(self, base: str, at: str) -> None:
        """Note that everything was looked at."""
        with self._lock:
            self._all("set_indexed", {"base": base, "at": at})

    def fit(self, base: str, view: str) -> str | None:
        """What was learnt of a view; None where nothing was yet."""
        with self._lock:
            row = self._one("fit", (base, view))
        return None if row is None else row["fit"]

    def keep_fit(self, base: str, view: str, fit: str, most: int) -> None:
        """Keep what was learnt of a view, and forget the oldest beyond so many."""
        with self._lock, self._change():
            self._all("keep_fit", (base, view, fit))
            self._all("drop_fits", (base, most))

    def _set_readers(self, document: int, readers: Collection[str]) -> None:
        self._all("drop_readers", (document,))
        for reader in sorted(readers):
            self._all("add_reader", (document, reader))

    def _end(self, document: int, at: str) -> None:
        self._all("unindex", (document,))
        self._all("unembed", (document,))
        self._all("end", {"document": document, "at": at})

    def _add(self, document: int, number: int, passage: Written) -> None:
        words = {"title": passage.title_words, "heading": passage.heading_words, "body": passage.body_words}
        counts = {f"{name}_words": len(each) for name, each in words.items()}
        heading = json.dumps(passage.heading, ensure_ascii=False)
        given = {"document": document, "number": number, "page": passage.page, "heading": heading, "text": passage.text}
        id_ = int(self._all("add_passage", given | counts)[0][0])
        self._all("add_words", {"id": id_} | {name: " ".join(each) for name, each in words.items()})
        for word in {word for each in words.values() for word in each if len(word) > 3}:
            for new in self._all("add_known", (word,)):
                self._all("add_spelled", (new["id"], word))

    # --- reading ---

    def generation(self, base: str) -> int:
        """Another number after every change of what counts; 0 for a base that is not there."""
        with self._lock:
            known = self._one("base", (base,))
        return 0 if known is None else int(known["generation"])

    def versions(self, base: str) -> dict[str, str]:
        """The version of each document that counts."""
        with self._lock:
            return {row["name"]: row["version"] for row in self._all("versions", (base,))}

    def names(self, base: str) -> set[str]:
        """The names of all documents that there ever were."""
        with self._lock:
            return {row["name"] for row in self._all("every_version", (base,))}

    def unembedded(self, base: str, most: int) -> list[tuple[int, str, list[str], str]]:
        """(id, title, heading, text) of passages that have no vector yet."""
        with self._lock:
            rows = self._all("unembedded", {"base": base, "most": most})
        return [(row["id"], row["title"], json.loads(row["heading"]), row["text"]) for row in rows]

    def stems(self, texts: Sequence[str]) -> list[dict[str, int]]:
        """The stems of texts, as the index has them, with how often they stand in each."""
        found: list[dict[str, int]] = [{} for _ in texts]
        with self._lock:
            for number, text in enumerate(texts):
                self._all("scratch_add", (number, text))
            for row in self._all("scratch_stems"):
                found[row["doc"]][row["term"]] = row["times"]
            self._all("scratch_clear")
        return found

    def alike(self, letters: Sequence[str]) -> list[str]:
        """All words that were ever written in any base and hold one of these groups of three letters.

        What stands in no passage that may be read is to be left out by whoever asks, as only they know.
        """
        asked = " OR ".join(f'"{each}"' for each in letters)
        with self._lock:
            return [row["word"] for row in self._all("alike", (asked,))] if asked else []

    def view(self, base: str, who: Who) -> list[Row]:
        """The passages that all of these may read."""
        return self._for(who, "view", (base,))

    def postings(self, base: str, who: Who, terms: Collection[str]) -> list[Row]:
        """In which of them stems stand."""
        return self._for(who, "postings", {"base": base, "terms": json.dumps(sorted(terms))})

    def vectors(self, base: str, who: Who) -> list[tuple[int, bytes]]:
        """The vectors of those that have one."""
        return [(row["passage"], row["vector"]) for row in self._for(who, "embedded", (base,))]

    def read(self, base: str, who: Who, ids: Sequence[int]) -> dict[int, Found]:
        """Some of them, whole."""
        rows = self._for(who, "read", {"base": base, "ids": json.dumps(list(ids))})
        return {row["id"]: _found(row) for row in rows}

    def cited(self, base: str, who: Who, name: str, number: int, version: str) -> Found | None:
        """What a citation refers to, if they may read it: also in a version that counts no more."""
        given = {"base": base, "name": name, "number": number, "version": version}
        return next((_found(row) for row in self._for(who, "cited", given)), None)

    def counts(self, who: Who) -> list[dict[str, Any]]:
        """Each base with the numbers of documents and passages that they may read."""
        return [dict(row) for row in self._for(who, "counts")]

    def problems(self, base: str, who: Who) -> dict[str, str]:
        """The documents that could not be read into a base, with why."""
        return {row["name"]: row["problem"] for row in self._for(who, "problems", (base,))}

    def _for(self, who: Who, name: str, parameters: Parameters = ()) -> list[Row]:
        """The only way to what is told to somebody."""
        with self._lock:
            self._all("nobody")
            for number, person in enumerate(who):
                for reader in sorted(person) or [""]:
                    self._all("asks", (number, reader))
            try:
                return self._all(name, parameters)
            finally:
                self._all("nobody")

    # --- the file ---

    @contextmanager
    def _change(self) -> Generator[None]:
        self._all("begin")
        try:
            yield
            self._all("commit")
        except BaseException:
            if self._connection.in_transaction:
                self._all("rollback")
            raise

    def _one(self, name: str, parameters: Parameters) -> Row | None:
        return next(iter(self._all(name, parameters)), None)

    def _all(self, name: str, parameters: Parameters = ()) -> list[Row]:
        try:
            return self._connection.execute(queries()[f"knowledge_{name}"], parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailable(
                f"{KNOWLEDGE_FILE!r} cannot be used ({error}); free disk space, or stop what else has it open"
            ) from error


@contextmanager
def known(home: Path) -> Generator[KnowledgeFile | None]:
    """The knowledge file of a home to look at, if it has one."""
    if not (home / KNOWLEDGE_FILE).exists():
        yield None
        return
    file = KnowledgeFile(home, readonly=True)
    try:
        yield file
    finally:
        file.close()


def _found(row: Row) -> Found:
    return Found(
        id=row["id"], document=row["name"], title=row["title"], version=row["version"], until=row["until"],
        heading=tuple(json.loads(row["heading"])), page=row["page"], number=row["number"], text=row["text"],
    )  # fmt: skip
