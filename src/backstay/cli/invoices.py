"""The accounts-payable demo: the example's own code drives it, this tells what happens and counts."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from rich.text import Text

from backstay.cli import screen
from backstay.cli.exits import ATTENTION, OK, REFUSED
from backstay.cli.following import News
from backstay.cli.stores import STORE_FILE, reader_of
from backstay.cli.story import MARKS, details
from backstay.cli.worker import opened, stopping
from backstay.engine.application import LOCK_FILE, take_lock
from backstay.engine.client import Client
from backstay.engine.control import is_owned
from backstay.errors import NotFound
from backstay.governance.audit import verify

PACKAGE: Final = "examples.accounts_payable"
NAMES: Final = 30
"""Cells in which the name of a file is shown."""
TOLD: Final = frozenset({"asked", "answered", "rejected", "problem", "end", "failed"})
"""Marks of the lines that the demo tells; `backstay log` has the rest."""


@dataclass(frozen=True)
class Example:
    """What the demo needs of the example's modules."""

    app: Any
    inbox: Any
    outcomes: Any


def find_example() -> Example:
    """The example of the source checkout that this package runs from, or of the current directory."""
    for root in (Path(__file__).resolve().parents[3], Path.cwd()):
        if (root / "examples" / "accounts_payable" / "app.py").exists():
            sys.path.insert(0, str(root))
            return Example(*(import_module(f"{PACKAGE}.{name}") for name in ("app", "inbox_folder", "outcomes")))
    raise NotFound("the demo is part of the source checkout; run it there (the directory that holds examples/)")


def fill(folder: Path, invoices: Path) -> None:
    """Put the example's invoices into the drop folder, each whole or not at all; those that are there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted(invoices.iterdir()):
        target = folder / source.name
        if source.is_file() and not target.exists():
            copy = folder / f".{source.name}.part"
            shutil.copyfile(source, copy)
            os.replace(copy, target)


async def run_once(example: Example, home: Path, as_json: bool) -> int:
    """Take every invoice of the folder as far as it goes without people; prints the numbers."""
    prepare(example, home)
    teller = Teller(example, home, as_json)
    if not as_json:
        teller.introduce(once=True)
    async with opened(example.app.app, home, as_json, tell=teller.tell) as client:
        inbox = await example.app.run_folder_once(client, home, home / "inbox")
        await asyncio.sleep(0.2 if not as_json else 0)  # let the last lines be told
        numbers = await count(example, client, inbox)
    audit = audited(home)
    if as_json:
        screen.show_json({**numbers, "audit": audit, "home": str(home)})
    else:
        teller.sum_up(numbers, audit)
        teller.suggest(running=False)
    if audit != "ok":
        return REFUSED
    return ATTENTION if numbers["lost"] or numbers["failed"] else OK


async def run_on(example: Example, home: Path, as_json: bool) -> int:
    """Keep working on what falls into the folder and what people decide, until Ctrl-C."""
    prepare(example, home)
    teller, stop = Teller(example, home, as_json), stopping()
    if not as_json:
        teller.introduce(once=False)
    async with opened(example.app.app, home, as_json, tell=teller.tell) as client:
        inbox = example.inbox.InboxFolder(home / "inbox", home)
        watching = asyncio.create_task(take_in(example, client, inbox, stop))
        first = asyncio.create_task(first_wave(example, client, inbox, teller, as_json))
        await asyncio.wait([asyncio.create_task(stop.wait()), watching], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        first.cancel()
        await watching
        numbers = await count(example, client, inbox)
    if as_json:
        screen.show_json({**numbers, "audit": audited(home), "home": str(home)})
    else:
        screen.hint(f"Stopped. `backstay demo --home {home}` goes on from here.")
    return OK


async def take_in(example: Example, client: Client, inbox: Any, stop: asyncio.Event) -> None:
    """Start a case for every document that falls into the folder."""
    async for document in inbox.documents(stop):
        await example.app.start_case(client, inbox, document)


async def first_wave(example: Example, client: Client, inbox: Any, teller: Teller, as_json: bool) -> None:
    """When the invoices that were there are through: the numbers, and what the user can try."""
    while not inbox.arrived() or inbox.waiting():
        await asyncio.sleep(0.3)
    await client.idle()
    await asyncio.sleep(0.3)
    if not as_json:
        teller.sum_up(await count(example, client, inbox), "")
        teller.suggest(running=True)


def prepare(example: Example, home: Path) -> None:
    """Lay out the folder and the ERP; a home that another process owns is refused before anything is written there."""
    if is_owned(home):
        take_lock(home / LOCK_FILE).close()  # raises, and names the owner
    home.mkdir(parents=True, exist_ok=True)
    example.app.set_up(home)
    fill(home / "inbox", example.app.INVOICES)


async def count(example: Example, client: Client, inbox: Any) -> dict[str, Any]:
    """Invoices and where they stand, as the example counts them."""
    return example.outcomes.summary(await example.outcomes.actual(client, inbox))


def audited(home: Path) -> str:
    """ "ok", or how much the verifier found."""
    report = verify(home / STORE_FILE)
    return "ok" if report.ok else f"{len(report.findings)} finding(s): {report.findings[0]}"


def held(home: Path) -> int:
    """Payments that the gate holds until a person approves them."""
    with reader_of(home) as reader:
        asked = {"queue": "treasury", "kind": "approval", "action": None, "people": 1, "limit": 1_000_000}
        return len(reader.all("waits", asked))


class Teller:
    """The demo's words."""

    def __init__(self, example: Example, home: Path, as_json: bool) -> None:
        self._inbox = example.inbox.InboxFolder(home / "inbox", home)
        self._home, self._as_json = home, as_json
        self._names: dict[str, str] = {}

    def introduce(self, *, once: bool) -> None:
        files = sum(1 for path in (self._home / "inbox").iterdir() if not path.name.startswith("."))
        screen.say("Accounts payable", "bold")
        screen.say(f"{files} files lie in the drop folder: invoices in seven languages,")
        screen.say("some broken, some hostile. Each is read, matched with its order and")
        screen.say("receipts, and posted; what the rules cannot settle waits in the queue")
        screen.say("of those who can. No network, no key.")
        screen.say()
        facts = [("store", str(self._home / STORE_FILE)), ("ERP", str(self._home / "erp.db"))]
        screen.out().print(details([*facts, ("folder", str(self._home / "inbox"))]))
        if not once:
            screen.hint("Ctrl-C stops; the same command goes on.")
        screen.say()

    def tell(self, news: News) -> None:
        """One line for each thing that concerns a person: who is asked, who answered, how a case ended."""
        aside = news.run.parent and news.line.mark == "asked"  # payments: one line in the sum says it for all
        if self._as_json or news.line.mark not in TOLD or aside:
            return
        width = screen.out().width
        told = Text(screen.one_line(self._name(news)), "cyan", no_wrap=True)
        told.truncate(NAMES, overflow="ellipsis", pad=True)
        told.append_text(Text.assemble(" ", *self._words(news)))
        told.truncate(width, overflow="ellipsis")
        screen.out().print(told, no_wrap=True)

    def _words(self, news: News) -> Iterator[Any]:
        sign, style = MARKS[news.line.mark]
        values = dict(news.line.details)
        yield (f"{sign} ", style)
        if news.line.mark == "end":
            yield screen.one_line(values.get("→", "finished")).replace("status ", "").replace("invoice_id ", "")
            return
        yield screen.one_line(news.line.text)
        more = next((values[name] for name in ("reason", "error", "why", "problem") if name in values), "")
        if more:
            yield (f"  {screen.one_line(more)}", "dim")
        if news.line.mark in ("answered", "rejected"):
            yield (f"  {screen.one_line(news.line.by)}", "blue")

    def _name(self, news: News) -> str:
        """The file that a case is about; other runs go by their workflow."""
        key = news.run.key or ""
        if key not in self._names:
            self._names |= {document.digest: document.name for document in self._inbox.arrived()}
        return self._names.get(key) or f"{news.run.workflow} {news.run.id[-8:]}"

    def sum_up(self, numbers: dict[str, Any], audit: str) -> None:
        queued = numbers["queued"]
        screen.say()
        screen.say(f"{numbers['invoices']} invoices", "bold")
        made = screen.table("", "", "", flexible="")
        made.show_header = False
        for name in ("posted", "waiting", "rejected", "failed", "lost"):
            made.add_row(str(numbers[name]), name, "")
        lying = ", ".join(f"{queue} {number}" for queue, number in queued.items())
        made.add_row(str(sum(queued.values())), "queued", lying)
        screen.out().print(made)
        payments = held(self._home)
        if payments:
            screen.say(f"{payments} payments wait for the treasurer: what cannot be taken back needs a person.")
        if audit:
            screen.say(f"audit: {audit}", "green" if audit == "ok" else "bold red")

    def suggest(self, *, running: bool) -> None:
        home = f"--home {self._home}"
        screen.say()
        screen.say("Try, in another terminal:" if running else "Look around:", "bold")
        lines = [
            f"backstay inbox {home}",
            f"backstay log RUN {home}",
            f"backstay show RUN {home}",
            f"backstay audit verify {home}",
        ]
        if running:
            lines[1:1] = [f"backstay approve ITEM --as dana {home}", f"cp some-invoice.pdf {self._home / 'inbox'}/"]
        for line in lines:
            screen.hint(f"  {line}")
        screen.say()
