"""Whenever the power fails, what was acknowledged is on the disk, the chain holds, and every case can be brought to its end."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from benchmarks.power_loss import Found, Trace, examine, record, why_not
from benchmarks.power_loss_disk import SYNC_BEGIN, SYNC_END, WRITE, Disk, Record, read_trace
from benchmarks.power_loss_work import HEARD

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "it can be recorded")

CASES = 6
DISKS = 50


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    """Two lives of a worker, the first of which is killed."""
    return record(tmp_path_factory.mktemp("power"), seed=7, cases=CASES, deaths=1)


def write(inode: int, at: int, data: bytes) -> Record:
    return Record(op=WRITE, inode=inode, offset=at, data=data, more=b"")


def test_the_disk_keeps_what_was_synced_and_perhaps_some_of_the_rest() -> None:
    disk = Disk("/d", 1)
    disk.take(Record(op=5, inode=2, offset=0, data=b"/d/file", more=b""))
    for inode in (2, 1):
        disk.take(write(2, 0, b"synced"))
        disk.take(Record(op=SYNC_BEGIN, inode=inode, offset=0, data=b"", more=b""))
        disk.take(Record(op=SYNC_END, inode=inode, offset=0, data=b"", more=b""))
    disk.take(write(2, 6, b" or not"))
    assert disk.now() == {"file": b"synced or not"}
    assert disk.least() == {"file": b"synced"}
    assert {disk.fail(random.Random(seed))["file"] for seed in range(50)} >= {b"synced", b"synced or not"}


def test_a_file_whose_folder_was_not_synced_may_be_gone() -> None:
    disk = Disk("/d", 1)
    disk.take(Record(op=5, inode=2, offset=0, data=b"/d/file", more=b""))
    assert (disk.now(), disk.least()) == ({"file": b""}, {})


def test_wherever_the_power_fails_the_next_worker_goes_on(trace: Trace, tmp_path: Path) -> None:
    dice = random.Random(7)
    points = sorted(dice.randint(1, trace.records) for _ in range(DISKS))
    assert told(examine(trace, 7, points, tmp_path / "disks")) == (DISKS, {})


def test_right_after_each_acknowledgement_what_is_safe_is_enough(trace: Trace, tmp_path: Path) -> None:
    """Nothing that was not synced is left: the least kind disk."""
    disk, points = Disk(trace.root, trace.inode), list[int]()
    for number, each in enumerate(read_trace(trace.path), 1):
        disk.take(each)
        if each.op == WRITE and _is_heard(each.data) and disk.read(HEARD).endswith(each.data):
            points.append(number)
    chosen = points[:: max(1, len(points) // 12)]
    assert len(chosen) >= 12
    assert told(examine(trace, 7, chosen, tmp_path / "disks", least=True)) == (len(chosen), {})


def _is_heard(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except ValueError:
        return False


def told(found: Found) -> tuple[int, dict[str, int]]:
    return found.disks, dict(found.wrong)
