"""One door for files: told by content, read in processes that may fail, and never at the price of the worker."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from backstay import App, approval, workflow
from backstay.ai.documents import (
    Document,
    DocumentCrashed,
    DocumentLimits,
    DocumentTimeout,
    DocumentTooLarge,
    DocumentUnreadable,
    DocumentUnsupported,
    KeptFile,
    Reader,
    keep,
)
from backstay.ai.documents import child as process
from backstay.ai.documents.children import Children, children
from backstay.ai.documents.door import read_document, reader
from backstay.ai.documents.errors import ReaderUnavailable
from backstay.ai.documents.found import MIB
from backstay.ai.documents.kinds import media_type
from backstay.ai.documents.readers import READERS
from backstay.errors import AuthorError, NotRetryable
from backstay.testing import harness
from benchmarks.steps.made_documents import Facts, docx, invoice_pdf, mail, ubl, zipped

facts = Facts()
BOMB = Path(__file__).parents[2] / "examples/accounts_payable/invoices/x-decompression-bomb.pdf"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (invoice_pdf(facts), "application/pdf"),
        (b"\n \n" + invoice_pdf(facts), "application/pdf"),
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"II*\0....", "image/tiff"),
        (docx("<w:p/>"), "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (zipped({"word/evil.txt": "x"}), "application/zip"),
        (mail("x").as_bytes(), "message/rfc822"),
        (b"Received: from a\r\n\tby b\r\nFrom: x\r\n\r\nhi", "message/rfc822"),
        (ubl(facts), "application/xml"),
        (b"<!DOCTYPE html><p>x", "text/html"),
        (b'<?xml version="1.0"?><html xmlns="x"><p>x</p></html>', "text/html"),
        (b"a;b\n1;2\n3;4\n", "text/csv"),
        (b"Note: this is\nno mail: at all", "text/plain"),
        (b"Dear Ann,\nsee %PDF-1.4 for more", "application/pdf"),
        (b"MZ\x90\0", "application/x-executable"),
        (b"\0\1\2\3" * 50, "application/octet-stream"),
        (b"", "application/x-empty"),
    ],
)
def test_a_file_is_told_by_its_content(data: bytes, kind: str) -> None:
    assert media_type(data) == kind


def test_a_name_that_says_something_else_is_a_problem() -> None:
    document = reader.read_bytes(invoice_pdf(facts), "invoice.docx")
    assert document.media_type == "application/pdf"
    assert document.problems == ["its name is 'invoice.docx', and it is application/pdf"]
    assert reader.read_bytes(b"plain text", "no ending").problems == []
    assert reader.read_bytes(b"  \n", "blank.txt").problems == ["nothing to read was found in it"]


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", DocumentUnreadable, "is empty"),
        (b"MZ\0\0", DocumentUnsupported, "is application/x-executable, which is not read"),
        (b"%PDF-1.7 and no more", DocumentUnreadable, "damaged or incomplete"),
        (b"a" * 2000, DocumentTooLarge, "has 2,000 bytes, and at most 1,999 are read"),
    ],
)
def test_what_cannot_be_read_is_final_and_names_the_file(
    data: bytes, error: type[DocumentUnreadable], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        Reader(limits=DocumentLimits(size=1999)).read_bytes(data, "in.bin")
    assert isinstance(caught.value, NotRetryable)
    assert caught.value.code.startswith("DOCUMENT_")
    assert "'in.bin'" in str(caught.value)


def test_a_file_that_takes_too_long_costs_one_process_and_the_next_is_read() -> None:
    hasty = Reader(limits=DocumentLimits(seconds=1.0))
    with pytest.raises(DocumentTimeout, match="takes longer to read") as caught:
        hasty.read_bytes(b"<html>" + b"<b>" * 1_300_000, "slow.html")
    assert caught.value.code == "DOCUMENT_TIMEOUT"
    assert hasty.read_bytes(b"next", "b.txt").text == "next"


def test_a_file_that_explodes_costs_one_process_and_the_next_is_read() -> None:
    with pytest.raises(DocumentCrashed, match="more memory than it may") as caught:
        reader.read_file(BOMB)
    assert caught.value.code == "DOCUMENT_CRASHED"
    assert reader.read_bytes(b"next", "b.txt").text == "next"


def test_a_process_that_dies_is_replaced() -> None:
    parsers = Children("parse", DocumentLimits().memory)
    limits = DocumentLimits()
    parsers.ask(b"one", {}, limits, 10)
    parsers._idle[0]._process.kill()
    with pytest.raises(DocumentCrashed):
        parsers.ask(b"two", {}, limits, 10)
    answer, _ = parsers.ask(b"three", {}, limits, 10)
    assert answer.text == "three"
    parsers.close()
    assert parsers._idle == []


def test_a_process_that_does_not_start_is_no_fault_of_the_file() -> None:
    with pytest.raises(ReaderUnavailable, match="did not start with 8 MiB") as caught:
        Children("no such role", 8 * MIB).ask(b"one", {}, DocumentLimits(), 10)
    assert not isinstance(caught.value, NotRetryable)


def test_a_warm_process_reads_many_files() -> None:
    parsers = Children("parse", DocumentLimits().memory)
    for _ in range(3):
        parsers.ask(b"text", {}, DocumentLimits(), 10)
    assert [each.asked for each in parsers._idle] == [3]
    parsers.close()


def test_two_callers_at_once_do_not_disturb_each_other() -> None:
    texts: dict[int, str] = {}

    def read(number: int) -> None:
        for _ in range(5):
            texts[number] = reader.read_bytes(invoice_pdf(Facts(number=f"N-{number}")), "a.pdf").text

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(f"N-{number}" in texts[number] for number in range(4))
    assert len(children("parse", DocumentLimits().memory)._idle) <= 2


GIVEN_UP = """
import os, socket
from backstay.ai.documents import child
child.confine(1 << 32, programs=False)
for attempt in (lambda: open("/etc/hostname", "rb"), socket.socket, os.pipe):
    try:
        attempt()
    except OSError:
        print("refused")
"""


def test_a_process_that_parses_can_open_no_file_and_no_connection() -> None:
    told = subprocess.run([sys.executable, "-c", GIVEN_UP], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["refused"] * 3


def test_a_parser_that_stumbles_is_an_error_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(data: bytes, asked: dict[str, object], limits: DocumentLimits) -> None:
        raise ZeroDivisionError

    def burst(data: bytes, asked: dict[str, object], limits: DocumentLimits) -> None:
        raise MemoryError

    answer, _ = process.answer_to(stumble, b"", {}, DocumentLimits())  # type: ignore[arg-type]
    assert (answer.error, answer.last) == ("DOCUMENT_UNREADABLE", False)
    answer, _ = process.answer_to(burst, b"", {}, DocumentLimits())  # type: ignore[arg-type]
    assert (answer.error, answer.last) == ("DOCUMENT_TOO_LARGE", True)


def test_every_type_that_is_read_has_one_reader() -> None:
    assert len(READERS) == 14


@workflow
async def tell(file: KeptFile) -> str:
    document = await read_document(file)
    return document.text


@workflow
async def ask() -> str:
    decision = await approval("buyers", show="an offer")
    return decision.verdict


app = App("door", workflows=[tell, ask], suppliers=[reader])


async def test_a_workflow_reads_what_was_kept(tmp_path: Path) -> None:
    async with harness(app, home=tmp_path) as it:
        kept = keep(tmp_path, b"thirty days", "../terms.txt")
        again = keep(tmp_path, b"thirty days", "copy.txt")
        assert kept.digest == again.digest
        run = await it.start(tell, file=kept.model_dump())
        assert await it.result(run) == "thirty days"


async def test_a_file_that_is_gone_changed_or_no_file_fails_the_case_in_words(tmp_path: Path) -> None:
    async with harness(app, home=tmp_path) as it:
        for digest, why in (("0" * 64, "nothing is kept under 000000000000"), ("../backstay.db", "is no SHA-256")):
            run = await it.start(tell, file={"digest": digest})
            assert why in str(it.events(run, "run_failed")[0].fault)
        kept = keep(tmp_path, b"thirty days")
        (tmp_path / "documents" / kept.digest[:2] / kept.digest).write_bytes(b"ninety days")
        run = await it.start(tell, file=kept.model_dump())
        assert "its kept copy was changed" in str(it.events(run, "run_failed")[0].fault)


async def test_a_file_of_a_remark_is_read_by_its_digest() -> None:
    async with harness(app) as it:
        asked = await it.start(ask)
        await it.client.comment(asked, "see the offer", by="dora", files={"offer.txt": b"three desks"})
        digest = hashlib.sha256(b"three desks").hexdigest()
        assert await it.result(await it.start(tell, file={"name": "offer.txt", "digest": digest})) == "three desks"


def test_a_reader_names_what_does_not_fit() -> None:
    with pytest.raises(AuthorError, match="reader 'my files'"):
        Reader("my files")
    assert [action.name for action in Reader("letters").actions] == ["read_letters"]
    assert reader.read.untrusted
    assert reader.read.effect == "read"


def test_a_document_passes_through_json(tmp_path: Path) -> None:
    document = reader.read_bytes(invoice_pdf(facts), "invoice.pdf")
    assert Document.model_validate_json(document.model_dump_json()) == document
    assert io.BytesIO(document.model_dump_json().encode()).getbuffer().nbytes < 20_000
