"""The audit record: one record per act, with who authorised it, under which rules and on what evidence.

An act is an attempt of a call, or something that somebody outside did to a run. Everything stands in events already; this
puts together what belongs to one act. Every export and `backstay audit show` use it. Private values are pseudonyms.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from backstay import verify
from backstay.governance.approvals import folded
from backstay.governance.delegation import moment
from backstay.governance.principals import Directory
from backstay.operations.casefile import Case, CaseRun, Record
from backstay.operations.tracing import trace_id
from backstay.store.payloads import marked
from backstay.types import Json

LONGEST_CHAIN: Final = 3
"""Links of substitutes that count."""


@dataclass(kw_only=True)
class Act:
    """One act, as an auditor asks for it. What does not apply is empty, and null where it is a value."""

    at: str
    position: int
    """Its place in the log of the store; that of an attempt is where its outcome stands."""
    tenant: str
    case: str
    """The run from which all others of the case come."""
    run: str
    seq: int
    kind: str
    """Of the event that tells how it ended."""
    command: str
    step: str
    """Place in the workflow's text."""
    attempt: int | None = None
    workflow: str
    version: str
    by: str = ""
    """The person or program that did it; empty for what the workflow itself did."""
    chain: list[str] = field(default_factory=list[str])
    """For whom: `by`, in whose place that was, and so on; then whom a program acts for."""
    initiator: str
    """Who asked for the case."""
    started_by: str
    """Who began it for them."""
    trigger: str
    action: str = ""
    interface: str = ""
    """Version of the action: the digest of what the workflow was checked against."""
    effect: str = ""
    arguments: Json = None
    arguments_digest: str = ""
    """SHA-256 over the recorded arguments: keyed pseudonyms stand in it for private values."""
    labels: dict[str, str] = field(default_factory=dict[str, str])
    """Place in the arguments -> data class of what is private there."""
    policy: str = ""
    """Digest of the rule table in force."""
    rule: str = ""
    decided: list[str] = field(default_factory=list[str])
    """Rules and table rows of the workflow that decided on the way to this act."""
    verdict: str = ""
    """allowed, or the stage that said no; for a decision, what was decided."""
    reason: str = ""
    evidence: dict[str, str] = field(default_factory=dict[str, str])
    """What whoever approved was shown -> SHA-256 over it."""
    approval: str = ""
    """Command of the approval that it needed or is about; empty where none was required."""
    approvers: list[str] = field(default_factory=list[str])
    approved: str = ""
    """What they decided."""
    approval_reason: str = ""
    seconds_to_decide: float | None = None
    approval_hash: str = ""
    """What the approval is bound to: the digest of exactly this call, else of what was shown."""
    outcome: str = ""
    result: Json = None
    key: str = ""
    """The idempotency key."""
    trace: str
    previous: str
    """Hash of the event before it in its run."""
    hash: str


def acts(case: Case) -> list[Act]:
    """Every act of a case, in order of commit."""
    runs = {run.row.id: _Run(case, run) for run in case.runs}
    found = [act for run, record in case.records() for act in runs[run.row.id].take(record)]
    found += [act for run in runs.values() for act in run.unended()]
    return marked(sorted(found, key=lambda act: act.position), case.erased)


class _Run:
    """Puts together the acts of one run, event by event."""

    def __init__(self, case: Case, run: CaseRun) -> None:
        self._case, self._run = case, run
        self._hashes = [verify.genesis(run.row.id).hex(), *(record.hash.hex() for record in run.records)]
        self._asked: dict[str, Record] = {}
        """Command -> what is asked of people about it just now."""
        self._requests: dict[str, Record] = {}
        self._answered: dict[str, Record] = {}
        self._intents: dict[str, Record] = {}
        document = json.loads(case.definitions[run.row.version])
        self._interfaces = {one["name"]: one for one in document["interfaces"].values()}
        self._path: list[str] = []

    def take(self, record: Record) -> Iterator[Act]:
        """The act that an event concludes, if it does."""
        fields, kind, command = record.fields, record.kind, record.fields.get("command", "")
        self._path += [_rule_name(one) for one in fields.get("path") or () if one.get("kind") in ("rule", "table")]
        if kind in OPENINGS:
            self._asked[command] = record
        if kind == "approval_requested":
            self._requests[command] = record
        if kind == "approval_decided":
            self._answered[command] = record
        if kind == "call_intended":
            if (before := self._intents.pop(command, None)) is not None:
                yield self._attempt(before, None)
            self._intents[command] = record
        elif kind in ATTEMPTS:
            yield self._attempt(self._intents.pop(command, None), record)
        elif (fields.get("by") and not fields.get("parent")) or kind == "approval_decided":
            yield self._answer(record)

    def unended(self) -> Iterator[Act]:
        """Attempts of which nothing was recorded after their intent."""
        for intent in self._intents.values():
            yield self._attempt(intent, None)

    def _attempt(self, intent: Record | None, ended: Record | None) -> Act:
        """One attempt of a call: its intent, if it is an effect, and how it ended."""
        told = ended or intent
        assert told is not None
        first, last = (intent or told).fields, told.fields
        act = self._act(told)
        self._describe(act, first)
        act.attempt = last.get("attempt", first.get("attempt", 1))
        act.key, act.rule, act.policy = first.get("key", ""), first.get("rule", ""), first.get("policy", "")
        if ended is None:
            act.outcome = "not recorded"
        else:
            act.outcome = (verify.OUTCOMES.get(ended.kind, ended.kind) + str(last.get("outcome", ""))).strip()
            act.result = _value(last, "/result")
        fault = last.get("fault") or {}
        act.reason = str(last.get("reason") or fault.get("message") or "")
        act.verdict = _verdict(told.kind, last)
        self._authorise(act, first.get("approval") or act.command)
        return act

    def _answer(self, record: Record) -> Act:
        """Something that somebody outside did."""
        fields, act = record.fields, self._act(record)
        asked = self._asked.get(act.command)
        if asked is not None:
            self._describe(act, asked.fields)
            act.step, act.policy = asked.fields.get("site", ""), asked.fields.get("policy", "")
        act.verdict = str(fields.get("verdict") or fields.get("outcome") or "")
        act.reason = str(fields.get("reason") or fields.get("code") or "")
        act.outcome = record.kind.replace("_", " ")
        act.result = next(
            (_value(fields, f"/{name}") for name in ("value", "payload", "result") if name in fields), None
        )
        self._authorise(act, act.command)
        return act

    def _act(self, record: Record) -> Act:
        """What is known of any act."""
        case, row, fields = self._case, self._run.row, record.fields
        start, decided = case.root.fields, self._path
        self._path = []
        return Act(
            at=fields["at"], position=record.position, tenant=case.tenant, case=case.root_run, run=row.id, seq=record.seq,
            kind=record.kind, command=fields.get("command", ""), step=fields.get("site", ""), workflow=row.workflow,
            version=row.version, by=fields.get("by", ""),
            chain=self._chain(record), initiator=start.get("requester") or start.get("by", ""), started_by=start.get("by", ""),
            trigger=start.get("trigger") or start.get("key") or "", decided=decided, trace=trace_id(case.root_run),
            previous=self._hashes[record.seq - 1], hash=record.hash.hex(),
        )  # fmt: skip

    def _describe(self, act: Act, fields: dict[str, Json]) -> None:
        """Which call it is about."""
        act.action = fields.get("action") or ""
        interface = self._interfaces.get(act.action, {})
        act.interface = str(interface.get("digest", ""))
        act.effect = fields.get("effect") or str(interface.get("effect") or "")
        refs: dict[str, str] = fields.get("refs") or {}
        act.arguments = _value(fields, "/args")
        if act.action:
            act.arguments_digest = _digest(fields, "args")
        act.labels = {
            pointer.removeprefix("/args") or "/": ref.split(":")[1]
            for pointer, ref in refs.items()
            if pointer.startswith("/args") and ref.startswith("seal:")
        }

    def _authorise(self, act: Act, command: str) -> None:
        """Who approved it, when and on what, if the command is that of an approval."""
        asked, answer = self._requests.get(command), self._answered.get(command)
        if asked is None:
            return
        act.approval = command
        act.evidence = {
            name: _digest(asked.fields, name) for name in ("show", "evidence") if _shown(asked.fields, name)
        }
        act.approval_hash = asked.fields.get("digest") or asked.fields.get("shown") or ""
        if answer is not None:
            votes = [str(vote.get("by")) for vote in answer.fields.get("votes") or ()]
            act.approvers = votes or [answer.fields["by"]] if answer.fields.get("by") else []
            act.approved, act.approval_reason = answer.fields["verdict"], answer.fields.get("reason", "")
            taken = datetime.fromisoformat(answer.fields["at"]) - datetime.fromisoformat(asked.fields["at"])
            act.seconds_to_decide = taken.total_seconds()

    def _chain(self, record: Record) -> list[str]:
        """From who did it to the person who answers for it, as the directory was then."""
        by, behalf = record.fields.get("by", ""), record.fields.get("behalf", "")
        if not by:
            return []
        directory = Directory.of(event for position, event in self._case.people if position <= record.position)
        places = _substitutes(directory, by, behalf, record.fields["at"]) if behalf else [by]
        return [*places, *(each.id for each in directory.chain(places[-1])[1:])]


OPENINGS: Final = frozenset({"approval_requested", "task_opened", "call_queued", "call_unknown"})
ATTEMPTS: Final = frozenset(
    {"call_returned", "attempt_failed", "call_failed", "call_denied", "call_drafted", "call_unknown", "call_queued"}
)
"""Events that tell how an attempt of a call ended."""
STAGES: Final = frozenset({"allow-list", "arguments", "switch", "breaker", "budget", "labels", "policy"})
"""Of the gate: why a call lies in a queue that was not made."""


def _verdict(kind: str, fields: dict[str, Json]) -> str:
    """What the gate said to an attempt that ended so."""
    if kind == "call_denied":
        return fields["stage"]
    if kind == "call_drafted":
        return "drafted"
    fault = (fields.get("fault") or {}).get("type", "")
    return str(fault) if kind == "call_queued" and fault in STAGES else "allowed"


def _substitutes(directory: Directory, by: str, behalf: str, at: str) -> list[str]:
    """The shortest way from a substitute to the member in whose place they decided."""
    ways, now = [[by]], moment(at, "at")
    for _ in range(LONGEST_CHAIN):
        ways = [
            [*way, given.giver]
            for way in ways
            for given in directory.delegations_of(way[-1])
            if folded(given.to) == folded(way[-1]) and given.start <= now < given.until
        ]
        found = next((way for way in ways if folded(way[-1]) == folded(behalf)), None)
        if found is not None:
            return found
    return [by, behalf]


def _rule_name(entry: dict[str, Json]) -> str:
    """A rule, or a row of a table, as the trail names it."""
    row = f" row {entry['row']}" if entry.get("row") is not None else ""
    return f"{entry.get('name', '')}{row}"


def _value(fields: dict[str, Json], pointer: str) -> Json:
    """A field as it is recorded; of a large value, its digest."""
    ref = (fields.get("refs") or {}).get(pointer, "")
    return {"sha256": ref.removeprefix("blob:")} if ref.startswith("blob:") else fields.get(pointer[1:])


def _shown(fields: dict[str, Json], name: str) -> bool:
    return fields.get(name) is not None or f"/{name}" in (fields.get("refs") or {})


def _digest(fields: dict[str, Json], name: str) -> str:
    """SHA-256 over the canonical form of a recorded field; of a large value, the digest that it lies under."""
    ref = (fields.get("refs") or {}).get(f"/{name}", "")
    return ref.removeprefix("blob:") if ref.startswith("blob:") else verify.digest(fields.get(name))
