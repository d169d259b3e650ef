"""A case in the forms that others read, each read back by a reader that is not ours."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import xml.etree.ElementTree as ET
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import r4pm
from py_ocsf_models.events.base_event import BaseEvent
from py_ocsf_models.objects.api import API
from r4pm import bindings

from backstay.operations.casefile import Case, read_case
from backstay.operations.exports import COLUMNS, FORMATS, to_csv, to_jsonl, to_ocel, to_ocsf, to_xes
from backstay.store.database import Reader
from tests.operations.test_casefile import IBAN, fill


@pytest.fixture
def case(home: Path) -> Case:
    run = asyncio.run(fill(home))
    with closing(Reader(home / "backstay.db")) as reader:
        return read_case(reader, run)


def started_by(case: Case, name: str) -> Case:
    """The case as if somebody of that name had started it."""
    first, *rest = case.runs[0].records
    changed = replace(first, body=json.dumps({**first.fields, "by": name}))
    return replace(case, runs=(replace(case.runs[0], records=(changed, *rest)), *case.runs[1:]))


@pytest.mark.parametrize("name", FORMATS)
def test_private_values_stay_pseudonyms(case: Case, name: str) -> None:
    assert IBAN not in FORMATS[name](case)


def test_json_lines_hold_every_event_in_order_of_commit(case: Case) -> None:
    lines = [json.loads(line) for line in to_jsonl(case).splitlines()]
    assert len(lines) == sum(len(run.records) for run in case.runs)
    assert [line["position"] for line in lines] == sorted(line["position"] for line in lines)
    assert lines[0]["kind"] == "run_started"
    assert lines[0]["event"]["input"]["invoice"]["vendor"] == "Brandt"


# --- CSV ------------------------------------------------------------------------------------------------------


def test_a_table_is_read_back(case: Case) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(case), newline="")))
    assert set(COLUMNS) <= rows[0].keys()
    paid = next(row for row in rows if row["kind"] == "call_intended" and row["action"] == "pay")
    assert (paid["effect"], json.loads(paid["args"])["amount"]) == ("irreversible", 700)
    assert next(row for row in rows if row["kind"] == "approval_decided")["by"] == "ann"


def test_a_cell_is_no_formula(case: Case) -> None:
    assert ",'=1+1," in to_csv(started_by(case, "=1+1"))


# --- process mining -----------------------------------------------------------------------------------------------


def test_the_object_centric_log_is_read_by_a_process_mining_library(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "case.json"
    path.write_text(to_ocel(case), "utf-8")
    log = bindings.slim_link_ocel(ocel=r4pm.import_item("OCEL", str(path)))
    assert bindings.num_events(ocel=log) == sum(len(run.records) for run in case.runs)
    assert set(bindings.locel_get_ob_types(ocel=log)) == {"run", "actor", "approval"}
    assert len(bindings.get_object_ids_of_type(ocel=log, ob_type="run")) == 2


def test_objects_and_events_of_the_object_centric_log_fit_together(case: Case) -> None:
    log = json.loads(to_ocel(case))
    known = {thing["id"]: thing["type"] for thing in log["objects"]}
    assert len(known) == len(log["objects"])
    declared = {kind["name"]: {a["name"]: a["type"] for a in kind["attributes"]} for kind in log["eventTypes"]}
    assert {kind["name"] for kind in log["objectTypes"]} == set(known.values())
    for event in log["events"]:
        assert {link["objectId"] for link in event["relationships"]} <= known.keys()
        assert {value["name"] for value in event["attributes"]} <= declared[event["type"]].keys()
    paid = next(event for event in log["events"] if event["type"] == "pay")
    assert {link["qualifier"] for link in paid["relationships"]} >= {"case", "by"}


def test_traces_are_read_by_a_process_mining_library(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "case.xes"
    path.write_text(to_xes(case), "utf-8")
    log = r4pm.import_item("EventLog", str(path))
    graph: Any = bindings.discover_dfg(event_log=log)
    activities = graph["activities"]
    assert sum(activities.values()) == sum(len(run.records) for run in case.runs)
    assert activities["pay"] == 2
    assert activities["approval decided: pay"] == 1


def test_a_broken_trace_is_refused_by_that_library(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "case.xes"
    path.write_text(to_xes(case).replace("</trace>", "", 1), "utf-8")
    with pytest.raises(Exception, match="(?i)load|xes|parse"):
        r4pm.import_item("EventLog", str(path))


def test_text_that_xml_cannot_hold_is_left_out(case: Case) -> None:
    root = ET.fromstring(to_xes(started_by(case, 'a\x00<"&\ud800')).encode("utf-8"))
    space = "{http://www.xes-standard.org/}"
    values = {one.get("key"): one.get("value") for one in root.findall(f"{space}trace")[0].findall(f"{space}event")[0]}
    assert values["org:resource"] == 'a<"&'
    assert values["lifecycle:transition"] == "start"


# --- OCSF ------------------------------------------------------------------------------------------------------------


def test_security_events_are_read_by_a_library_of_ocsf_models(case: Case) -> None:
    """The library has the base event and the objects, but not class 6003 itself."""
    lines = [json.loads(line) for line in to_ocsf(case).splitlines()]
    for line in lines:
        event, api = BaseEvent.model_validate(line), API.model_validate(line["api"])
        assert event.metadata.product.name == "Backstay"
        assert event.metadata.version == "1.9.0"
        assert api.request is not None
        assert (line["category_uid"], line["class_uid"]) == (6, 6003)
        assert line["type_uid"] == 100 * line["class_uid"] + line["activity_id"]
        assert line["actor"].keys() <= {"user", "app_name", "app_uid"}
    paid = next(line for line in lines if line["api"]["operation"] == "pay" and "user" not in line["actor"])
    assert (paid["status"], paid["activity_name"]) == ("Success", "irreversible")
    assert len(paid["api"]["request"]["uid"]) == 40
    assert any(
        line["actor"] == {"user": {"name": "ann"}} and line["unmapped"]["verdict"] == "approved" for line in lines
    )
