"""How long it takes to verify a million records, and how large the proof of one of them is.

`python -m benchmarks.audit` fills a throw-away store with so many events of finished runs, signs a checkpoint over them
and verifies everything: chains, commits, rows, definition, the tree and the checkpoint.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from backstay import IdempotencyKey, action, events, workflow
from backstay.governance.audit import verify
from backstay.governance.checkpoints import grow, load_signer, sign_tree
from backstay.governance.merkle import inclusion_ranges
from backstay.language import Workflow
from backstay.store.database import Reader
from backstay.store.journal import Journal, Write, genesis
from backstay.verify import read_checkpoint

AT = "2026-01-05T09:00:00.000000Z"
STEPS = 6
"""Writes in each run: an intent and a result each, so 14 events a run with its beginning and end."""


@action(effect="write")
async def post(amount: str, account: str, key: IdempotencyKey) -> str:
    return amount


@workflow
async def paying(account: str) -> str:
    return await post("12.50", account)


def a_run(number: int, version: str) -> Iterator[events.Event]:
    account = f"DE{number:020d}"
    yield events.RunStarted(at=AT, by="benchmark", workflow="paying", version=version, input={"account": account})
    for step in range(STEPS):
        call = {"command": str(step), "site": "post", "action": "post"}
        args = {"amount": "12.50", "account": account}
        yield events.CallIntended(
            at=AT, **call, effect="write", args=args, key=f"{number:020d}{step:020d}", rule="baseline-writes"
        )
        yield events.CallReturned(at=AT, **call, result="12.50", micros=20_000)
    yield events.RunFinished(at=AT, result="12.50")


def one_write(number: int, flow: Workflow[..., object]) -> Write:
    write, run, head = Write(), f"{number:026d}", genesis(f"{number:026d}")
    for event in a_run(number, flow.definition.version):
        head = write.append(run, head, event)
    row = (run, "paying", flow.definition.version, "finished", None, None, None, "benchmark", AT, AT, *head, None)
    write.put("runs", run, row)
    if number == 0:
        kept = flow.definition
        write.put("definitions", kept.version, (kept.version, kept.name, kept.text, AT))
    return write


async def fill(path: Path, records: int) -> None:
    """So many records, rounded down to whole runs, 200 runs a commit."""
    journal = Journal(path, synchronous="OFF")
    for first in range(0, records // (2 * STEPS + 2), 200):
        last = min(first + 200, records // (2 * STEPS + 2))
        await asyncio.gather(*(journal.submit(one_write(number, paying)) for number in range(first, last)))
    journal.close()


def measure(home: Path, records: int) -> dict[str, object]:
    asyncio.run(fill(home / "backstay.db", records))
    with closing(Reader(home / "backstay.db")) as reader:
        size = reader.value("last_position")
        signer = load_signer(home, reader)
        began = time.perf_counter()
        grow(reader, size)
        tree_seconds = time.perf_counter() - began
        longest = max(len(inclusion_ranges(index, size)) for index in (0, size // 2, size - 2, size - 1))
        tree, _, note = sign_tree(reader, signer, size, inclusion_ranges(0, size))
        held = {"held": read_checkpoint(note, signer.public)}
        began, spent = time.perf_counter(), time.process_time()
        report = verify(reader, key=signer.public, held=held)
        seconds, cpu = time.perf_counter() - began, time.process_time() - spent
    assert report.ok, report.findings[:3]
    assert len(tree.proof(inclusion_ranges(0, size))) == longest
    return {
        "records": report.events, "verify_seconds": round(seconds, 2), "verify_cpu_seconds": round(cpu, 2), "tree_seconds": round(tree_seconds, 2),
        "proof_hashes": longest, "proof_bytes": 32 * longest, "python": platform.python_version(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_006)
    with tempfile.TemporaryDirectory() as home:
        print(json.dumps(measure(Path(home), parser.parse_args().records), indent=2))


if __name__ == "__main__":
    main()
