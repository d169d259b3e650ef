"""What must be true after chaos, asked of the files themselves: the journal, the ERP, the HR system, the people's diaries.

Nothing here uses what the engine says of itself, except where the check is that very function: the audit, the watchdog
and the proof. Each check gives what is wrong, in words; empty is good.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from backstay.engine.control import read_rules
from backstay.governance.audit import verify
from backstay.operations.sweep import choose, sweep
from backstay.operations.watchdog import find_orphans
from backstay.store.database import Reader
from backstay.store.payloads import Payloads

WORDS: Final = {
    "approval_decided": "$.reason", "vote_cast": "$.reason", "item_asked": "$.question", "item_answered": "$.answer",
    "item_commented": "$.text", "item_reassigned": "$.reason", "task_completed": "$.value.comment",
    "signal_received": "$.id", "call_retried": "$.reason", "call_settled": "$.reason", "attention_cleared": "$.reason",
    "run_started": "$.key",
}  # fmt: skip
"""Where the word of a request stands in the event that it makes."""

COUNTED: Final = {"claim": "item_claimed", "release": "item_released"}
"""Requests that carry no word, and the event of each: counted by item and person."""

LEDGERS: Final = (
    ("erp.invoices", "idempotency_key", "document <> ''", ("create_invoice", "create_invoice_from_backlog")),
    ("erp.payments", "idempotency_key", "1", ("submit_payment",)),
    ("erp.alerts", "idempotency_key", "1", ("alert_it",)),
    ("hr.bookings", "key", "1", ("book_leave",)),
    ("hr.messages", "key", "1", ("notify",)),
)
"""Table of another system, its column of keys, which rows came from Backstay, and the actions that make them."""


@dataclass(kw_only=True)
class Diaries:
    """What people asked for and heard."""

    asked: dict[str, dict[str, Any]] = field(default_factory=dict)
    heard: dict[str, dict[str, Any]] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)

    def of(self, number: str) -> str:
        """ "ack", "refused" or "unsure"."""
        return str(self.heard[number]["outcome"]) if number in self.heard else "unsure"

    @property
    def outcomes(self) -> dict[str, Counter[str]]:
        """Method -> how often it was acknowledged, refused, and left in doubt."""
        found: dict[str, Counter[str]] = {}
        for number, asked in self.asked.items():
            found.setdefault(asked["method"], Counter())[self.of(number)] += 1
        return found


def read_diaries(folder: Path) -> Diaries:
    """Of a diary that is being written, all but the line that is not whole yet."""
    diaries = Diaries()
    for path in sorted(folder.glob("*.jsonl")):
        for line in map(json.loads, path.read_text("utf-8").rpartition("\n")[0].splitlines()):
            if "ask" in line:
                diaries.asked[line["ask"]] = line
            elif "heard" in line:
                diaries.heard[line["heard"]] = line
            else:
                diaries.dropped.append(line["dropped"])
    return diaries


class Office:
    """The files of a home after chaos, each system's own, joined in one connection that only reads."""

    def __init__(self, home: Path, diaries: Path) -> None:
        self.home, self.diaries = home, read_diaries(diaries)
        self.db = sqlite3.connect(f"{(home / 'backstay.db').absolute().as_uri()}?mode=ro", uri=True)
        for name in ("erp", "hr"):  # not read-only: what a killed worker had half written must be rolled back first
            path = (home / f"{name}.db").absolute()
            self.db.execute(f"ATTACH ? AS {name}", (f"{path.as_uri()}?mode=rw",))

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.db.execute(query, values).fetchall()


def _said(office: Office) -> Counter[tuple[str, str]]:
    """How often each word stands in the journal, by item (or run), in the event that it makes."""
    found: Counter[tuple[str, str]] = Counter()
    for kind, path in WORDS.items():
        query = "SELECT run, json_extract(body, '$.command'), json_extract(body, ?) FROM events WHERE kind = ?"
        for run, command, word in office.rows(query, path, kind):
            found[word, run if command is None else f"{run}/{command}"] += 1
    return found


def _told(diaries: Diaries) -> dict[tuple[str, str, str], set[str]]:
    """What was heard about each (method, word, item or run), by all attempts under that word together."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for number, asked in diaries.asked.items():
        args, outcome = asked["args"], diaries.of(number)
        if not asked["word"] or asked["method"] == "start":
            continue
        items = args["items"] if "items" in args else [args.get("item") or args.get("target") or args["run"]]
        for item in items:
            each = outcome
            if asked["method"] == "decide_many" and outcome == "ack":
                each = "refused" if diaries.heard[number]["told"][item] else "ack"
            found.setdefault((asked["method"], asked["word"], item), set()).add(each)
    return found


def answers(office: Office) -> Iterator[str]:
    """What was acknowledged is in the journal once; what was refused is not; what is in doubt, once or not."""
    said = _said(office)
    for (method, word, item), outcomes in _told(office.diaries).items():
        times = said.pop((word, item), 0)
        good = times == 1 if "ack" in outcomes else times == 0 or (times == 1 and "unsure" in outcomes)
        if not good:
            yield f"{method} {word} of {item} was {' and '.join(sorted(outcomes))} and is {times} times in the journal"
    forms = {asked["word"] for asked in office.diaries.asked.values() if asked["method"] == "start"}
    for (word, item), times in said.items():
        if str(word).startswith("people") and word not in forms:
            yield f"{word} of {item} is {times} times in the journal and nobody asked for it there"


def counted(office: Office) -> Iterator[str]:
    """Claims and releases: at least as many as were acknowledged, at most as many as were asked for and not refused."""
    for method, kind in COUNTED.items():
        query = "SELECT run || '/' || json_extract(body, '$.command'), json_extract(body, '$.by') FROM events WHERE kind = ?"
        stored = Counter(office.rows(query, kind))
        least, most = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for number, asked in office.diaries.asked.items():
            if asked["method"] == method and office.diaries.of(number) != "refused":
                key = (asked["args"]["item"], asked["args"]["by"])
                most[key] += 1
                least[key] += office.diaries.of(number) == "ack"
        for key in stored.keys() | most.keys():
            if not least[key] <= stored[key] <= most[key] and key[1]:
                yield f"{kind} of {key[0]} by {key[1]}: {stored[key]} times, {least[key]} to {most[key]} were asked for"


def starts(office: Office) -> Iterator[str]:
    """Every form that was acknowledged and every file that was dropped is one case, and the id is the one that was told."""
    runs: dict[str, list[str]] = {}
    for run, key in office.rows("SELECT run, json_extract(body, '$.key') FROM events WHERE kind = 'run_started'"):
        runs.setdefault(key, []).append(run)
    for number, asked in office.diaries.asked.items():
        if asked["method"] == "start":
            found, outcome = runs.get(asked["word"], []), office.diaries.of(number)
            if len(found) > 1 or (outcome == "ack" and found != [office.diaries.heard[number]["told"]]):
                yield f"form {asked['word']} was {outcome} and has the runs {found}"
    for digest in office.diaries.dropped:
        if len(runs.get(digest, [])) != 1:
            yield f"the file {digest[:12]} has the runs {runs.get(digest, [])}"


def owned(office: Office) -> Iterator[str]:
    """Every case has ended, or waits for somebody or something."""
    query = """SELECT id, status FROM runs WHERE status NOT IN ('finished', 'failed', 'cancelled')
               AND (status <> 'waiting' OR NOT EXISTS (SELECT 1 FROM waits WHERE run = id))"""
    for run, status in office.rows(query):
        yield f"run {run} is {status} and nothing brings it on"
    query = "SELECT run FROM events GROUP BY run HAVING run <> 'system' AND run NOT IN (SELECT id FROM runs)"
    for (run,) in office.rows(query):
        yield f"run {run} is in the journal and has no row"


def effects(office: Office) -> Iterator[str]:
    """Every row that Backstay made elsewhere has one intent and an outcome; every confirmed effect has its row."""
    for table, column, which, actions in LEDGERS:
        made = Counter(row[0] for row in office.rows(f"SELECT {column} FROM {table} WHERE {which}"))
        marks = ",".join("?" * len(actions))
        query = f"""SELECT json_extract(body, '$.key'), run, json_extract(body, '$.command'), json_extract(body, '$.action')
                    FROM events WHERE kind = 'call_intended' AND json_extract(body, '$.action') IN ({marks})"""
        intended = {key: (run, command, action) for key, run, command, action in office.rows(query, *actions)}
        ended = {(run, command): kind for run, command, kind in office.rows(
            "SELECT run, json_extract(body, '$.command'), kind FROM events WHERE kind IN ('call_returned', 'call_settled',"
            " 'call_failed', 'call_denied') ORDER BY position")}  # fmt: skip
        for key, times in made.items():
            if key not in intended:
                yield f"{table}: {key} has no intent"
            elif times > 1:
                yield f"{table}: {key} is there {times} times"
            elif ended.get(intended[key][:2]) not in ("call_returned", "call_settled"):
                yield f"{table}: {key} happened, the journal says {ended.get(intended[key][:2])} ({intended[key]})"
        for key, (run, command, action) in intended.items():
            if ended.get((run, command)) == "call_returned" and key not in made:
                yield f"{table}: {action} {run}/{command} returned and is not there"


def once(office: Office) -> Iterator[str]:
    """What a case may do once it has done once, whatever the keys were."""
    twice = {
        "postings of a document": "SELECT document FROM erp.invoices WHERE document <> '' AND status = 'posted' "
        "GROUP BY document HAVING count(*) > 1",
        "numbers in the books": "SELECT number FROM erp.invoices WHERE status = 'posted' AND separate = '' "
        "GROUP BY vendor_id, number_key HAVING count(*) > 1",
        "payments of an invoice": "SELECT invoice_id FROM erp.payments GROUP BY invoice_id HAVING count(*) > 1",
        "bookings of a case": "SELECT run FROM events JOIN hr.bookings ON hr.bookings.key = json_extract(body, '$.key') "
        "WHERE events.kind = 'call_intended' GROUP BY run HAVING count(DISTINCT hr.bookings.id) > 1",
        "days booked by a person": "SELECT a.id FROM hr.bookings a JOIN hr.bookings b ON a.person = b.person AND a.id < b.id "
        "AND a.first <= b.last AND b.first <= a.last AND NOT a.cancelled AND NOT b.cancelled",
        "payments of a posting": "SELECT json_extract(body, '$.input.invoice_id') AS invoice FROM events "
        "WHERE kind = 'run_started' AND json_extract(body, '$.workflow') = 'pay_invoice' GROUP BY invoice HAVING count(*) > 1",
    }  # fmt: skip
    for what, query in twice.items():
        for (which,) in office.rows(query):
            yield f"{what}: {which} more than once"


def outcomes(office: Office) -> Iterator[str]:
    """What each finished case says of itself is what the other systems hold."""
    query = """SELECT workflow, id, json_extract(body, '$.result.status'), coalesce(json_extract(body, '$.result.invoice_id'),
               json_extract(body, '$.result.payment_id'), json_extract(body, '$.result.booking')) FROM runs
               JOIN events ON run = id AND kind = 'run_finished'"""
    posted = {f"ERP-{row[0]:06d}" for row in office.rows("SELECT id FROM erp.invoices WHERE status = 'posted'")}
    paid = {f"PAY-{row[0]:06d}" for row in office.rows("SELECT id FROM erp.payments")}
    booked = {f"LV-{row[0]:05}": bool(row[1]) for row in office.rows("SELECT id, cancelled FROM hr.bookings")}
    seen: Counter[str] = Counter()
    for workflow, run, status, made in office.rows(query):
        seen[made] += 1
        good = {
            ("process_invoice", "posted"): made in posted, ("pay_invoice", "paid"): made in paid,
            ("request_leave", "taken"): booked.get(made) is False, ("request_leave", "cancelled"): booked.get(made) is True,
        }.get((workflow, status), not made)  # fmt: skip
        if not good:
            yield f"{workflow} {run} ended {status!r} with {made!r}, the other system does not"
    for made in {*paid, *booked}:
        if seen[made] != 1:
            yield f"{made} belongs to {seen[made]} cases that finished with it"


def approvals(office: Office) -> Iterator[str]:
    """An approval is decided once, by different people, and lets one call of one key be made until its outcome is known."""
    left: dict[tuple[str, str], tuple[int, str]] = {}
    query = """SELECT run, kind, body FROM events WHERE kind IN ('approval_decided', 'approval_requested', 'call_intended',
               'call_returned', 'call_settled') ORDER BY position"""
    asked: Counter[tuple[str, str]] = Counter()
    for run, kind, body in office.rows(query):
        event = json.loads(body)
        at = (run, event["command"])
        given, key = left.get(at, (0, ""))
        if kind == "approval_requested":
            asked[at] += 1
        elif kind == "approval_decided":
            asked[at] -= 1
            left[at] = (given + (event["verdict"] == "approved"), "")
            by = [vote["by"] for vote in event.get("votes") or ()]
            if asked[at] < 0 or len(set(by)) < len(by):
                yield f"{at} was decided more often than it was asked for, or by one person twice: {by}"
        elif kind != "call_intended":
            left[at] = (given, "")  # its outcome is known: another call needs another approval
        elif event["effect"] == "irreversible":
            left[at] = (given if key else given - 1, event["key"])
            if left[at][0] < 0 or key not in ("", event["key"]) or event["approval"] != event["command"]:
                yield f"{at} made an irreversible call that nobody had approved"


def chains(office: Office) -> Iterator[str]:
    """`backstay audit verify`."""
    yield from map(str, verify(office.home / "backstay.db").findings)


def orphans(office: Office) -> Iterator[str]:
    """`backstay waits --check`."""
    owners = {queue.name: queue.owner for queue in read_rules(office.home)}
    with closing(Reader(office.home / "backstay.db")) as reader:
        payloads = Payloads(office.home, reader)
        for orphan in find_orphans(reader, payloads, owners, late="", working=False):
            yield f"{orphan.id}: {orphan.fault}: {orphan.why}"


def proofs(office: Office) -> Iterator[str]:
    """`backstay replay --all`."""
    with closing(Reader(office.home / "backstay.db")) as reader:
        chosen = choose(reader)
    for batch in sweep(office.home, chosen, 1):
        yield from (f"{failure.run}: {failure.mismatch}" for failure in batch.failures)


CHECKS: Final[dict[str, tuple[Callable[[Office], Iterator[str]], ...]]] = {
    "lost": (starts, answers, counted, owned),
    "doubled": (once, outcomes),
    "approvals consumed twice": (approvals,),
    "effects without a record": (effects,),
    "broken chains": (chains,),
    "orphans": (orphans,),
    "cases that do not replay": (proofs,),
}
"""What is counted in the summary, and by which checks."""


def check(home: Path, diaries: Path, names: tuple[str, ...] = tuple(CHECKS)) -> dict[str, list[str]]:
    """Everything that is wrong, by what it is called in the summary."""
    office = Office(home, diaries)
    try:
        return {name: [wrong for check in CHECKS[name] for wrong in check(office)] for name in names}
    finally:
        office.db.close()
