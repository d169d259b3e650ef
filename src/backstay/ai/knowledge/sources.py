"""Where the documents of a knowledge base come from: folders, mailboxes, tables and pages.

A source says which documents there are and in which version, cheaply; it reads only those that it is asked for.
"""

from __future__ import annotations

import csv
import email.errors
import email.header
import email.policy
import hashlib
import mailbox
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from backstay.ai.documents.door import reader
from backstay.ai.documents.errors import DocumentUnreadable, ReaderMissing
from backstay.ai.documents.model import Document
from backstay.ai.knowledge.passages import Section, of_html, of_markdown
from backstay.canonical import json_text
from backstay.errors import AuthorError, NotRetryable
from backstay.store.foreign import is_sqlite, rows_of

if TYPE_CHECKING:
    import httpx2

PLAIN: Final = frozenset({".md", ".markdown", ".txt", ".rst", ".text", ""})
PAGES: Final = frozenset({".html", ".htm", ".xhtml"})
LARGEST: Final = 20 * 1024 * 1024
"""Bytes of a text or page; other files have the limits of the door for documents."""
MOVES: Final = 5
"""How often a page may lead on to another address."""


UNFINISHED: Final = "?"
"""After the digest in the version of what an extra is missing for: it fits no file, so that it is tried again."""


class SourceMissing(NotRetryable):
    """The folder, mailbox or file that documents come from is not there."""

    code = "NOT_FOUND"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """One document as its source has it now."""

    name: str
    version: str
    """SHA-256 of what it was read from."""
    title: str
    sections: Sequence[Section]
    problem: str = ""


class DocumentSource(Protocol):
    """Where documents come from."""

    def survey(self) -> dict[str, str]:
        """The version of each document, by its name."""
        ...

    def load(self, names: Collection[str]) -> Iterator[Loaded]:
        """Those of them that are still there."""
        ...


class Folder:
    """The files of a folder: Markdown, text, HTML, and whatever the door for documents reads.

    glob: which of them, below it. name: put before the names of its documents. Hidden files are left out, and so is what a
    link leads to outside of the folder.
    """

    def __init__(self, path: Path | str, *, glob: str = "**/*", name: str = "") -> None:
        self.path, self.glob, self.prefix = Path(path), glob, f"{name}/" if name else ""

    def survey(self) -> dict[str, str]:
        """Raises NotRetryable where there is no such folder: its documents are not to be forgotten for that."""
        return {name: _digest(path.read_bytes()) for name, path in self._files()}

    def load(self, names: Collection[str]) -> Iterator[Loaded]:
        for name, path in self._files(names):
            yield read_file(name, path.read_bytes())

    @property
    def emptiness(self) -> str:
        """Says that there is no document, if there is none."""
        return "" if any(True for _ in self._files()) else f"no file in {str(self.path)!r} fits {self.glob!r}"

    def _files(self, names: Collection[str] | None = None) -> Iterator[tuple[str, Path]]:
        """Those of these names, or all."""
        if not self.path.is_dir():
            raise SourceMissing(f"there is no folder {str(self.path)!r} to read documents from")
        root = self.path.resolve()
        for path in sorted(self.path.glob(self.glob)):
            within = path.relative_to(self.path)
            name = f"{self.prefix}{_spelled(within.as_posix())}"
            if (names is not None and name not in names) or any(part.startswith(".") for part in within.parts):
                continue
            if path.is_file() and path.resolve().is_relative_to(root):
                yield name, path


class Mailbox:
    """The mails of an mbox file or a Maildir, each with its attachments. name: put before the names of its documents."""

    def __init__(self, path: Path | str, *, name: str = "") -> None:
        self.path, self.prefix = Path(path), f"{name}/" if name else ""

    def survey(self) -> dict[str, str]:
        """A mail is named by its Message-ID, or by its digest where it has none.

        Its sender chooses that: it has no `/` in it, so that it cannot take the place of a document in a folder.
        """
        return {name: _digest(data) for name, data in self._mails()}

    def load(self, names: Collection[str]) -> Iterator[Loaded]:
        for name, data in self._mails():
            if name in names:
                yield _documented(name, data, f"{name.rpartition('/')[2]}.eml")

    def _mails(self) -> Iterator[tuple[str, bytes]]:
        if not self.path.exists():
            raise SourceMissing(f"there is no mailbox {str(self.path)!r} to read mails from")
        box = mailbox.Maildir(self.path, create=False) if self.path.is_dir() else mailbox.mbox(self.path, create=False)
        seen = set[str]()
        with closing(box):
            for key in box.keys():  # noqa: SIM118 - a mailbox iterates over its messages
                data = box.get_bytes(key)
                said = str(
                    BytesHeaderParser(policy=email.policy.compat32).parsebytes(data[:65_536]).get("Message-ID", "")
                )
                id_ = _spelled(re.sub(r"[<>\s]", "", said).replace("/", "_"))[:200]
                name = f"{self.prefix}{id_ if '@' in id_ else _digest(data)[:16]}"
                if name not in seen:
                    seen.add(name)
                    yield name, data


class Table:
    """The rows of a CSV file, or of a table or query of an SQLite file, each a document.

    key: the column that names a row, title: that which heads it, text: those that say what it is about; by default the first
    column names and heads it, and all others are its text. query: what to ask the SQLite file. name: put before the names.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        query: str = "",
        key: str = "",
        title: str = "",
        text: Sequence[str] = (),
        name: str = "",
    ) -> None:
        self.path, self.query, self.key, self.title, self.text = Path(path), query, key, title, tuple(text)
        self.prefix = f"{name}/" if name else ""

    def survey(self) -> dict[str, str]:
        return {name: _digest(json_text(row).encode()) for name, row in self._rows()}

    def load(self, names: Collection[str]) -> Iterator[Loaded]:
        for name, row in self._rows():
            if name not in names:
                continue
            key, title = self.key or next(iter(row)), self.title or self.key or next(iter(row))
            told = self.text or [each for each in row if each not in (key, title)]
            said = [row[each] if len(told) == 1 else f"{each}: {row[each]}" for each in told if row[each].strip()]
            section = Section(text="\n\n".join(said) or row[title])
            yield Loaded(name=name, version=_digest(json_text(row).encode()), title=row[title], sections=[section])

    def _rows(self) -> Iterator[tuple[str, dict[str, str]]]:
        if not self.path.is_file():
            raise SourceMissing(f"there is no file {str(self.path)!r} to read a table from")
        seen = set[str]()
        for row in rows_of(self.path, self.query) if self.query or is_sqlite(self.path) else self._read():
            missing = [each for each in (self.key, self.title, *self.text) if each and each not in row]
            if missing:
                raise NotRetryable(f"{self.path.name!r} has no column {missing[0]!r}; it has {', '.join(row)}")
            name = f"{self.prefix}{row[self.key or next(iter(row))]}"
            if name in seen:
                raise NotRetryable(f"{self.path.name!r} has two rows named {name!r}: say with key= what names one")
            seen.add(name)
            yield name, row

    def _read(self) -> Iterator[dict[str, str]]:
        with self.path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            head = file.read(8192)
            file.seek(0)
            marks = {mark: head.partition("\n")[0].count(mark) for mark in ",;\t|"}
            rows = csv.DictReader(file, delimiter=max(marks, key=lambda mark: marks[mark]))
            try:
                for row in rows:
                    yield {
                        str(name): " ".join(value) if isinstance(value, list) else value or ""
                        for name, value in row.items()
                    }
            except csv.Error as error:
                raise NotRetryable(f"{self.path.name!r} cannot be read in line {rows.line_num + 1}: {error}") from None


class Pages:
    """Web pages, by their URLs, and HTML files. They are fetched without credentials, and nothing that they link to is.

    A page that has moved is followed on its own server only: whoever writes it must not choose what is read from here.
    """

    def __init__(self, places: Sequence[str | Path], *, name: str = "") -> None:
        self.places, self.prefix = tuple(map(str, places)), f"{name}/" if name else ""
        if wrong := [each for each in self.places if "://" in each and not re.match("https?://", each)]:
            raise AuthorError(f"Pages: {wrong[0]!r} is neither an address of the web nor a file")

    def survey(self) -> dict[str, str]:
        return {self._name(place): _digest(_fetched(place)) for place in self.places}

    def load(self, names: Collection[str]) -> Iterator[Loaded]:
        for place in self.places:
            if self._name(place) in names:
                yield read_file(self._name(place), _fetched(place), page=True)

    def _name(self, place: str) -> str:
        return f"{self.prefix}{place if '://' in place else Path(place).name}"


def _fetched(place: str) -> bytes:
    if "://" not in place:
        return Path(place).read_bytes()
    import httpx2

    at = httpx2.URL(place)
    try:
        with httpx2.Client(timeout=30) as client:
            for _ in range(MOVES):
                with client.stream("GET", at) as answer:
                    if not answer.is_redirect:
                        return _body(place, answer)
                    to = at.join(answer.headers["location"])
                if (to.scheme, to.host, to.port) != (at.scheme, at.host, at.port):
                    raise NotRetryable(f"{place!r} leads to another place, {str(to)!r:.200}: name that, if it is meant")
                at = to
    except httpx2.HTTPError as error:
        raise ConnectionError(f"{place!r} cannot be fetched: {error}") from error
    raise NotRetryable(f"{place!r} leads on more than {MOVES} times")


def _body(place: str, answer: httpx2.Response) -> bytes:
    if answer.status_code != 200:
        raise ConnectionError(f"{place!r} answered {answer.status_code}")
    data = bytearray()
    for piece in answer.iter_bytes():
        data += piece
        if len(data) > LARGEST:
            raise NotRetryable(f"{place!r} is longer than {LARGEST:,} bytes")
    return bytes(data)


def read_file(name: str, data: bytes, *, page: bool = False) -> Loaded:
    """A document from the bytes of a file; what cannot be read is one without passages and with a problem."""
    ending = Path(name).suffix.lower()
    if not (page or ending in PLAIN or ending in PAGES):
        return _documented(name, data, Path(name).name)
    if len(data) > LARGEST:
        return _unread(name, data, f"has {len(data):,} bytes, and at most {LARGEST:,} are read")
    text = _decoded(data)
    if page or ending in PAGES:
        title, sections = of_html(text)
    else:
        title, sections = "", list(of_markdown(text))
    first = next(iter(sections), None)
    title = title or (first.heading[0] if first is not None and first.heading else "") or Path(name).stem
    return Loaded(name=name, version=_digest(data), title=title, sections=sections)


def _documented(name: str, data: bytes, called: str) -> Loaded:
    """What the door for documents says of a file."""
    try:
        read = reader.read_bytes(data, called)
    except DocumentUnreadable as error:
        unread = _unread(name, data, str(error).removeprefix(f"{called!r} "))
        return replace(unread, version=unread.version + UNFINISHED) if isinstance(error, ReaderMissing) else unread
    title = _header(read.headers.get("subject", "")) or Path(called).stem
    parts = [section for each in read.walk() for section in _sections(each, nested=each is not read)]
    missing = any(ReaderMissing.code in problem for each in read.walk() for problem in each.problems)
    version = _digest(data) + (UNFINISHED if missing else "")
    return Loaded(name=name, version=version, title=title, sections=parts, problem="; ".join(read.problems))


def _sections(document: Document, *, nested: bool) -> Iterable[Section]:
    above = (document.name,) if nested else ()
    if document.pages:
        return [
            Section(text=page.text, page=page.number, heading=above) for page in document.pages if page.text.strip()
        ]
    return [Section(text=document.text, heading=above)] if document.text.strip() else []


def _unread(name: str, data: bytes, problem: str) -> Loaded:
    return Loaded(name=name, version=_digest(data), title=Path(name).stem, sections=(), problem=problem)


def _header(said: str) -> str:
    try:
        return " ".join(str(email.header.make_header(email.header.decode_header(said))).split())
    except (ValueError, LookupError, email.errors.MessageError):
        return said


def _decoded(data: bytes) -> str:
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _spelled(name: str) -> str:
    """A name that can be written down: what is no letter in it by its code."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def survey(sources: Iterable[DocumentSource]) -> dict[str, tuple[int, str]]:
    """Which source has each document and in which version; raises NotRetryable for a name that two of them have."""
    found = dict[str, tuple[int, str]]()
    for number, source in enumerate(sources):
        for name, version in source.survey().items():
            if name in found:
                raise NotRetryable(f"two sources have a document {name!r}: give one of them a name=")
            found[name] = number, version
    return found
