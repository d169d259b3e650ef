"""Reads one document: its type by content, its words in a disposable child process, its fields by layout and
patterns. What has no words there, or an e-invoice in it, goes through the library's door.

The child takes its own memory limit; the time limit is kept here. A document that hangs, explodes or crashes
its parser costs one child and becomes a `NotRetryable` that names the file and says what to do. The parent
never parses a PDF.
"""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from backstay.ai.documents import DocumentUnreadable as Refused
from backstay.ai.documents.kinds import media_type
from backstay.errors import NotRetryable
from examples.accounts_payable.extraction import read_invoice
from examples.accounts_payable.models import Document, Reading
from examples.accounts_payable.scans_and_einvoices import PDF, READ, Seen, needs_the_door, said_by, through_the_door

WORKER = Path(__file__).with_name("pdf_worker.py")
SECONDS = 10.0
BYTES = 20 * 1024 * 1024
ANSWER_BYTES = 32 * 1024 * 1024
SURE = 0.7
"""Below this confidence a person reads the document."""

_REMEDIES = {
    "password": "is protected by a password: ask the sender for a copy without one",
    "unsupported encryption": "is encrypted in a way that cannot be opened: ask the sender for a plain copy",
    "damaged": "is damaged or incomplete: ask the sender to send it again",
    "missing": "could not be opened by the reader: try again, or ask the sender to send it again",
    "too many pages": "has {pages} pages, and at most 100 are read: split it, or ask the sender what it is",
    "too much memory": "needs more memory to open than any honest invoice: do not open it, ask the sender what it is",
    "too much time": "takes longer to open than any honest invoice: do not open it, ask the sender what it is",
    "crash": "makes the PDF reader fail: do not open it, ask the sender what it is",
    "no pages": "has no pages that can be read: ask the sender to send it again",
    "no words": "shows nothing that could be recognised: ask the sender for the PDF, or read it by eye",
}


class DocumentUnreadable(NotRetryable):
    """No invoice can be read from this file, however often it is tried; `reason` is the short form."""

    code = "DOCUMENT_UNREADABLE"

    def __init__(self, name: str, reason: str, message: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"{name!r} {message}")


def document_from(path: Path, *, name: str = "", kept_at: str = "", arrival: int = 0) -> Document:
    """Describe a file: digest, size and type of its content."""
    digest, size, head = hashlib.sha256(), 0, b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            head = head or block[:4096]
            size += len(block)
            digest.update(block)
    return Document(
        digest=digest.hexdigest(), name=name or path.name, path=kept_at or str(path), size=size,
        media_type=media_type(head), arrival=arrival,
    )  # fmt: skip


def read_document(
    document: Document, path: Path, *, buyer: str, buyer_vat: str = "", seconds: float = SECONDS
) -> Reading:
    """Read the invoice in a kept file; raises DocumentUnreadable when there is none to read."""
    check_file(document, path)
    answer: dict[str, Any] = {"pages": [], "count": 0, "cut": False, "script": False}
    seen = Seen()
    if document.media_type == PDF:
        answer = read_pages(path, document.name, seconds)
    if document.media_type != PDF or needs_the_door(answer):
        try:
            seen = through_the_door(path, document.name)
        except Refused as error:
            message = str(error).removeprefix(f"{document.name!r} ")
            raise DocumentUnreadable(document.name, error.code, message) from None
    return understood(document, answer, seen, buyer=buyer, buyer_vat=buyer_vat)


def check_file(document: Document, path: Path) -> None:
    """Type and completeness: the file is there, is what arrived, is of a type that is read, and is not too large."""
    name = document.name
    if document.size == 0:
        raise DocumentUnreadable(name, "empty", "is empty: ask the sender to send it again")
    if document.media_type not in READ:
        raise DocumentUnreadable(
            name,
            "wrong type",
            f"is {document.media_type}, no invoice to read, whatever its name says: ask the sender for the PDF",
        )
    if document.size > BYTES:
        raise DocumentUnreadable(
            name, "too large", f"has {document.size:,} bytes, and at most {BYTES:,} are read: split it"
        )
    if not path.is_file():
        raise DocumentUnreadable(
            name, "missing", f"is no longer kept under {document.path!r}: drop it into the folder again"
        )
    if document_from(path).digest != document.digest:
        raise DocumentUnreadable(name, "changed", "is not what arrived: its kept copy was changed; drop it in again")


def read_pages(path: Path, name: str, seconds: float = SECONDS, worker: Path = WORKER) -> dict[str, Any]:
    """The words of the document's pages, from a child process; raises DocumentUnreadable."""
    status, out, err = _run([sys.executable, "-I", str(worker), str(path)], seconds)
    if status is None:
        raise _unreadable(name, "too much time")
    if status != 0 or not out or len(out) > ANSWER_BYTES:
        exhausted = b"memory" in err.lower() or status == -signal.SIGABRT  # pdfium aborts when it gets no memory
        raise _unreadable(name, "too much memory" if exhausted else "crash")
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError:
        raise _unreadable(name, "crash") from None
    if "error" in answer:
        raise _unreadable(name, str(answer["error"]), answer.get("pages", 0))
    return answer


def _run(command: list[str], seconds: float) -> tuple[int | None, bytes, bytes]:
    """Run a child; answers with its status (None when its time ran out) and a bounded amount of what it wrote.

    `subprocess` and not `fork`, because the parent has threads; a bounded read,
    because a child that was taken over may write for ever.
    """
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    late = threading.Event()

    def stop() -> None:
        late.set()
        child.kill()

    watch = threading.Timer(seconds, stop)
    watch.daemon = True
    watch.start()
    try:
        with child:
            out = child.stdout.read(ANSWER_BYTES + 1) if child.stdout else b""
            if len(out) > ANSWER_BYTES:
                child.kill()
            err = child.stderr.read(4096) if child.stderr else b""
            status = child.wait()
    finally:
        watch.cancel()
    return (None if late.is_set() and status != 0 else status), out, err


def _unreadable(name: str, reason: str, pages: int = 0) -> DocumentUnreadable:
    message = _REMEDIES.get(reason, _REMEDIES["damaged"]).format(pages=f"{pages:,}")
    return DocumentUnreadable(name, reason, message)


def understood(document: Document, answer: dict[str, Any], seen: Seen, *, buyer: str, buyer_vat: str) -> Reading:
    """The reading of what the worker and the door saw, with every reason for which a person should look."""
    pages, doubts = _together(answer["pages"], seen.pages), list(seen.problems)
    if seen.einvoice:
        reading = said_by(seen.einvoice, buyer=buyer, buyer_vat=buyer_vat)
    elif any(page["words"] for page in pages):
        reading = read_invoice(pages, buyer=buyer, buyer_vat=buyer_vat)
    else:
        raise _unreadable(document.name, "no words" if pages else "no pages")
    doubts += reading.doubts
    damaged = [page["number"] for page in pages if page.get("damaged")]
    if answer["script"]:
        doubts.insert(0, "the file brings JavaScript, which an invoice does not need; it was not run")
    if answer["cut"]:
        doubts.append(f"only the first {len(pages)} of {answer['count']} pages were read: the document is too long")
    if damaged:
        doubts.append(f"damaged and not read: page {', '.join(map(str, damaged))}")
    if reading.confidence < SURE and not doubts:
        doubts.append(f"read with a confidence of {reading.confidence:.2f}, below {SURE}")
    return reading.model_copy(update={"doubts": doubts, "pages": max(answer["count"], len(pages))})


def _together(worker: list[dict[str, Any]], door: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each page as the worker read it; where it found no words, as the door did."""
    pages = {page["number"]: page for page in door}
    for page in worker:
        if page["words"] or page["number"] not in pages:
            pages[page["number"]] = page
    return [pages[number] for number in sorted(pages)]
