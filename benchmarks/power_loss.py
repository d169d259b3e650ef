"""Cut the power at any moment of a worker's life, thousands of times: `python -m benchmarks.power_loss`.

SIGKILL loses no write, because the system keeps them. A power cut does. So every write, sync, cut and renaming of a real
worker over several lives is recorded (by `power_loss_shim.c`, with a C compiler, on Linux), and disks are made as a power
cut may leave them (`power_loss_disk.py`). Each is opened: what was acknowledged must be there, and all must go on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from backstay.engine.control import read_rules
from backstay.errors import BackstayError
from backstay.governance.audit import verify
from backstay.operations.proof import prove
from backstay.store.database import Reader
from backstay.store.payloads import Payloads
from benchmarks import power_loss_work as work
from benchmarks.power_loss_disk import Disk, read_trace

SHIM: Final = Path(__file__).with_name("power_loss_shim.c")
RESULT: Final = Path(__file__).parent / "results" / "power_loss.json"
COMPILERS: Final = ("cc", "gcc", "clang")


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A recorded life: where its records are, the folder that they are about, and what they were made of."""

    path: Path
    root: str
    inode: int
    records: int
    lives: int


@dataclass(kw_only=True)
class Found:
    """What came of some disks."""

    disks: int = 0
    acknowledged: int = 0
    """Acknowledgements that were looked for, over all disks."""
    cases: int = 0
    wrong: Counter[str] = field(default_factory=Counter[str])
    first: dict[str, str] = field(default_factory=dict)
    """What is wrong -> the first disk that had it."""

    def add(self, other: Found) -> None:
        self.disks += other.disks
        self.acknowledged += other.acknowledged
        self.cases += other.cases
        self.wrong += other.wrong
        self.first = other.first | self.first


def why_not() -> str:
    """Why nothing can be recorded here; empty when it can be."""
    if sys.platform != "linux":
        return "writes are recorded by preloading a library, as Linux does it"
    if not any(map(shutil.which, COMPILERS)):
        return f"no C compiler ({', '.join(COMPILERS)}) for {SHIM.name}"
    return ""


def record(folder: Path, seed: int, cases: int, deaths: int) -> Trace:
    """Let a worker live, be killed some times and come to its end, and record all that it writes."""
    library, trace, root = folder / "shim.so", folder / "trace", folder / "disk"
    root.mkdir(parents=True)
    compiler = next(filter(None, map(shutil.which, COMPILERS)))
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(SHIM)], check=True)
    shown = {"POWER_LOSS_ROOT": str(root), "POWER_LOSS_TRACE": str(trace), "LD_PRELOAD": str(library)}
    path = os.pathsep.join(filter(None, [str(SHIM.parent.parent), *sys.path]))
    dice = random.Random(seed)
    for life in range(deaths + 1):
        die_at = dice.randint(3, 4 * cases) if life < deaths else 0
        command = [
            sys.executable,
            "-m",
            "benchmarks.power_loss_work",
            str(root),
            f"{seed} {life}",
            str(cases),
            str(die_at),
        ]
        done = subprocess.run(
            command, env={**os.environ, **shown, "PYTHONPATH": path}, capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, -9):
            raise RuntimeError(f"the worker broke down: {done.stderr}")
    records = sum(1 for _ in read_trace(trace))
    return Trace(path=trace, root=str(root), inode=root.stat().st_ino, records=records, lives=deaths + 1)


# --- one disk -------------------------------------------------------------------------------------------------


def examine(trace: Trace, seed: int, points: list[int], places: Path, *, least: bool = False) -> Found:
    """Make a disk for each of these points, in order, and see whether it can be gone on with.

    least: nothing is left that was not synced; else chance says, and of every tenth disk nothing is.
    """
    logging.getLogger("backstay").setLevel(logging.CRITICAL)  # what is wrong is told below
    disk, found, at = Disk(trace.root, trace.inode), Found(), 0
    places.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(read_trace(trace.path), 1):
        disk.take(each)
        while at < len(points) and points[at] == number:
            heard = [json.loads(line) for line in disk.read(work.HEARD).splitlines()]
            left, root = disk.fail(random.Random(f"{seed} {number} {at}")), places / str(at)
            if least or at % 10 == 0:
                left = disk.least()
            _lay_out(root, left)
            try:
                wrong = list(_look(root, heard, found))
            except (BackstayError, sqlite3.Error) as error:
                wrong = [f"it cannot be gone on with: {type(error).__name__}: {error}"]
            found.disks += 1
            found.wrong.update(wrong)
            for each_wrong in wrong:
                sizes = {name: len(data) for name, data in left.items()}
                found.first.setdefault(each_wrong, f"record {number}, disk {at}: {sizes}")
            shutil.rmtree(root)
            at += 1
    return found


def _lay_out(root: Path, files: dict[str, bytes]) -> None:
    root.mkdir()
    for name, data in files.items():
        if name.endswith("/"):
            (root / name).mkdir(parents=True, exist_ok=True)
        elif name != work.HEARD:
            (root / name).write_bytes(data)


def _look(root: Path, heard: list[dict[str, str]], found: Found) -> Iterator[str]:
    """Everything that is wrong with a disk: before a worker has touched it, and after one has worked it off."""
    store = root / "home" / "backstay.db"
    found.acknowledged += len(heard)
    if heard and not (store.exists() and store.stat().st_size):
        yield "acknowledged, and there is no store"
        return
    read_rules(root / "home")
    if heard:
        yield from (f"audit: {finding.what}" for finding in verify(store).findings)
        yield from _missing(store, heard)
    cases = asyncio.run(_go_on(root))
    found.cases += len(cases)
    yield from (f"audit afterwards: {finding.what}" for finding in verify(store).findings)
    with closing(Reader(store)) as reader:
        payloads = Payloads(root / "home", reader)
        for run in cases.values():
            proof = prove(reader, payloads, run)
            if not proof.equal:
                yield f"does not replay: {proof.mismatch}"
    with closing(sqlite3.connect(root / work.WORLD)) as db:
        happened = sorted(row[0] for row in db.execute("SELECT what FROM effects"))
    if happened != work.expected([int(case) for case in cases]):
        yield "the world is not as it should be: an effect is lost or doubled"


def _missing(store: Path, heard: list[dict[str, str]]) -> Iterator[str]:
    """What was acknowledged and is not in the journal."""
    with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as db:
        bodies = [row[0] for row in db.execute("SELECT body FROM events WHERE kind <> 'call_returned'")]
        runs = dict(db.execute("SELECT json_extract(body, '$.key'), run FROM events WHERE kind = 'run_started'"))
    text = "\n".join(bodies)
    for line in heard:
        if "run" in line and runs.get(line["key"]) != line["run"]:
            yield "an acknowledged start is lost"
        if "word" in line and f'"{line["word"]}"' not in text:
            yield "an acknowledged act of a person is lost"


async def _go_on(root: Path) -> dict[str, str]:
    """Open the disk as the next worker does, and bring every case to its end; gives key -> run."""
    work.use(root)
    dice = random.Random(1)
    async with work.app.open(root / "home", synchronous="OFF") as client:
        end = time.monotonic() + 60
        while await work.push(client, lambda **_: None, dice) or any(
            not run.ended for run in client.runs(limit=10_000)
        ):
            await asyncio.sleep(0)
            if any(run.status == "attention" for run in client.runs(limit=10_000)) or time.monotonic() > end:
                stuck = [wait.title for run in client.runs(limit=10_000) for wait in client.waits_of(run.id)]
                raise BackstayError(f"a case does not come to its end: {stuck[:1]}")
        return {str(run.key): run.id for run in client.runs(limit=10_000)}


# --- many -----------------------------------------------------------------------------------------------------


def cut_often(trace: Trace, folder: Path, seed: int, disks: int, jobs: int) -> Found:
    """Cut the power at so many moments, spread over all records."""
    dice, total = random.Random(seed), Found()
    points = sorted(dice.randint(1, trace.records) for _ in range(disks))
    if jobs < 2:
        return examine(trace, seed, points, folder / "0")
    shares = [points[start::jobs] for start in range(jobs)]
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        futures = [
            pool.submit(examine, trace, seed + number, share, folder / str(number))
            for number, share in enumerate(shares)
        ]
        for future in futures:
            total.add(future.result())
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--disks", type=int, default=3000)
    parser.add_argument("--traces", type=int, default=3, help="recorded lives, over which the disks are spread")
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument(
        "--deaths", type=int, default=3, help="how often each worker is also killed, before its last life"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true", help=f"also write {RESULT.name} into benchmarks/results")
    options = parser.parse_args()
    if why_not():
        parser.exit(3, f"not measured: {why_not()}\n")
    begun, total, records = time.monotonic(), Found(), 0
    with tempfile.TemporaryDirectory(prefix="backstay-power-") as name:
        for number in range(options.traces):
            folder, seed = Path(name) / str(number), options.seed + number
            trace = record(folder, seed, options.cases, options.deaths)
            records += trace.records
            share = options.disks // options.traces
            total.add(cut_often(trace, folder / "disks", seed, share, options.jobs))
            print(
                f"{total.disks} disks of {number + 1} traces, {total.wrong.total()} wrong", file=sys.stderr, flush=True
            )
    told: dict[str, Any] = {
        "date": date.today().isoformat(), "python": platform.python_version(), "sqlite": sqlite3.sqlite_version,
        "seed": options.seed, "traces": options.traces, "records": records, "lives": options.traces * (options.deaths + 1),
        "disks": total.disks, "acknowledgements": total.acknowledged, "cases_brought_to_their_end": total.cases,
        "seconds": round(time.monotonic() - begun, 1), "wrong": dict(total.wrong.most_common()), "first": total.first,
    }  # fmt: skip
    if options.save:
        RESULT.write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    if options.json:
        print(json.dumps(told))
    else:
        print("\n".join(f"{name:28} {value}" for name, value in told.items()))
    return 1 if total.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
