"""A case in the forms that others read: JSON Lines, CSV, OCSF for security tools, OCEL 2.0 and XES for process mining.

Each is a reading of the events and of the acts that they make up, private values as pseudonyms, or "(erased)"; only the
case file proves anything. docs/audit.md has the mappings.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Final, NamedTuple
from xml.sax.saxutils import quoteattr

from backstay.canonical import canonical
from backstay.operations.acts import Act, acts
from backstay.operations.casefile import Case, CaseRun, Record
from backstay.store.payloads import marked
from backstay.types import Json

# --- what every form needs to know of an event ------------------------------------------------------------

LIFECYCLE: Final[Mapping[str, str]] = {
    "run_started": "start", "run_failed": "ate_abort", "run_cancelled": "pi_abort",
    "call_intended": "start", "attempt_failed": "suspend", "call_queued": "suspend", "call_unknown": "unknown",
    "call_retried": "resume", "call_failed": "ate_abort", "call_denied": "pi_abort",
    "approval_requested": "schedule", "task_opened": "schedule", "item_claimed": "assign", "item_released": "reassign",
    "timer_set": "schedule", "wait_opened": "schedule", "child_started": "start",
}  # fmt: skip
"""Kind -> transition of XES's standard lifecycle; every other kind completes something."""


class Step(NamedTuple):
    """An event as a line of a log."""

    run: CaseRun
    record: Record
    fields: dict[str, Json]
    """Of the event, for people to read."""
    activity: str
    actor: str
    """The person or service, or WORKFLOW@VERSION for the run itself."""
    act: Act | None
    """The act that the event concludes."""

    def text(self, name: str) -> str:
        """A field of the event as text; JSON where it is more than text."""
        return as_text(self.fields.get(name))

    def of_act(self, name: str) -> str:
        """A field of the act as text; empty where the event concludes none."""
        return "" if self.act is None else as_text(getattr(self.act, name))


def as_text(value: Json) -> str:
    """A value in a cell: nothing for what is empty, JSON where it is more than text."""
    return "" if value is None or value in ({}, []) else value if isinstance(value, str) else canonical(value)


def steps(case: Case) -> Iterator[Step]:
    """The case's events in order of commit; what is done to a command bears the name of its action or item."""
    subjects: dict[tuple[str, str], str] = {}
    concluded = {act.position: act for act in acts(case)}
    for run, record in case.records():
        fields, row = marked(record.fields, case.erased), run.row
        subject = fields.get("action") or fields.get("title") or fields.get("name") or fields.get("workflow") or ""
        place = (row.id, fields.get("command", ""))
        subject = subjects.setdefault(place, subject) if place[1] else subject
        words = record.kind.replace("_", " ")
        called = record.kind in ("call_intended", "call_returned")
        activity = subject if called else f"{words}: {subject}" if subject else words
        actor = fields.get("by") or f"{row.workflow}@{row.version[:7]}"
        yield Step(run, record, fields, activity, actor, concluded.get(record.position))


# --- JSON Lines and CSV ----------------------------------------------------------------------------------


def to_jsonl(case: Case) -> str:
    """One event a line, in order of commit; where it concludes an act, with the audit record of that."""
    lines = (
        {"position": one.position, "run": run.row.id, "workflow": run.row.workflow, "seq": one.seq, "kind": one.kind,
         "hash": one.hash.hex(), "event": fields, **({} if act is None else {"act": asdict(act)})}
        for run, one, fields, _, _, act in steps(case)
    )  # fmt: skip
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


COLUMNS: Final = (
    "at", "by", "command", "site", "action", "effect", "attempt", "key", "rule", "approval", "queue", "verdict",
    "outcome", "reason", "digest", "args", "result",
)  # fmt: skip
"""Fields of the event that have a column of their own."""

ACT_COLUMNS: Final = (
    "tenant", "case", "initiator", "started_by", "trigger", "chain", "interface", "arguments_digest", "labels", "policy",
    "decided", "evidence", "approvers", "approved", "approval_reason", "seconds_to_decide", "approval_hash", "trace",
    "previous",
)  # fmt: skip
"""Fields of the act that the event concludes, where they are not those of the event."""


def to_csv(case: Case) -> str:
    """A table for spreadsheets (RFC 4180); a cell that a spreadsheet would run as a formula is led by an apostrophe."""
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(
        ("position", "run", "workflow", "version", "seq", "kind", "activity", *COLUMNS, *ACT_COLUMNS, "hash")
    )
    for step in steps(case):
        row, record = step.run.row, step.record
        cells = (row.workflow, row.version, record.seq, record.kind, step.activity, *map(step.text, COLUMNS))
        told = map(step.of_act, ACT_COLUMNS)
        table.writerow(_harmless(cell) for cell in (record.position, row.id, *cells, *told, record.hash.hex()))
    return out.getvalue()


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


# --- OCSF 1.9, API Activity ---------------------------------------------------------------------------------

STATUS: Final[Mapping[str, tuple[int, str, int]]] = {
    "call_returned": (1, "Success", 1),
    "call_settled": (99, "Other", 1),
    "call_unknown": (0, "Unknown", 3),
    "call_queued": (2, "Failure", 3),
    "attempt_failed": (2, "Failure", 2),
    "call_failed": (2, "Failure", 3),
    "call_denied": (2, "Failure", 3),
    "approval_decided": (1, "Success", 1),
    "task_completed": (1, "Success", 1),
}
"""Kind -> status_id, status, severity_id. Only these are API activity: outcomes of calls, and what people answered."""

SEVERITY: Final = {1: "Informational", 2: "Low", 3: "Medium"}


def to_ocsf(case: Case) -> str:
    """One API Activity event (class 6003) a line."""
    lines = (
        _api_activity(step, step.act) for step in steps(case) if step.act is not None and step.record.kind in STATUS
    )
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _api_activity(step: Step, act: Act) -> dict[str, Json]:
    row, record = step.run.row, step.record
    status_id, status, severity_id = STATUS[record.kind]
    activity_id, activity = (2, "Read") if act.effect == "read" and not act.by else (99, act.effect or record.kind)
    own = {name: value for name in UNMAPPED if (value := getattr(act, name)) not in ("", None, [], {})}
    authorizations = [*_authorizations(act)]
    return {
        "activity_id": activity_id, "activity_name": activity, "category_uid": 6, "category_name": "Application Activity",
        "class_uid": 6003, "class_name": "API Activity", "type_uid": 600300 + activity_id,
        "type_name": f"API Activity: {activity if activity_id == 2 else 'Other'}",
        "time": int(datetime.fromisoformat(act.at).timestamp() * 1000),
        "severity_id": severity_id, "severity": SEVERITY[severity_id], "status_id": status_id, "status": status,
        **({"status_detail": act.reason} if act.reason else {}), "message": step.activity,
        "metadata": {
            "version": "1.9.0", "product": {"name": "Backstay", "vendor_name": "Backstay"}, "uid": f"{row.id}/{record.seq}",
            "correlation_uid": act.case, "sequence": record.position, "original_time": act.at, "event_code": record.kind,
            **({"tenant_uid": act.tenant} if act.tenant else {}),
        },
        "actor": {
            **({"user": {"name": act.by}} if act.by else {"app_name": row.workflow, "app_uid": row.version}),
            "invoked_by": act.initiator, **({"authorizations": authorizations} if authorizations else {}),
        },
        "api": {
            "operation": act.action or record.kind, "service": {"name": row.workflow, "uid": row.workflow, "version": row.version},
            "request": {"uid": act.key or f"{row.id}/{act.command}", **({"data": act.arguments} if isinstance(act.arguments, dict) else {})},
            "response": {"message": act.outcome, **({"data": {"result": act.result}} if act.result is not None else {})},
        },
        "src_endpoint": {"name": "backstay"},
        "unmapped": own,
    }  # fmt: skip


def _authorizations(act: Act) -> Iterator[dict[str, Json]]:
    """What allowed or refused it: a rule of the policy, and whoever approved it."""
    if act.rule or act.policy:
        yield {"decision": act.verdict, "policy": {"name": act.rule or "the rule table", "version": act.policy}}
    if act.approved:
        names = ", ".join(act.approvers) or "nobody in time"
        yield {"decision": act.approved, "policy": {"name": f"approval by {names}", "uid": act.approval}}


UNMAPPED: Final = (
    "run", "seq", "step", "attempt", "verdict", "started_by", "trigger", "chain", "interface", "arguments_digest", "labels",
    "decided", "evidence", "approval", "approvers", "approved", "approval_reason", "seconds_to_decide", "approval_hash",
    "trace", "previous", "hash",
)  # fmt: skip
"""Fields of an act for which the class has no attribute."""


# --- OCEL 2.0 --------------------------------------------------------------------------------------------------

EVENT_ATTRIBUTES: Final = {
    "kind": "string", "seq": "integer", "position": "integer", "hash": "string", "command": "string", "key": "string",
    "rule": "string", "verdict": "string", "reason": "string",
    **dict.fromkeys(("tenant", "case", "initiator", "chain", "interface", "effect", "arguments", "arguments_digest", "labels",
                     "policy", "evidence", "approvers", "approved", "approval_hash", "outcome", "result", "trace",
                     "previous"), "string"),
    "seconds_to_decide": "float",
}  # fmt: skip
RUN_ATTRIBUTES: Final = {"workflow": "string", "version": "string", "key": "string", "status": "string"}


def to_ocel(case: Case) -> str:
    """Object-centric: runs, items of human work and actors are the objects, with what each event had to do with them."""
    events, objects, kinds = list[Json](), dict[str, Json](), dict[str, str]()
    for run in case.runs:
        at = run.records[0].fields["at"]
        values = [{"name": name, "value": getattr(run.row, name) or "", "time": at} for name in RUN_ATTRIBUTES]
        children = [
            {"objectId": other.row.id, "qualifier": "started"} for other in case.runs if other.row.parent == run.row.id
        ]
        objects[run.row.id] = {"id": run.row.id, "type": "run", "attributes": values, "relationships": children}
    for step in steps(case):
        related = [(step.run.row.id, "case"), (f"actor:{step.actor}", "by")]
        objects.setdefault(f"actor:{step.actor}", _ocel_object(f"actor:{step.actor}", "actor"))
        item = f"{step.run.row.id}/{step.fields.get('command', '')}"
        if step.record.kind in ("approval_requested", "task_opened"):
            kinds[item] = "approval" if step.record.kind == "approval_requested" else "task"
            objects.setdefault(item, _ocel_object(item, kinds[item]))
        if item in kinds:
            related.append((item, "item"))
        if step.record.kind == "child_started" and step.fields["run"] in objects:
            related.append((step.fields["run"], "starts"))
        events.append(_ocel_event(step, related))
    types = {name: [{"name": key, "type": kind} for key, kind in RUN_ATTRIBUTES.items()] if name == "run" else []
             for name in sorted({thing["type"] for thing in objects.values()})}  # fmt: skip
    attributes = [{"name": name, "type": kind} for name, kind in EVENT_ATTRIBUTES.items()]
    return json.dumps({
        "objectTypes": [{"name": name, "attributes": described} for name, described in types.items()],
        "eventTypes": [{"name": name, "attributes": attributes} for name in sorted({event["type"] for event in events})],
        "objects": list(objects.values()),
        "events": events,
    }, ensure_ascii=False, indent=1)  # fmt: skip


def _told(step: Step, name: str) -> Json:
    """A field of the act, a number as a number."""
    value = None if step.act is None else getattr(step.act, name, None)
    return value if isinstance(value, float) else as_text(value)


def _ocel_object(name: str, kind: str) -> Json:
    return {"id": name, "type": kind, "attributes": [], "relationships": []}


def _ocel_event(step: Step, related: list[tuple[str, str]]) -> Json:
    record = step.record
    own = {"kind": record.kind, "seq": record.seq, "position": record.position, "hash": record.hash.hex()}
    values = {name: own.get(name, step.text(name) or _told(step, name)) for name in EVENT_ATTRIBUTES}
    return {
        "id": f"{step.run.row.id}/{record.seq}",
        "type": step.activity,
        "time": step.fields["at"],
        "attributes": [{"name": name, "value": value} for name, value in values.items() if value != ""],
        "relationships": [{"objectId": name, "qualifier": qualifier} for name, qualifier in related],
    }


# --- XES (IEEE 1849-2016) -----------------------------------------------------------------------------------

EXTENSIONS: Final = {"Concept": "concept", "Lifecycle": "lifecycle", "Organizational": "org", "Time": "time"}
UNWRITABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""


def to_xes(case: Case) -> str:
    """One trace a run; the activity, its transition of the standard lifecycle, the resource and the time of each event."""
    traces: dict[str, list[str]] = {}
    for step in steps(case):
        traces.setdefault(step.run.row.id, []).append(_xes_event(step))
    found = [
        f"<trace>{_xes('string', 'concept:name', run.row.id)}{_xes('string', 'workflow', run.row.workflow)}"
        f"{_xes('string', 'version', run.row.version)}\n{''.join(traces[run.row.id])}</trace>\n"
        for run in case.runs
    ]
    heads = (
        f'<extension name="{name}" prefix="{prefix}" uri="http://www.xes-standard.org/{prefix}.xesext"/>\n'
        for name, prefix in EXTENSIONS.items()
    )
    scopes = (
        f'<global scope="trace">{_xes("string", "concept:name", "")}</global>\n'
        f'<global scope="event">{_xes("string", "concept:name", "")}{_xes("string", "lifecycle:transition", "complete")}'
        f"{_xes('date', 'time:timestamp', '1970-01-01T00:00:00Z')}</global>\n"
        '<classifier name="Activity" keys="concept:name"/>\n'
    )
    log = '<log xes.version="1849-2016" xes.features="" xmlns="http://www.xes-standard.org/">\n'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{log}{"".join(heads)}{scopes}{"".join(found)}</log>\n'


XES_FIELDS: Final = (
    "initiator", "chain", "action", "effect", "key", "policy", "rule", "verdict", "reason", "approvers", "approved",
    "seconds_to_decide", "approval_hash", "arguments_digest", "labels", "outcome", "trace", "previous",
)  # fmt: skip
"""Fields of the act that the event concludes, under their own names."""


def _xes_event(step: Step) -> str:
    record = step.record
    values = [
        ("string", "concept:name", step.activity),
        ("string", "concept:instance", step.text("command")),
        ("string", "lifecycle:transition", LIFECYCLE.get(record.kind, "complete")),
        ("string", "org:resource", step.actor),
        ("date", "time:timestamp", step.fields["at"]),
        ("string", "kind", record.kind),
        ("int", "seq", str(record.seq)),
        ("int", "position", str(record.position)),
        ("string", "hash", record.hash.hex()),
        *(("string", name, step.of_act(name)) for name in XES_FIELDS),
    ]
    return f"<event>{''.join(_xes(*value) for value in values if value[2])}</event>\n"


def _xes(kind: str, key: str, value: str) -> str:
    return f"<{kind} key={quoteattr(key)} value={quoteattr(UNWRITABLE.sub('', value))}/>"


FORMATS: Final[Mapping[str, Callable[[Case], str]]] = {
    "jsonl": to_jsonl,
    "ocsf": to_ocsf,
    "ocel": to_ocel,
    "xes": to_xes,
    "csv": to_csv,
}
"""Every form but the case file itself."""
