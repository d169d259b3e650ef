"""What became of every file: the expected table (`outcomes.csv`), and the actual one as the engine tells it."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backstay import Client
from examples.accounts_payable.inbox_folder import InboxFolder

TABLE = Path(__file__).with_name("outcomes.csv")


@dataclass(frozen=True)
class Ending:
    """Where a file stands: posted, rejected, duplicate, queued, waiting, moving, failed or lost; and in which queue.

    lost: it arrived and has no case, or lies in the folder, never arrived, and nobody was told why.
    """

    outcome: str
    queue: str = ""


def expected_rows() -> list[dict[str, str]]:
    """The outcome table, one row per file; `outcome` "same" marks a copy of another file, which makes no case."""
    with TABLE.open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def expected() -> dict[str, Ending]:
    """How every file's case must stand while nobody acts, by file name; copies left out."""
    return {row["file"]: Ending(row["outcome"], row["queue"]) for row in expected_rows() if row["outcome"] != "same"}


async def actual(client: Client, inbox: InboxFolder) -> dict[str, Ending]:
    """How every document that ever arrived stands, by the name under which it arrived first; and every file in the folder
    that did not arrive: failed when the inbox says what is wrong with it, lost when nobody does.
    """
    runs: dict[str, Any] = {}
    before = None
    while page := client.runs(workflow="process_invoice", before=before):
        runs |= {run.key: run for run in page}
        before = page[-1].id
    found: dict[str, Ending] = {}
    for document in inbox.arrived():
        run = runs.get(document.digest)
        found[document.name] = await _ending(client, run) if run else Ending("lost")
    for name in inbox.untaken():
        label = name if name not in found else f"{name} (as it is now)"
        found[label] = Ending("failed" if name in inbox.problems else "lost")
    return found


async def _ending(client: Client, run: Any) -> Ending:
    if run.status == "finished":
        return Ending((await client.result(run.id))["status"])
    if run.status != "waiting":
        return Ending("failed" if run.ended or run.status == "attention" else "moving")
    for wait in client.waits_of(run.id):
        if wait.queue:
            return Ending("waiting" if wait.kind == "approval" else "queued", wait.queue)
    return Ending("moving")


def summary(endings: dict[str, Ending]) -> dict[str, Any]:
    """The numbers of the demo; `moving` is 0 once nothing moves any more, `lost` always."""
    counted = Counter(ending.outcome for ending in endings.values())
    queued = Counter(ending.queue for ending in endings.values() if ending.outcome == "queued")
    return {
        "invoices": len(endings), "posted": counted["posted"], "queued": dict(sorted(queued.items())),
        "waiting": counted["waiting"], "rejected": counted["rejected"] + counted["duplicate"],
        "failed": counted["failed"], "moving": counted["moving"], "lost": counted["lost"],
    }  # fmt: skip
