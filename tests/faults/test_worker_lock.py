"""Whoever only looks whether a worker runs keeps no worker from starting, and is not taken for one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.engine.application import LOCK_FILE, take_lock
from backstay.engine.control import is_owned
from backstay.errors import StoreLocked

LOOKERS = 3


@pytest.fixture
def seen(home: Path) -> Iterator[list[bool]]:
    """What some people see who look all the time, as every command does."""
    home.mkdir()
    take_lock(home / LOCK_FILE).close()
    seen, end = list[bool](), threading.Event()

    def look() -> None:
        while not end.is_set():
            seen.append(is_owned(home))

    threads = [threading.Thread(target=look) for _ in range(LOOKERS)]
    for thread in threads:
        thread.start()
    yield seen
    end.set()
    for thread in threads:
        thread.join()


def test_a_worker_starts_while_people_look_for_it(home: Path, seen: list[bool]) -> None:
    for _ in range(300):
        take_lock(home / LOCK_FILE).close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no shared locks: who looks may see another who looks")
def test_nobody_takes_another_who_looks_for_a_worker(home: Path, seen: list[bool]) -> None:
    while len(seen) < 3000:
        is_owned(home)
    assert not any(seen)


def test_a_worker_is_seen_and_named_however_many_look(home: Path, seen: list[bool]) -> None:
    with take_lock(home / LOCK_FILE):
        assert is_owned(home)
        with pytest.raises(StoreLocked, match=f"in use by process {os.getpid()};"):
            take_lock(home / LOCK_FILE)
