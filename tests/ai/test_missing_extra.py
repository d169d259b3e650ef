"""A file whose extra is missing: a case waits until it is installed, and a knowledge base tries it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backstay import App, workflow
from backstay.ai.documents import Document, KeptFile, Reader, ReaderMissing, keep, pdf
from backstay.ai.knowledge import Folder, KnowledgeBase, sources
from backstay.testing import harness

AT = "2026-11-20T08:00:00.000000Z"
installed: list[bool] = []
door = Reader("letter")
read_letter = door.read


@workflow
async def letter(file: KeptFile) -> str:
    read = await read_letter(file)
    return read.text


def read_bytes(data: bytes, name: str = "") -> Document:
    """As the door does, in a process that has the extra or not."""
    if not installed:
        raise ReaderMissing(f"{name!r} is a PDF, and the extra 'docs' is not installed")
    return Document(
        name=name, media_type="application/pdf", digest="0" * 64, size=len(data), text="Thirty days of leave."
    )


@pytest.fixture(autouse=True)
def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    installed.clear()
    monkeypatch.setattr(door, "read_bytes", read_bytes)
    monkeypatch.setattr(sources, "reader", door)


async def test_a_case_waits_until_the_extra_is_installed() -> None:
    async with harness(App("letters", workflows=[letter], suppliers=[door])) as it:
        run = await it.start(letter, file=keep(it.home, b"%PDF-1.7", "inv.pdf").model_dump())
        (wait,) = it.waits(run)
        assert wait.kind == "queued"
        installed.append(True)
        await it.client.retry(run, by="ann")
        assert await it.result(run) == "Thirty days of leave."
        assert it.prove() == 1


def test_a_base_says_why_and_tries_again_when_the_extra_is_installed(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "inv.pdf").write_bytes(b"%PDF-1.7")
    base = KnowledgeBase("handbook", sources=[Folder(tmp_path / "docs")], embeddings=None)
    for _ in range(2):
        done = base.index(tmp_path, AT)
        assert (done.read, done.unreadable) == (0, ["inv.pdf: is a PDF, and the extra 'docs' is not installed"])
    installed.append(True)
    assert base.index(tmp_path, AT).read == 1
    assert base.index(tmp_path, AT).read == 0
    (passage,) = base.look_up(tmp_path, "leave", (frozenset({"everyone"}),)).passages
    assert passage.document == "inv.pdf"


def test_a_pdf_without_its_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "raw", None)
    limits: Any = None
    with (
        pytest.raises(ReaderMissing, match="extra 'docs' is not installed.*start the worker again"),
        pdf.opened(b"", limits),
    ):
        pass
