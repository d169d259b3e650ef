"""The drop folder takes whole files only, each content once, and forgets none."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from examples.accounts_payable.inbox_folder import InboxFolder


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


@pytest.fixture
def inbox(drop: Path, tmp_path: Path) -> InboxFolder:
    return InboxFolder(drop, tmp_path / "home", settle=0.02, interval=0.1)


def names(inbox: InboxFolder) -> list[str]:
    return [document.name for document in inbox.waiting()]


def look_twice(inbox: InboxFolder) -> None:
    inbox.look()
    inbox.look()


def test_files_that_are_there_at_the_start_are_found_in_the_order_of_their_names(
    drop: Path, inbox: InboxFolder
) -> None:
    for name in ("b.pdf", "a.pdf", "ÄÖ №7.pdf", "c" * 180 + ".pdf"):
        (drop / name).write_bytes(name.encode())
    look_twice(inbox)
    assert names(inbox) == ["a.pdf", "b.pdf", "c" * 180 + ".pdf", "ÄÖ №7.pdf"]
    assert [document.arrival for document in inbox.waiting()] == [1, 2, 3, 4]


def test_a_file_that_still_grows_is_not_taken(drop: Path, inbox: InboxFolder) -> None:
    with (drop / "slow.pdf").open("wb") as file:
        for part in (b"%PDF-", b"half ", b"more "):
            file.write(part)
            file.flush()
            assert inbox.look() == 1
            assert names(inbox) == []
    look_twice(inbox)
    assert names(inbox) == ["slow.pdf"]
    assert (inbox.documents_folder / inbox.waiting()[0].path).read_bytes() == b"%PDF-half more "


def test_temporary_names_links_and_folders_are_left_alone_until_they_are_renamed(
    drop: Path, inbox: InboxFolder
) -> None:
    (drop / "a.pdf.part").write_bytes(b"A")
    (drop / ".hidden.pdf").write_bytes(b"B")
    (drop / "folder.pdf").mkdir()
    (drop / "link.pdf").symlink_to("/etc/hostname")
    os.mkfifo(drop / "pipe.pdf")
    look_twice(inbox)
    assert names(inbox) == []
    (drop / "a.pdf.part").rename(drop / "a.pdf")
    look_twice(inbox)
    assert names(inbox) == ["a.pdf"]


def test_the_same_content_under_another_name_is_the_same_document(drop: Path, inbox: InboxFolder) -> None:
    (drop / "a.pdf").write_bytes(b"same")
    look_twice(inbox)
    inbox.acknowledge(inbox.waiting()[0])
    (drop / "copy of a.pdf").write_bytes(b"same")
    look_twice(inbox)
    assert names(inbox) == []
    assert [document.name for document in inbox.arrived()] == ["a.pdf"]


def test_a_name_with_new_content_is_a_new_document(drop: Path, inbox: InboxFolder) -> None:
    (drop / "a.pdf").write_bytes(b"one")
    look_twice(inbox)
    (drop / "a.pdf").write_bytes(b"another")
    look_twice(inbox)
    assert names(inbox) == ["a.pdf", "a.pdf"]


def test_what_was_not_acknowledged_is_handed_out_again_and_in_the_same_order(
    drop: Path, inbox: InboxFolder, tmp_path: Path
) -> None:
    for name in ("b.pdf", "c.pdf"):
        (drop / name).write_bytes(name.encode())
    look_twice(inbox)
    before = inbox.waiting()
    inbox.acknowledge(before[1])
    (drop / "a.pdf").write_bytes(b"later, though its name comes first")
    (drop / "b.pdf").unlink()
    again = InboxFolder(drop, tmp_path / "home")
    look_twice(again)
    assert again.waiting()[0] == before[0]
    assert names(again) == ["b.pdf", "a.pdf"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read_is_named_and_tried_again(drop: Path, inbox: InboxFolder) -> None:
    (drop / "secret.pdf").write_bytes(b"x")
    (drop / "secret.pdf").chmod(0)
    look_twice(inbox)
    assert "'secret.pdf' cannot be read" in inbox.problems["secret.pdf"]
    (drop / "secret.pdf").chmod(0o600)
    inbox.look()
    assert (names(inbox), inbox.problems) == (["secret.pdf"], {})


@pytest.mark.parametrize("watch", [True, False], ids=["watching", "polling"])
def test_files_that_arrive_later_are_noticed(drop: Path, inbox: InboxFolder, watch: bool) -> None:
    inbox.watch = watch
    (drop / "early.pdf").write_bytes(b"early")

    async def collect() -> list[str]:
        stop, found = asyncio.Event(), []
        async for document in inbox.documents(stop):
            found.append(document.name)
            inbox.acknowledge(document)
            if document.name == "early.pdf":
                (drop / "late.pdf.part").write_bytes(b"late")
                (drop / "late.pdf.part").rename(drop / "late.pdf")
            else:
                stop.set()
                break
        return found

    assert asyncio.run(asyncio.wait_for(collect(), 20)) == ["early.pdf", "late.pdf"]
