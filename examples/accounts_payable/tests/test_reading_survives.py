"""Whatever a document does to its reader, the process that asked lives and gets an error that says what to do."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from backstay.errors import NotRetryable
from examples.accounts_payable.app import INVOICES
from examples.accounts_payable.reading import (
    WORKER,
    DocumentUnreadable,
    check_file,
    document_from,
    media_type,
    read_pages,
)  # fmt: skip


def worker(folder: Path, body: str) -> Path:
    """A reader that misbehaves."""
    script = folder / "worker.py"
    script.write_text(body, encoding="utf-8")
    return script


def test_a_reader_that_hangs_is_ended_at_its_time_limit(tmp_path: Path) -> None:
    script = worker(tmp_path, "import time; time.sleep(60)")
    begun = time.monotonic()
    with pytest.raises(DocumentUnreadable, match=r"'slow\.pdf' takes longer") as caught:
        read_pages(tmp_path, "slow.pdf", seconds=0.3, worker=script)
    assert time.monotonic() - begun < 5
    assert isinstance(caught.value, NotRetryable)


@pytest.mark.parametrize(
    "body",
    [
        "import os; os.kill(os.getpid(), 11)",
        "raise SystemExit(3)",
        "print('not json')",
        "print('[' * 10)",
        "pass",
    ],
    ids=["crash", "exit", "rubbish", "half", "silence"],
)
def test_a_reader_that_crashes_or_talks_rubbish_is_an_error_about_the_file(tmp_path: Path, body: str) -> None:
    with pytest.raises(DocumentUnreadable, match=r"'bad\.pdf' makes the PDF reader fail"):
        read_pages(tmp_path, "bad.pdf", worker=worker(tmp_path, body))


def test_a_reader_that_writes_for_ever_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.accounts_payable.reading.ANSWER_BYTES", 100_000)
    script = worker(tmp_path, "import sys\nwhile True: sys.stdout.write('x' * 65536)")
    with pytest.raises(DocumentUnreadable, match="makes the PDF reader fail"):
        read_pages(tmp_path, "loud.pdf", worker=script)


@pytest.mark.skipif(sys.platform != "linux", reason="the memory limit is the kernel's")
def test_a_decompression_bomb_dies_at_the_memory_limit_of_its_child() -> None:
    child = subprocess.run(
        [sys.executable, "-I", str(WORKER), str(INVOICES / "x-decompression-bomb.pdf")],
        capture_output=True,
        check=False,
    )
    assert child.returncode != 0
    with pytest.raises(DocumentUnreadable, match="needs more memory"):
        read_pages(INVOICES / "x-decompression-bomb.pdf", "bomb.pdf")


def test_many_threads_read_at_once_beside_a_bomb() -> None:
    results: list[int] = []

    def one() -> None:
        results.append(read_pages(INVOICES / "brandt-januar.pdf", "a.pdf")["count"])

    def bomb() -> None:
        with pytest.raises(DocumentUnreadable):
            read_pages(INVOICES / "x-decompression-bomb.pdf", "bomb.pdf")

    threads = [threading.Thread(target=target) for target in (one, bomb, one, one)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1, 1, 1]


def test_the_type_is_told_by_content_and_not_by_name(tmp_path: Path) -> None:
    renamed = tmp_path / "holiday.jpg"
    renamed.write_bytes((INVOICES / "brandt-januar.pdf").read_bytes())
    assert document_from(renamed).media_type == "application/pdf"
    assert media_type(b"\x89PNG\r\n\x1a\n") == "image/png"
    assert media_type(b"<HTML><body>") == "text/html"
    assert media_type(b"") == "application/x-empty"
    assert media_type(b"\x00\x01\x02") == "application/octet-stream"


def test_a_kept_copy_that_was_changed_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes((INVOICES / "brandt-januar.pdf").read_bytes())
    document = document_from(path)
    path.write_bytes((INVOICES / "brandt-preis.pdf").read_bytes())
    with pytest.raises(DocumentUnreadable, match="is not what arrived"):
        check_file(document, path)


def test_a_kept_copy_that_is_gone_is_named(tmp_path: Path) -> None:
    document = document_from(INVOICES / "brandt-januar.pdf")
    with pytest.raises(DocumentUnreadable, match="no longer kept"):
        check_file(document, tmp_path / "gone.pdf")
