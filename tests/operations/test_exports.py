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
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
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


@pytest.fixture(scope="module")
def api_activity() -> Draft202012Validator:
    """Class 6003 as the newest published schema that a package carries; it refuses attributes that it does not name."""
    schemas = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.8.0"))
    schema = schemas.get_class_schema(class_name=schemas.lookup_class_name_from_uid(6003), profiles=[])
    return Draft202012Validator(schema)


def test_security_events_fit_the_published_schema(case: Case, api_activity: Draft202012Validator) -> None:
    lines = [json.loads(line) for line in to_ocsf(replace(case, tenant="backstay/1")).splitlines()]
    assert [error.message for line in lines for error in api_activity.iter_errors(line)] == []
    paid = next(line for line in lines if line["api"]["operation"] == "pay" and "user" not in line["actor"])
    assert (paid["status"], paid["activity_name"], paid["metadata"]["tenant_uid"]) == (
        "Success", "irreversible", "backstay/1",
    )  # fmt: skip
    assert len(paid["api"]["request"]["uid"]) == 40
    assert paid["api"]["request"]["data"] == {"vendor": "Brandt", "amount": 700}
    assert paid["api"]["response"] == {"message": "returned", "data": {"result": "T-700"}}
    assert [one["decision"] for one in paid["actor"]["authorizations"]] == ["allowed", "approved"]
    decided = [line for line in lines if line["actor"].get("user") == {"name": "ann"}]
    assert [line["unmapped"]["verdict"] for line in decided] == ["approved"]


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.pop("api"),
        lambda line: line.update(severity_id="high"),
        lambda line: line.update(our_own="field"),
        lambda line: line["metadata"].pop("product"),
        lambda line: line["actor"].update(roles=[]),
    ],
)
def test_that_schema_refuses_what_does_not_fit(case: Case, api_activity: Draft202012Validator, change: Any) -> None:
    line = json.loads(to_ocsf(case).splitlines()[0])
    change(line)
    assert [*api_activity.iter_errors(line)]
