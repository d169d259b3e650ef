"""Bringing a knowledge base up to date: what changed is read, what did not is not, and a death in the middle loses nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from backstay import App
from backstay.ai.knowledge import Folder, KnowledgeBase, Reindexing
from backstay.ai.knowledge.asking import EVERYONE
from backstay.store.knowledge import known
from backstay.testing import Harness, crash_everywhere, harness

ME = [frozenset({EVERYONE})]


class Letters:
    """An embedder without weights: how often each letter stands in a text."""

    name = "letters"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Any:
        import numpy as np

        self.asked += texts
        rows = np.array(
            [[text.casefold().count(letter) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
        )
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(45):
        (folder / f"{number:02}.md").write_text(
            f"# Chapter {number}\n\nIt tells of subject{number} and of the sea.\n", "utf-8"
        )
    return folder


def handbook(docs: Path, **options: Any) -> KnowledgeBase:
    return KnowledgeBase("handbook", sources=[Folder(docs)], **{"embeddings": None, **options})


def names(base: KnowledgeBase, home: Path, query: str) -> list[str]:
    return [each.document for each in base.look_up(home, query, ME, 50).passages if query in each.text.split()]


async def test_the_workflow_reads_everything_once_and_tells_how_far_it_is(docs: Path) -> None:
    base = handbook(docs, embeddings=Letters())
    workflow = Reindexing(base)
    async with harness(App("library", workflows=[workflow], suppliers=[base])) as it:
        run = await it.start(workflow)
        assert await it.result(run) == {"read": 45, "unreadable": [], "gone": 0, "embedded": 45}
        told = [event.text for event in it.events(run, "noted")]  # type: ignore[attr-defined]
        assert told == ["20 documents read", "40 documents read", "45 documents read", "45 passages embedded"]
        assert names(base, it.home, "subject7") == ["07.md"]
        again = await it.start(workflow)
        assert (await it.result(again))["read"] == 0
        assert it.events(again, "call_returned", action="ingest_handbook") == []


def test_what_is_unchanged_is_not_read_again_and_what_is_gone_disappears(docs: Path, tmp_path: Path) -> None:
    vectors = Letters()
    base = handbook(docs, embeddings=vectors)
    base.index(tmp_path, "2026-01-05T09:00:00Z")
    (old,) = base.look_up(tmp_path, "subject3", ME, 1).passages
    asked = len(vectors.asked)
    (docs / "03.md").write_text("# Chapter 3\n\nIt tells of whales now.\n", "utf-8")
    (docs / "04.md").unlink()
    (docs / "45.md").write_text("# Chapter 45\n\nIt tells of harbours.\n", "utf-8")
    done = base.index(tmp_path, "2026-01-06T09:00:00Z")
    assert (done.read, done.gone, done.embedded) == (2, 1, 2)
    assert vectors.asked[asked:] == ["Chapter 3\nIt tells of whales now.", "Chapter 45\nIt tells of harbours."]
    assert names(base, tmp_path, "whales") == ["03.md"]
    assert names(base, tmp_path, "subject4") == []
    assert "subject3" in base.cited(tmp_path, old.citation, ME).text
    assert base.cited(tmp_path, old.citation, ME).version != base.look_up(tmp_path, "whales", ME, 1).passages[0].version


def test_a_folder_that_is_away_is_an_error_and_forgets_nothing(docs: Path, tmp_path: Path) -> None:
    base = handbook(docs)
    base.index(tmp_path, "2026-01-05T09:00:00Z")
    shutil.move(docs, tmp_path / "elsewhere")
    with pytest.raises(Exception, match="there is no folder"):
        base.index(tmp_path, "2026-01-06T09:00:00Z")
    assert names(base, tmp_path, "subject7") == ["07.md"]


async def test_at_whichever_commit_the_worker_dies_the_base_is_whole_in_the_end(docs: Path) -> None:
    for number in range(3, 45):
        (docs / f"{number:02}.md").unlink()
    base = handbook(docs)
    workflow = Reindexing(base)

    async def story(it: Harness) -> None:
        await it.result(await it.client.start(workflow, key="once", by="ann"))

    async def check(it: Harness) -> None:
        assert [names(base, it.home, f"subject{number}") for number in range(3)] == [["00.md"], ["01.md"], ["02.md"]]
        assert base.look_up(it.home, "sea", ME, 50).passages[3:] == []

    assert await crash_everywhere(App("library", workflows=[workflow], suppliers=[base]), story, check) > 5


DYING = """
import asyncio, os, sys
from pathlib import Path
from backstay import App
from backstay.ai.knowledge import Folder, KnowledgeBase, Reindexing

home, docs, after = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
base = KnowledgeBase("handbook", sources=[Folder(docs)], embeddings=None)
put, portions = base.take_in, []

def take_in(*args):
    portions.append(args)
    if len(portions) > after >= 0:
        os.kill(os.getpid(), 9)
    return put(*args)

base.take_in = take_in
workflow = Reindexing(base)

async def main():
    async with App("library", workflows=[workflow], suppliers=[base]).open(home) as client:
        run = await client.start(workflow, key="once", by="ann")
        result = await client.result(run)
        print(len(portions), result["read"] if isinstance(result, dict) else result.read)

asyncio.run(main())
"""


def test_a_worker_that_is_killed_in_the_middle_goes_on_where_it_was(docs: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"

    def work(after: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", DYING, str(home), str(docs), str(after)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert work(1).returncode == -9
    with known(home) as file:
        assert file is not None
        assert file.counts(ME)[0]["documents"] == 20
    finished = work(-1)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == ["2", "45"]
    with known(home) as file:
        assert file is not None
        assert json.dumps(file.counts(ME)[0]["documents"]) == "45"
