"""The people of the chaos office: other processes, which look into the store and ask its worker through the control port.

They go on while the worker dies under their hands. Each request is written down before it is sent and again when its
answer is there, synced: what was acknowledged, what was refused, and what nobody knows because no answer came.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from backstay.engine.control import RemoteClient, find_worker
from backstay.errors import BackstayError, StoreUnavailable
from backstay.operations.watchdog import everything
from backstay.store.database import Reader
from backstay.store.views import Wait, read_events
from benchmarks.chaos_office import BOARD
from examples.accounts_payable import erp as books
from examples.accounts_payable.app import INVOICES
from examples.accounts_payable.erp import Erp, ErpUnavailable

WORK, FINISH, STOP = 0, 1, 2
"""Begin new cases and do as people do; only bring to an end what is there; go home."""

CROWD: Final = 3
"""Things that one process of people has in hand at once."""
BUSY: Final = 60
"""Items waiting for people above which nothing new begins."""

STAFF: Final[dict[str, tuple[str, ...]]] = {
    "lead-support": ("marek", "marek", "zofia"), "lead-sales": ("clara", "clara", "lena"),
    "head-of-operations": ("helena",), "hr": ("hanna", "hugo"), "board": BOARD, "treasury": ("theo", "tessa"),
    "manual-backlog": ("ines",), "operators": ("ines",),
}  # fmt: skip
"""Who works on a queue, substitutes included; on any other, the clerks."""
CLERKS: Final = ("maria", "piotr")
EMPLOYEES: Final = {
    "nina": "tomek", "tomek": "zofia", "zofia": "nina", "marek": "nina", "jonas": "lena", "lena": "jonas",
    "clara": "jonas",
}  # fmt: skip
"""Employee -> who stands in."""
DELEGATIONS: Final = (("marek", "zofia", "lead-support"), ("clara", "lena", "lead-sales"), ("theo", "tessa", None))

Outcome: TypeAlias = Literal["ack", "refused", "unsure"]


@dataclass(kw_only=True)
class Diary:
    """What one process of people asked for and heard: one JSON line each."""

    path: Path
    number: int = 0

    def write(self, **line: Any) -> None:
        """Synced before it returns."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, default=str) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def word(self) -> str:
        """A word that stands nowhere else, by which a request is recognised in the journal."""
        self.number += 1
        return f"{self.path.stem}-{self.number}"


def live(seed: str, home: Path, diary: Path, mode: Any, rate: float) -> None:
    """One process of people, until `mode` says stop. rate: cases that it begins in a second."""
    asyncio.run(People(seed, home, diary, mode, rate).all())


class People:
    """Everybody of the office, as often as there are processes."""

    def __init__(self, seed: str, home: Path, diary: Path, mode: Any, rate: float) -> None:
        self.home, self.rate, self._mode = home, rate, mode
        self.dice, self.diary = random.Random(seed), Diary(path=diary)
        self.master = json.loads((books.HERE / "master_data.json").read_text("utf-8"))
        self.begun, self.opened = 0, time.monotonic()

    async def all(self) -> None:
        await asyncio.gather(self._begin_cases(), *(self._work() for _ in range(CROWD)))

    @property
    def mode(self) -> int:
        supervisor = multiprocessing.parent_process()
        return int(self._mode.value) if supervisor is not None and supervisor.is_alive() else STOP

    def chance(self, of: float) -> bool:
        return self.dice.random() < of

    async def request(self, remote: RemoteClient, method: str, word: str = "", **args: Any) -> Outcome:
        """Ask the worker for something, and write down what became of it."""
        number = self.diary.word()
        self.diary.write(ask=number, method=method, word=word, args=args)
        outcome: Outcome = "ack"
        told: Any = None
        try:
            told = await getattr(remote, method)(**args)
        except StoreUnavailable as error:
            outcome, told = "unsure", str(error)
        except BackstayError as error:
            outcome, told = "refused", f"{error.code}: {error}"
        except Exception as error:  # the office goes on; the report tells of it
            outcome, told = "unsure", f"strange: {type(error).__name__}: {error}"
        self.diary.write(heard=number, outcome=outcome, told=told)
        return outcome

    # --- beginning --------------------------------------------------------------------------------------------

    async def _begin_cases(self) -> None:
        while self.mode == WORK:
            await asyncio.sleep(0.05)
            if self.begun < (time.monotonic() - self.opened) * self.rate and len(self.items()) < BUSY:
                self.begun += 1
                if self.chance(0.3):
                    self._drop()
                else:
                    await self._start()
                with suppress(ErpUnavailable):
                    self._mischief()

    def _drop(self) -> None:
        """Put an invoice into the drop folder: a copy whose content nobody has seen yet."""
        chosen, word = self.dice.choice(sorted(INVOICES.glob("[a-w]*.pdf"))), self.diary.word()
        content = chosen.read_bytes() + f"\n%% {word}\n".encode()
        self._clear_away()
        folder = self.home / "drop"
        (folder / f"{word}.part").write_bytes(content)
        (folder / f"{word}.part").rename(folder / f"{word} {chosen.name}")
        self.diary.write(dropped=sha256(content).hexdigest(), name=chosen.name)

    def _clear_away(self) -> None:
        """Files whose case exists may leave the folder, so that a new worker has less to look through."""
        with suppress(BackstayError), closing(Reader(self.home / "backstay.db")) as reader:
            asked = {"status": None, "workflow": "process_invoice", "before": None, "limit": 10_000}
            known = {row["key"] for row in reader.all("runs", asked)}
            for file in self.home.glob("drop/*.pdf"):
                with suppress(FileNotFoundError):
                    if sha256(file.read_bytes()).hexdigest() in known:
                        file.unlink()

    async def _start(self) -> None:
        """Send a form until it is acknowledged; in doubt it is sent again under the same key."""
        key = self.diary.word()
        if self.chance(0.25):
            asked = ("agree", {"motion": f"motion {key}"}, self.dice.choice(("ada", "eve", "eve")))
        else:
            employee = self.dice.choice(sorted(EMPLOYEES))
            asked = ("request_leave", {"request": self._wish(employee)}, employee)
        while self.mode != STOP:
            remote = find_worker(self.home)
            if remote is None:
                await asyncio.sleep(0.02)
                continue
            workflow, given, by = asked
            sent = self.request(remote, "start", key, workflow=workflow, input=given, key=key, by=by)
            again = self.request(remote, "start", key, workflow=workflow, input=given, key=key, by=by)
            outcomes = await asyncio.gather(sent, again) if self.chance(0.1) else [await sent]
            again.close()
            if "unsure" not in outcomes:
                return
            await asyncio.sleep(0.1)

    def _wish(self, employee: str) -> dict[str, Any]:
        first = date(2026, 1, 12) + timedelta(days=self.dice.randrange(700))
        days = self.dice.choice((0, 0, 0, 1, 2, 4, 25))
        kind = self.dice.choice(("special", "special", "unpaid", "annual"))
        return {
            "employee": employee if self.chance(0.97) else "nobody", "kind": kind, "first_day": first.isoformat(),
            "last_day": (first + timedelta(days=days)).isoformat(),
            "substitute": EMPLOYEES[employee] if self.chance(0.97) else employee,
        }  # fmt: skip

    def _mischief(self) -> None:
        """Now and then the ERP fails: not at all, half, or with an answer that makes no sense; IT mends it some day."""
        erp = Erp(self.home / "erp.db")
        if self.chance(0.15):
            kind = self.dice.choice(("raise", "half", "rubbish"))
            erp.fail(self.dice.choice(("create_invoice", "pay")), kind=kind, times=self.dice.choice((1, 1, 8)))
        if self.chance(0.1):
            erp.heal()

    # --- working ----------------------------------------------------------------------------------------------

    def items(self) -> list[Wait]:
        """What waits for people, or for the withdrawal of a request."""
        try:
            with closing(Reader(self.home / "backstay.db")) as reader:
                return [wait for wait in everything(reader) if wait.queue or wait.kind == "signal"]
        except BackstayError:  # there is no store yet, or it is being recovered
            return []

    async def _work(self) -> None:
        while self.mode != STOP:
            found = self.items()
            people = [wait for wait in found if wait.queue]
            chosen = found if self.mode == WORK and self.chance(0.1) else people
            remote = find_worker(self.home)
            if not chosen or remote is None:
                await asyncio.sleep(0.02)
                continue
            wait = self.dice.choice(chosen)
            with suppress(
                BackstayError, LookupError, ErpUnavailable
            ):  # the item is gone already, or the office not open
                await self._treat(remote, wait)
            await asyncio.sleep(self.dice.random() * 0.2)

    async def _treat(self, remote: RemoteClient, wait: Wait) -> None:
        by = wait.assigned or self.dice.choice(STAFF.get(wait.queue, CLERKS))
        if wait.claimed_by is not None and (self.mode == FINISH or self.chance(0.8)):
            by = wait.claimed_by
        end: Awaitable[Any]
        if wait.kind == "signal":
            end = self._signal(remote, wait)
        elif self.mode == FINISH and wait.assigned and self.chance(0.2):  # its person has voted, or is away
            end = self._say(remote, "reassign", wait, by, "reason", to="")
        elif wait.asked_at is not None:
            end = self._say(remote, "answer", wait, wait.requester if self.chance(0.9) else by, "answer")
        elif self.mode == WORK and wait.kind in ("approval", "task") and self.chance(0.45):
            end = self._fuss(remote, wait, by)
        else:
            end = self.ENDS[wait.kind](self, remote, wait, by)
        await end

    async def _signal(self, remote: RemoteClient, wait: Wait) -> None:
        word = self.diary.word()
        given = {"run": wait.run, "name": "withdraw", "payload": {"reason": word}, "id": word, "by": wait.requester}
        while await self.request(remote, "signal", word, **given) == "unsure" and self.mode != STOP:
            await asyncio.sleep(0.1)
            while (found := find_worker(self.home)) is None and self.mode != STOP:
                await asyncio.sleep(0.02)
            remote = found or remote

    async def _say(self, remote: RemoteClient, method: str, wait: Wait, by: str, field: str, **more: Any) -> Outcome:
        word = self.diary.word()
        return await self.request(remote, method, word, item=wait.id, by=by, **{field: word}, **more)

    async def _fuss(self, remote: RemoteClient, wait: Wait, by: str) -> None:
        """Everything that people do before they decide, or instead."""
        match self.dice.choice(("claim", "claim", "claim", "release", "ask", "comment", "reassign", "delegate")):
            case "claim" | "release" as method:
                await self.request(remote, method, item=wait.id, by=by)
            case "ask":
                await self._say(remote, "ask", wait, by, "question")
            case "comment":
                await self._say(remote, "comment", wait, by, "text", files={"note.txt": b"see there"})
            case "reassign":
                staff = STAFF.get(wait.queue, CLERKS)
                await self._say(remote, "reassign", wait, by, "reason", to=self.dice.choice((*staff, "")))
            case _:
                giver, to, queue = self.dice.choice(DELEGATIONS)
                given = {"from_": giver, "to": to, "queue": queue, "by": giver}
                if self.chance(0.7):
                    await self.request(remote, "delegate", **given, until="2026-12-31T00:00:00Z")
                else:
                    await self.request(remote, "undelegate", **given)

    async def _decide(self, remote: RemoteClient, wait: Wait, by: str) -> None:
        verdict = "approved" if self.chance(0.8) else "rejected"
        code = "other" if verdict == "rejected" else ""
        if wait.queue == "treasury" and self.chance(0.3):
            items = [found.id for found in self.items() if found.queue == "treasury"][:4]
            word = self.diary.word()
            await self.request(remote, "decide_many", word, items=items, verdict=verdict, by=by, reason=word)
            return
        again = self.dice.choice(STAFF.get(wait.queue, CLERKS))
        decisions = [self._say(remote, "decide", wait, by, "reason", verdict=verdict, code=code)]
        if self.chance(0.2):  # a second click, or somebody else at the same moment
            decisions.append(self._say(remote, "decide", wait, again, "reason", verdict="approved"))
        await asyncio.gather(*decisions)

    async def _complete(self, remote: RemoteClient, wait: Wait, by: str) -> None:
        word = self.diary.word()
        send = [self.request(remote, "complete", word, item=wait.id, by=by, value=self._form(wait, word))]
        if self.chance(0.1):
            twice = self.diary.word()
            send.append(self.request(remote, "complete", twice, item=wait.id, by=by, value=self._form(wait, twice)))
        await asyncio.gather(*send)

    def _form(self, wait: Wait, word: str) -> dict[str, Any]:
        """What a person fills in: mostly something sensible, at the end a refusal, so that it ends."""
        good = self.mode == WORK and self.chance(0.7)
        match wait.queue:
            case "possible-duplicate":
                filled: dict[str, Any] = {"verdict": "separate" if good else "duplicate"}
            case "invoice-review" if good:
                filled = {"verdict": "read"}
            case "vendor-set-up" if good:
                filled = {"verdict": "use", "vendor_id": self.dice.choice(self.master["vendors"])["id"]}
            case "missing-po" if good:
                filled = {"verdict": "found", "po_number": self.dice.choice(self.master["orders"])["number"]}
            case "mismatch" if good:
                filled = {"verdict": "accept"}
            case "coding" if good:
                lines = [{"description": line["description"], "cost_centre": "CC-100"} for line in self._lines(wait)]
                filled = {"verdict": "coded", "lines": lines}
            case _:
                filled = {"verdict": "reject"}
        return {**filled, "comment": word}

    def _lines(self, wait: Wait) -> list[dict[str, Any]]:
        return list(self._event(wait, "task_opened").show["lines"])

    def _event(self, wait: Wait, kind: str) -> Any:
        """The last event of a kind about an item; raises LookupError."""
        with closing(Reader(self.home / "backstay.db")) as reader:
            events: list[Any] = [item.event for item in read_events(reader, wait.run) if item.kind == kind]
        return [event for event in events if event.command == wait.command][-1]

    async def _retry(self, remote: RemoteClient, wait: Wait, by: str) -> None:
        if self.mode == FINISH or self.chance(0.3):
            Erp(self.home / "erp.db").heal()
        word = self.diary.word()
        await self.request(remote, "retry", word, target=wait.id, by=by, reason=word)

    async def _settle(self, remote: RemoteClient, wait: Wait, by: str) -> None:
        """Look up in the ERP what became of an effect, and say so."""
        key = self._event(wait, "call_intended").key
        erp = Erp(self.home / "erp.db")
        made = erp.payment_under(key) if wait.subject == "submit_payment" else erp.invoice_under(key)
        outcome = "happened" if made else "not-happened"
        await self._say(remote, "settle", wait, by, "reason", outcome=outcome, result=made)

    ENDS: Final[dict[str, Callable[[People, RemoteClient, Wait, str], Awaitable[None]]]] = {
        "approval": _decide, "task": _complete, "queued": _retry, "diverted": _retry, "switched": _retry,
        "attention": _retry, "unknown": _settle,
    }  # fmt: skip
    """How each kind of wait is brought to its end."""
