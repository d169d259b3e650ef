"""A case in the forms that others read: JSON Lines, CSV, OCSF for security tools, OCEL 2.0 and XES for process mining.

Each is a reading of the events, private values as pseudonyms; only the case file proves anything. docs/audit.md has the
mappings.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple
from xml.sax.saxutils import quoteattr

from backstay.operations.casefile import Case, CaseRun, Record
from backstay.types import Json, canonical

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
    activity: str
    actor: str
    """The person or service, or WORKFLOW@VERSION for the run itself."""

    def text(self, name: str) -> str:
        """A field of the event as text; JSON where it is more than text."""
        value = self.record.fields.get(name)
        return "" if value is None else value if isinstance(value, str) else canonical(value)


def steps(case: Case) -> Iterator[Step]:
    """The case's events in order of commit; what is done to a command bears the name of its action or item."""
    subjects: dict[tuple[str, str], str] = {}
    for run, record in case.records():
        fields, row = record.fields, run.row
        subject = fields.get("action") or fields.get("title") or fields.get("name") or fields.get("workflow") or ""
        place = (row.id, fields.get("command", ""))
        subject = subjects.setdefault(place, subject) if place[1] else subject
        words = record.kind.replace("_", " ")
        called = record.kind in ("call_intended", "call_returned")
        activity = subject if called else f"{words}: {subject}" if subject else words
        yield Step(run, record, activity, fields.get("by") or f"{row.workflow}@{row.version[:7]}")


# --- JSON Lines and CSV ----------------------------------------------------------------------------------


def to_jsonl(case: Case) -> str:
    """One event a line, in order of commit."""
    lines = (
        {"position": one.position, "run": run.row.id, "workflow": run.row.workflow, "seq": one.seq, "kind": one.kind,
         "hash": one.hash.hex(), "event": one.fields}
        for run, one in case.records()
    )  # fmt: skip
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


COLUMNS: Final = (
    "at", "by", "command", "site", "action", "effect", "attempt", "key", "rule", "approval", "queue", "verdict",
    "outcome", "reason", "digest", "args", "result",
)  # fmt: skip
"""Fields of the event that have a column of their own."""


def to_csv(case: Case) -> str:
    """A table for spreadsheets (RFC 4180); a cell that a spreadsheet would run as a formula is led by an apostrophe."""
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(("position", "run", "workflow", "version", "seq", "kind", "activity", *COLUMNS, "hash"))
    for step in steps(case):
        row, record = step.run.row, step.record
        cells = (row.workflow, row.version, record.seq, record.kind, step.activity, *map(step.text, COLUMNS))
        table.writerow(_harmless(cell) for cell in (record.position, row.id, *cells, record.hash.hex()))
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
    calls: dict[tuple[str, str], dict[str, Json]] = {}
    lines: list[str] = []
    for step in steps(case):
        fields = step.record.fields
        place = (step.run.row.id, fields.get("command", ""))
        if step.record.kind in ("call_intended", "approval_requested", "task_opened"):
            calls[place] = fields
        if step.record.kind in STATUS:
            lines.append(json.dumps(_api_activity(step, calls.get(place, {})), ensure_ascii=False) + "\n")
    return "".join(lines)


def _api_activity(step: Step, asked: dict[str, Json]) -> dict[str, Json]:
    fields, row, record = step.record.fields, step.run.row, step.record
    status_id, status, severity_id = STATUS[record.kind]
    reads = record.kind.startswith(("call", "attempt")) and not asked
    activity_id, activity = (2, "Read") if reads else (99, asked.get("effect", record.kind))
    own = {name: fields.get(name) or asked.get(name) for name in ("rule", "approval", "digest", "verdict", "outcome")}
    detail = fields.get("reason") or (fields.get("fault") or {}).get("message", "")
    return {
        "activity_id": activity_id, "activity_name": activity, "category_uid": 6, "category_name": "Application Activity",
        "class_uid": 6003, "class_name": "API Activity", "type_uid": 600300 + activity_id,
        "type_name": f"API Activity: {activity if reads else 'Other'}",
        "time": int(datetime.fromisoformat(fields["at"]).timestamp() * 1000),
        "severity_id": severity_id, "severity": SEVERITY[severity_id], "status_id": status_id, "status": status,
        **({"status_detail": detail} if detail else {}), "message": step.activity,
        "metadata": {
            "version": "1.9.0", "product": {"name": "Backstay", "vendor_name": "Backstay"}, "uid": f"{row.id}/{record.seq}",
            "correlation_uid": row.id, "sequence": record.position, "original_time": fields["at"], "event_code": record.kind,
        },
        "actor": {"user": {"name": step.actor}} if fields.get("by") else {"app_name": row.workflow, "app_uid": row.version},
        "api": {
            "operation": fields.get("action") or asked.get("action") or record.kind, "service": {"name": row.workflow, "uid": row.workflow, "version": row.version},
            "request": {"uid": asked.get("key") or f"{row.id}/{fields.get('command', '')}"},
        },
        "src_endpoint": {"name": "backstay"},
        "unmapped": {"hash": record.hash.hex(), **{name: value for name, value in own.items() if value}},
    }  # fmt: skip


# --- OCEL 2.0 --------------------------------------------------------------------------------------------------

EVENT_ATTRIBUTES: Final = {
    "kind": "string", "seq": "integer", "position": "integer", "hash": "string", "command": "string", "key": "string",
    "rule": "string", "verdict": "string", "reason": "string",
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
        item = f"{step.run.row.id}/{step.record.fields.get('command', '')}"
        if step.record.kind in ("approval_requested", "task_opened"):
            kinds[item] = "approval" if step.record.kind == "approval_requested" else "task"
            objects.setdefault(item, _ocel_object(item, kinds[item]))
        if item in kinds:
            related.append((item, "item"))
        if step.record.kind == "child_started" and step.record.fields["run"] in objects:
            related.append((step.record.fields["run"], "starts"))
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


def _ocel_object(name: str, kind: str) -> Json:
    return {"id": name, "type": kind, "attributes": [], "relationships": []}


def _ocel_event(step: Step, related: list[tuple[str, str]]) -> Json:
    record = step.record
    own = {"kind": record.kind, "seq": record.seq, "position": record.position, "hash": record.hash.hex()}
    values = {name: own.get(name, step.text(name)) for name in EVENT_ATTRIBUTES}
    return {
        "id": f"{step.run.row.id}/{record.seq}",
        "type": step.activity,
        "time": record.fields["at"],
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


def _xes_event(step: Step) -> str:
    record = step.record
    values = [
        ("string", "concept:name", step.activity),
        ("string", "concept:instance", step.text("command")),
        ("string", "lifecycle:transition", LIFECYCLE.get(record.kind, "complete")),
        ("string", "org:resource", step.actor),
        ("date", "time:timestamp", record.fields["at"]),
        ("string", "kind", record.kind),
        ("int", "seq", str(record.seq)),
        ("int", "position", str(record.position)),
        ("string", "hash", record.hash.hex()),
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
