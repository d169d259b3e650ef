"""One file with all its parts, under one budget of time and size. What is risky happens in the children."""

from __future__ import annotations

import hashlib
import time
from pathlib import PurePosixPath
from typing import Any

from backstay.ai.documents import kinds
from backstay.ai.documents.children import children
from backstay.ai.documents.einvoice import adopted
from backstay.ai.documents.errors import BY_CODE, DocumentTimeout, DocumentTooLarge, DocumentUnreadable, OcrMissing
from backstay.ai.documents.found import Answer, DocumentLimits
from backstay.ai.documents.model import Document


class Reading:
    """The reading of one file. ocr: whether pictures of text are recognised."""

    def __init__(self, limits: DocumentLimits, *, ocr: bool) -> None:
        self._limits, self._ocr = limits, ocr
        self._seconds, self._ocr_seconds = limits.seconds, limits.ocr_seconds
        self._parts, self._unpacked, self._ocr_pages = limits.parts, limits.unpacked, limits.ocr_pages

    def read(self, data: bytes, name: str, depth: int) -> Document:
        """A file and its parts; raises DocumentUnreadable when the file itself cannot be read."""
        if len(data) > self._limits.size:
            raise DocumentTooLarge(f"has {len(data):,} bytes, and at most {self._limits.size:,} are read")
        answer, pieces = self._ask("parse", data, {"name": name})
        if answer.picture or answer.scanned:
            self._recognise(answer, data)
        document = Document(
            name=name, media_type=answer.media_type, digest=hashlib.sha256(data).hexdigest(), size=len(data),
            pages=answer.pages, text=answer.text, tables=answer.tables, headers=answer.headers, data=answer.data,
            problems=answer.problems,
        )  # fmt: skip
        if not kinds.fits(name, document.media_type):
            document.problems.insert(0, f"its name is {name!r:.120}, and it is {document.media_type}")
        named = zip((name for name, _ in answer.parts), pieces, strict=True)
        document.parts = [self._part(piece, plain_name(name), depth + 1) for name, piece in named]
        adopted(document)
        if not (document.text.strip() or document.parts or document.tables or document.data):
            document.problems.append("nothing to read was found in it")
        return document

    def _part(self, data: bytes, name: str, depth: int) -> Document:
        """A part, or what stands for one that cannot be read."""
        self._parts -= 1
        self._unpacked -= len(data)
        try:
            if depth > self._limits.depth:
                raise DocumentTooLarge(f"lies more than {self._limits.depth} files deep, and was not read")
            if self._parts < 0 or self._unpacked < 0:
                raise DocumentTooLarge("was not read: the file has more parts than are read")
            return self.read(data, name, depth)
        except DocumentUnreadable as error:
            digest = hashlib.sha256(data).hexdigest()
            problem = f"{error.code}: {error}"
            return Document(name=name, media_type=kinds.UNREAD, digest=digest, size=len(data), problems=[problem])

    def _ask(self, role: str, data: bytes, asked: dict[str, Any]) -> tuple[Answer, list[bytes]]:
        """What a child says of a file, in what is left of the time."""
        recognise = role == "recognise"
        left = self._ocr_seconds if recognise else self._seconds
        if left <= 0:
            raise DocumentTimeout("was not read: the time for the whole file was used up")
        began = time.monotonic()
        memory = self._limits.ocr_memory if recognise else self._limits.memory
        try:
            answer, pieces = children(role, memory).ask(data, asked, self._limits, left)
        finally:
            spent = time.monotonic() - began
            if recognise:
                self._ocr_seconds -= spent
            else:
                self._seconds -= spent
        if answer.error:
            raise BY_CODE.get(answer.error, DocumentUnreadable)("; ".join(answer.problems))
        return answer, pieces

    def _recognise(self, answer: Answer, data: bytes) -> None:
        """Put in what is recognised in the pictures. Raises DocumentUnreadable when it says nothing without them."""
        wanted = answer.scanned[: max(self._ocr_pages, 0)]
        try:
            if not self._ocr:
                raise OcrMissing("is a picture of text, which this reader does not recognise")
            if not wanted and not answer.picture:
                raise DocumentTooLarge(f"has more than {self._limits.ocr_pages} scanned pages in all")
            seen, _ = self._ask("recognise", data, {"pages": wanted, "media_type": answer.media_type})
        except DocumentUnreadable as error:
            if not answer.text.strip() and not answer.parts:
                raise
            answer.problems.append(f"pictures of text were not read: {error.code}: {error}")
            return
        self._ocr_pages -= len(seen.pages)
        if len(wanted) < len(answer.scanned):
            answer.problems.append(f"only the first {len(wanted)} of {len(answer.scanned)} scanned pages were read")
        known = {page.number: page for page in answer.pages} | {page.number: page for page in seen.pages}
        answer.pages = [known[number] for number in sorted(known)]
        answer.problems += seen.problems
        answer.text = "\n\n".join(page.text for page in answer.pages)


def plain_name(name: str) -> str:
    """The last part of a name, without what no name should have."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(sign for sign in last if sign.isprintable())[:200] or "unnamed"
