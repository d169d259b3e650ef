"""The journal: atomic writes, group commit, two chains, and what happens when the disk or another worker says no."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backstay import events as ev
from backstay.errors import StoreFenced, StoreMismatch, StoreUnavailable
from backstay.store.database import Reader, migrations
from backstay.store.encoding import decode, encode
from backstay.store.journal import SYSTEM, Journal, Write, genesis, link, link_commit

AT = "2026-01-05T09:00:00.000000Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "backstay.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    opened = Journal(path, synchronous="OFF")
    yield opened
    opened.close()


@pytest.fixture
def reader(journal: Journal, path: Path) -> Iterator[Reader]:
    with closing(Reader(path)) as opened:
        yield opened


def noted(text: str) -> ev.Noted:
    return ev.Noted(at=AT, command="1", site="s", text=text)


class Chain:
    """A run's chain as a test writes it."""

    def __init__(self, run: str) -> None:
        self.run, self.head = run, genesis(run)

    def write(self, *texts: str) -> Write:
        write = Write()
        for text in texts:
            self.head = write.append(self.run, self.head, noted(text))
        return write


def texts(reader: Reader, run: str) -> list[str]:
    return [decode(row["kind"], row["body"]).text for row in reader.all("events_of_run", (run,))]  # type: ignore[attr-defined]


# --- atomic, ordered, together -------------------------------------------------------------------------------


async def test_a_write_is_there_when_it_is_acknowledged(journal: Journal, reader: Reader) -> None:
    await journal.submit(Chain("r").write("one", "two"))
    assert texts(reader, "r") == ["one", "two"]


async def test_what_is_handed_in_together_is_one_commit(journal: Journal, reader: Reader) -> None:
    await asyncio.gather(*(journal.submit(Chain(f"r{number}").write("x")) for number in range(500)))
    assert len(reader.all("commits_all")) == 1
    assert reader.value("last_position") == 500
    assert reader.value("last_position") == 500


async def test_while_a_commit_syncs_the_next_one_gathers(path: Path) -> None:
    go_on = threading.Event()
    commits: list[int] = []

    def slow_disk(number: int) -> None:
        commits.append(number)
        go_on.wait(10)

    journal = Journal(path, synchronous="OFF", on_commit=slow_disk)
    first = asyncio.ensure_future(journal.submit(Chain("a").write("x")))
    while not commits:
        await asyncio.sleep(0)
    rest = [asyncio.ensure_future(journal.submit(Chain(f"b{number}").write("x"))) for number in range(50)]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(first, *rest)
    journal.close()
    assert commits == [1, 2]


async def test_one_writer_keeps_the_order_in_which_writes_were_handed_in(journal: Journal, reader: Reader) -> None:
    chain = Chain("r")
    await asyncio.gather(*(journal.submit(chain.write(str(number))) for number in range(100)))
    assert texts(reader, "r") == [str(number) for number in range(100)]


async def test_closing_commits_what_is_pending(path: Path) -> None:
    journal = Journal(path, synchronous="OFF")
    pending = journal.submit(Chain("r").write("x"))
    await asyncio.to_thread(journal.close)
    await pending
    with closing(Reader(path)) as reader:
        assert texts(reader, "r") == ["x"]
    with pytest.raises(StoreUnavailable, match="closed"):
        journal.submit(Chain("s").write("x"))


async def test_readers_see_whole_commits_while_the_writer_works(journal: Journal, path: Path) -> None:
    seen: list[int] = []
    stop = threading.Event()

    def look() -> None:
        with closing(Reader(path)) as other:
            while not stop.is_set():
                seen.append(other.value("last_position"))

    looking = threading.Thread(target=look)
    looking.start()
    chain = Chain("r")
    for _ in range(100):
        await journal.submit(chain.write("a", "b", "c"))
    stop.set()
    looking.join()
    assert [position for position in seen if position % 3] == []


# --- chains ----------------------------------------------------------------------------------------------------


async def test_each_run_is_a_hash_chain(journal: Journal, reader: Reader) -> None:
    chain = Chain("r")
    await journal.submit(chain.write("one"))
    await journal.submit(chain.write("two", "three"))
    head = genesis("r")[1]
    for row in reader.all("events_of_run", ("r",)):
        head = link(head, "r", row["seq"], row["kind"], row["body"])
        assert row["hash"] == head
    assert chain.head == (3, head)


def test_a_link_is_this_hash_for_ever() -> None:
    assert genesis("r") == (0, hashlib.sha256(b"backstay run\0r").digest())
    assert link(b"p", "r", 7, "noted", "{}") == hashlib.sha256(b"pr\x007\x00noted\x00{}").digest()
    assert link_commit(b"p", [b"a", b"b"]) == hashlib.sha256(b"pab").digest()


async def test_commits_chain_over_all_runs(journal: Journal, reader: Reader) -> None:
    for number in range(3):
        await asyncio.gather(*(journal.submit(Chain(f"{number}{name}").write("x")) for name in "ab"))
    events = reader.all("events_after", (0, 100))
    head, last = hashlib.sha256(b"backstay").digest(), 0
    for row in reader.all("commits_all"):
        head = link_commit(head, [event["hash"] for event in events if last < event["position"] <= row["last"]])
        assert row["hash"] == head
        last = row["last"]
    assert last == 6


async def test_both_chains_go_on_after_reopening(path: Path) -> None:
    chain = Chain("r")
    for text in ("one", "two"):
        journal = Journal(path, synchronous="OFF")
        await journal.submit(chain.write(text))
        await asyncio.to_thread(journal.close)
    with closing(Reader(path)) as reader:
        assert texts(reader, "r") == ["one", "two"]
        assert [row["id"] for row in reader.all("commits_all")] == [1, 2]


# --- failures -------------------------------------------------------------------------------------------------------


async def test_an_event_that_would_leave_a_gap_is_refused(journal: Journal, reader: Reader) -> None:
    chain = Chain("r")
    await journal.submit(chain.write("one"))
    chain.write("lost")
    with pytest.raises(StoreUnavailable, match="does not build on event 1"):
        await journal.submit(chain.write("after the gap"))
    assert texts(reader, "r") == ["one"]


async def test_an_event_that_is_there_already_is_refused(journal: Journal, reader: Reader) -> None:
    await journal.submit(Chain("r").write("one"))
    with pytest.raises(StoreUnavailable, match="does not build on"):
        await journal.submit(Chain("r").write("one again"))
    assert texts(reader, "r") == ["one"]


async def test_a_gap_is_refused_after_reopening_too(path: Path) -> None:
    chain = Chain("r")
    journal = Journal(path, synchronous="OFF")
    await journal.submit(chain.write("one"))
    await asyncio.to_thread(journal.close)
    chain.write("lost")
    journal = Journal(path, synchronous="OFF")
    with pytest.raises(StoreUnavailable, match="does not build on event 1"):
        await journal.submit(chain.write("after the gap"))
    await asyncio.to_thread(journal.close)


@pytest.mark.parametrize(
    "row", [("w", "r"), ("half \ud800", "n", "t", AT), (2**70, "n", "t", AT), (object(), "n", "t", AT)],
    ids=["columns", "surrogate", "huge", "object"],
)  # fmt: skip
async def test_one_bad_write_fails_alone(journal: Journal, reader: Reader, row: Any) -> None:
    bad = Chain("bad").write("x")
    bad.put("definitions", "v", row)
    futures = [journal.submit(Chain("a").write("x")), journal.submit(bad), journal.submit(Chain("b").write("x"))]
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), StoreUnavailable, type(None)]
    assert [texts(reader, run) for run in ("a", "bad", "b")] == [["x"], [], ["x"]]
    await journal.submit(Chain("c").write("the writer lives on"))


async def test_after_a_failed_write_its_run_waits_for_a_fresh_start_and_others_do_not(
    journal: Journal, reader: Reader
) -> None:
    chain, other = Chain("r"), Chain("s")
    bad = chain.write("one")
    bad.put("definitions", "v", ("too few",))
    outcomes = await asyncio.gather(
        journal.submit(bad),
        journal.submit(chain.write("two")),
        journal.submit(other.write("x")),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable, StoreUnavailable, type(None)]
    fresh = Chain("r")
    await journal.submit(fresh.write("one, again"))
    assert texts(reader, "r") == ["one, again"]


async def test_a_full_disk_is_told_and_work_goes_on_when_there_is_room(journal: Journal, reader: Reader) -> None:
    chain = Chain("r")
    await journal.submit(chain.write("one"))
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._connection.execute(f"PRAGMA max_page_count = {pages}")
    full = chain.head
    with pytest.raises(StoreUnavailable, match="disk is full.*nothing acknowledged is lost"):
        await journal.submit(chain.write("x" * 100_000))
    assert texts(reader, "r") == ["one"]
    journal._connection.execute("PRAGMA max_page_count = 1000000")
    chain.head = full
    await journal.submit(chain.write("x" * 100_000))
    assert len(texts(reader, "r")) == 2


async def test_a_second_run_under_one_key_does_not_push_the_first_out(journal: Journal, reader: Reader) -> None:
    def started(run: str) -> Write:
        write = Chain(run).write("x")
        write.put("runs", run, (run, "buy", "v", "running", "key", None, None, "ann", AT, AT, 1, b"", None))
        return write

    await journal.submit(started("r1"))
    with pytest.raises(StoreUnavailable, match="UNIQUE"):
        await journal.submit(started("r2"))
    assert reader.value("run_by_key", ("buy", "key")) == "r1"


async def test_a_zombie_is_fenced_in_its_transaction(journal: Journal, path: Path, reader: Reader) -> None:
    await journal.submit(Chain("a").write("mine"))
    other = Journal(path, synchronous="OFF")
    with pytest.raises(StoreFenced, match="another worker has taken this store over"):
        await journal.submit(Chain("b").write("too late"))
    with pytest.raises(StoreFenced):
        journal.submit(Chain("c").write("still too late"))
    await other.submit(Chain("b").write("in time"))
    await asyncio.to_thread(other.close)
    assert [texts(reader, run) for run in "abc"] == [["mine"], ["in time"], []]


# --- the file ---------------------------------------------------------------------------------------------------------


def test_a_file_that_is_no_store_is_named(path: Path) -> None:
    path.write_bytes(b"this is a letter to my grandmother" * 50)
    with pytest.raises(StoreMismatch, match=r"'backstay\.db' is not a Backstay store"):
        Journal(path)
    assert path.read_bytes().startswith(b"this is a letter")


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(path: Path) -> None:
    Journal(path, synchronous="OFF").close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO migrations VALUES ('0099_future.sql', 'abc')")
    with pytest.raises(StoreMismatch, match=r"migration '0099_future\.sql'.*install the newer one"):
        Journal(path)


def test_a_migration_that_was_changed_afterwards_is_refused(path: Path) -> None:
    Journal(path, synchronous="OFF").close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE migrations SET checksum = 'abc'")
    with pytest.raises(StoreMismatch, match=r"0001_spine\.sql"):
        Journal(path)


def test_another_sqlite_database_is_not_taken_over(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE events (diary TEXT)")
    with pytest.raises(StoreMismatch, match="not a Backstay store"):
        Journal(path)
    with closing(sqlite3.connect(path)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
    assert names == ["events"]


def test_opening_twice_migrates_once(path: Path) -> None:
    for _ in range(2):
        Journal(path, synchronous="OFF").close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name, checksum FROM migrations").fetchall() == [
            (name, checksum) for name, checksum, _ in migrations()
        ]


def test_the_writer_syncs_every_commit_unless_told_otherwise(path: Path) -> None:
    journal = Journal(path)
    assert journal._connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert journal._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    journal.close()


# --- events ---------------------------------------------------------------------------------------------------------


def test_every_kind_of_event_has_one_name_and_the_system_has_its_own_chain() -> None:
    assert len(ev.KINDS) == len(ev.EVENTS)
    assert SYSTEM == "system"


def test_an_event_is_written_without_its_defaults_and_read_back() -> None:
    event = ev.TimerSet(at=AT, command="1", site="a", due=AT)
    assert encode(event) == ("timer_set", f'{{"at":"{AT}","command":"1","site":"a","due":"{AT}"}}')
    assert decode(*encode(event)) == event


@pytest.mark.parametrize(("kind", "body"), [("nonsense", "{}"), ("timer_set", "{}"), ("timer_set", "not json")])
def test_what_is_no_event_is_refused(kind: str, body: str) -> None:
    with pytest.raises(ValueError, match=r"unknown event kind|validation error"):
        decode(kind, body)


async def test_an_event_that_builds_on_one_that_was_never_committed_is_refused(journal: Journal) -> None:
    chain = Chain("r")
    await journal.submit(chain.write("one"))
    lost = Chain("r")
    lost.head = chain.head
    lost.write("never handed in")
    orphan = lost.write("builds on it")
    await journal.submit(chain.write("two"))
    with pytest.raises(StoreUnavailable, match="does not build on"):
        await journal.submit(orphan)
