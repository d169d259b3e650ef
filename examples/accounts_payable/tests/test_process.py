"""The stories of accounts payable, told on the real engine: files in, people act, the ERP holds each thing once."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from backstay import Client
from examples.accounts_payable.app import INVOICES, app, run_folder_once, set_up
from examples.accounts_payable.erp import Erp, FaultKind
from examples.accounts_payable.inbox_folder import InboxFolder
from examples.accounts_payable.outcomes import Ending, actual, expected, summary

Story = Callable[[Client, InboxFolder], Awaitable[None]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def erp(home: Path) -> Erp:
    return Erp(home / "erp.db")


def tell(home: Path, story: Story, *files: str) -> None:
    """Drop these files, run until nothing moves, then let the story go on."""
    folder = home / "drop"
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(INVOICES / file, folder)

    async def run() -> None:
        set_up(home)
        async with app.open(home, synchronous="OFF") as client:
            inbox = await run_folder_once(client, home, folder)
            await story(client, inbox)

    asyncio.run(run())


async def complete(client: Client, queue: str, value: dict[str, Any]) -> None:
    """A person takes the only task of a queue and fills its form in."""
    (item,) = client.inbox(queue=queue)
    await client.complete(item.id, value, by="maria")
    await client.idle()


async def ending(client: Client, inbox: InboxFolder) -> Ending:
    (found,) = (await actual(client, inbox)).values()
    return found


def numbers(erp: Erp) -> list[str]:
    return [row["number"] for row in erp.posted() if row["document"]]


def test_every_file_ends_as_the_table_says_and_starting_again_changes_nothing(home: Path, erp: Erp) -> None:
    async def run() -> list[dict[str, Ending]]:
        endings = []
        for _ in range(2):
            set_up(home)
            async with app.open(home, synchronous="OFF") as client:
                endings.append(await actual(client, await run_folder_once(client, home)))
        return endings

    first, second = asyncio.run(run())
    assert first == second == expected()
    numbers_shown = summary(first)
    assert (numbers_shown["invoices"], numbers_shown["lost"], numbers_shown["failed"]) == (
        len(expected()),
        0,
        0,
    )
    assert erp.held_twice() == []
    assert [alert["recipient"] for alert in erp.alerts()] == ["it-service@nordkai.example"]


def test_an_invoice_without_an_order_goes_on_when_purchasing_finds_it(home: Path, erp: Erp) -> None:
    async def story(client: Client, inbox: InboxFolder) -> None:
        await complete(client, "missing-po", {"po_number": "PO-000000"})
        assert await ending(client, inbox) == Ending("queued", "missing-po")
        await complete(client, "missing-po", {"po_number": "PO-045071"})
        assert await ending(client, inbox) == Ending("queued", "coding")

    tell(home, story, "hawthorne-0324.pdf")
    assert numbers(erp) == []


def test_an_unreadable_file_is_sent_back_with_a_reason(home: Path) -> None:
    async def story(client: Client, inbox: InboxFolder) -> None:
        await complete(client, "unreadable", {"reject": "asked the sender for the PDF"})
        assert await ending(client, inbox) == Ending("rejected")

    tell(home, story, "x-picture.pdf")


def test_a_scan_that_a_person_has_read_goes_on_to_the_match(home: Path) -> None:
    async def story(client: Client, inbox: InboxFolder) -> None:
        await complete(client, "invoice-review", {"vendor": "Hawthorne Office Supplies Ltd", "number": "HOS-118240"})
        assert await ending(client, inbox) == Ending("queued", "invoice-review")
        fields = {"issued": "2026-02-10", "currency": "GBP", "total": "6620.59", "po_number": "PO-045071"}
        await complete(client, "invoice-review", fields)
        assert await ending(client, inbox) == Ending("queued", "mismatch")
        await complete(client, "mismatch", {"verdict": "accept", "comment": "checked by eye"})
        assert await ending(client, inbox) == Ending("posted")

    tell(home, story, "x-scanned.pdf")


def test_the_second_of_two_is_a_duplicate_until_a_person_says_otherwise(home: Path, erp: Erp) -> None:
    async def story(client: Client, inbox: InboxFolder) -> None:
        both = await actual(client, inbox)
        assert [both[name].queue for name in sorted(both)] == ["", "possible-duplicate"]
        await complete(client, "possible-duplicate", {"verdict": "duplicate", "comment": "sent twice"})
        assert summary(await actual(client, inbox))["rejected"] == 1

    tell(home, story, "vandermeer-week-10.pdf", "vandermeer-week-10_opnieuw.pdf")
    assert numbers(erp) == ["26327613"]


def test_a_large_invoice_is_posted_when_approved_and_paid_when_the_treasury_agrees(home: Path, erp: Erp) -> None:
    async def story(client: Client, inbox: InboxFolder) -> None:
        (asked,) = client.inbox(queue="ap-approvers")
        await client.decide(asked.id, "approved", by="paula")
        await client.idle()
        assert await ending(client, inbox) == Ending("posted")
        (held,) = client.inbox(queue="treasury")
        await client.decide(held.id, "approved", by="theo")
        await client.idle()
        with erp.transaction() as db:
            assert db.execute("SELECT count(*), amount FROM payments").fetchone()[:] == (1, "79756.51")

    tell(home, story, "brandt-anlage.pdf")


def test_a_rejected_large_invoice_is_never_posted(home: Path, erp: Erp) -> None:
    async def story(client: Client, inbox: InboxFolder) -> None:
        (asked,) = client.inbox(queue="ap-approvers")
        await client.decide(asked.id, "rejected", by="paula", reason="not ordered by us")
        await client.idle()
        assert await ending(client, inbox) == Ending("rejected")

    tell(home, story, "cascade-licences.pdf")
    assert numbers(erp) == []


def test_the_backlog_is_posted_once_when_the_erp_is_back(home: Path, erp: Erp) -> None:
    async def story(client: Client, inbox: InboxFolder) -> None:
        assert await ending(client, inbox) == Ending("queued", "manual-backlog")
        assert "ledger 4700 is not reachable" in erp.alerts()[0]["message"]
        erp.heal()
        assert await client.retry("queue:manual-backlog", by="it") == 1
        await client.idle()
        assert await ending(client, inbox) == Ending("posted")

    tell(home, story, "meridian-cleaning.pdf")
    assert numbers(erp) == ["MF9478795"]
    assert erp.held_twice() == []


@pytest.mark.parametrize(("kind", "times"), [("raise", 3), ("half", 2), ("rubbish", 1), ("hang", 1)])
def test_a_posting_that_fails_in_any_way_is_in_the_books_once(
    home: Path, erp: Erp, kind: FaultKind, times: int
) -> None:
    async def story(client: Client, inbox: InboxFolder) -> None:
        assert await ending(client, inbox) == Ending("posted")

    set_up(home)
    erp.fail("create_invoice", kind=kind, times=times)
    tell(home, story, "brandt-januar.pdf")
    assert numbers(erp) == ["RE-2026-6822"]
    assert erp.held_twice() == []


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_again_and_again_the_folder_ends_as_the_table_says(home: Path, erp: Erp) -> None:
    script = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from examples.accounts_payable.app import app, run_folder_once, set_up\n"
        "async def main(home):\n    set_up(home)\n"
        "    async with app.open(home) as client:\n        await run_folder_once(client, home)\n"
        "asyncio.run(main(Path(sys.argv[1])))\n"
    )
    root, dice = Path(__file__).parents[3], random.Random(7)
    for _ in range(8):
        child = subprocess.Popen([sys.executable, "-c", script, str(home)], cwd=root)
        time.sleep(dice.uniform(0.3, 1.6))
        child.send_signal(signal.SIGKILL)
        child.wait()

    async def finish() -> dict[str, Ending]:
        set_up(home)
        async with app.open(home) as client:
            return await actual(client, await run_folder_once(client, home))

    assert asyncio.run(finish()) == expected()
    assert erp.held_twice() == []
