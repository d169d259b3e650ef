"""What a stored definition holds, what makes a new version, and what a worker refuses to compile."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from driver import run

from backstay.canonical import canonical
from backstay.errors import DefinitionMissing, InvalidInput, WorkflowRefused
from backstay.language import Tracker, Workflow, check_file, compile_definition, new_context
from backstay.language.definitions import version_of

SOURCE = '''
from decimal import Decimal
from typing import Any
from pydantic import BaseModel
from backstay.actions import action
from backstay.commands import now
from backstay.language import rule, workflow
from backstay.types import Sensitive

LIMIT = Decimal("100")

class Invoice(BaseModel):
    """A bill."""
    vendor: str
    total: Decimal
    iban: Sensitive["pii"] = ""

@action(effect="read")
async def look_up(vendor: str) -> Invoice | None: ...

@rule
def too_much(invoice: Invoice) -> bool:
    """Over the limit."""
    return invoice.total > LIMIT

@workflow(deadline="30d")
async def check(invoice: Invoice, note: str = "-") -> str:
    """Checks."""
    # a remark
    if too_much(invoice) and invoice.iban != "x":
        return "too much"
    known = await look_up(invoice.vendor)
    return "known" if known else "unknown"
'''

Load = Callable[..., Workflow[..., Any]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(*changes: tuple[str, str]) -> Workflow[..., Any]:
        source = SOURCE
        for old, new in changes:
            assert old in source
            source = source.replace(old, new)
        path = tmp_path / f"m{len(list(tmp_path.iterdir()))}.py"
        path.write_text(source)
        checked = check_file(path)
        assert [str(one) for one in checked.diagnostics] == []
        return checked.workflows[0]

    return load


@pytest.mark.parametrize(
    "change",
    [
        ("    # a remark\n", ""),
        ('"""Checks."""', '"""Checks more."""'),
        ("invoice.total > LIMIT", "(invoice.total   >\n        LIMIT)"),
        ("\nLIMIT", "\n\n\n\nLIMIT"),
        ('"too much"', "'too much'"),
        ('    """A bill."""\n', ""),
    ],
)
def test_comments_layout_and_docstrings_are_not_part_of_the_version(load: Load, change: tuple[str, str]) -> None:
    assert load(change).definition.version == load().definition.version


@pytest.mark.parametrize(
    "change",
    [
        ('"100"', '"101"'),
        ("invoice.total > LIMIT", "invoice.total >= LIMIT"),
        ('iban: Sensitive["pii"] = ""', 'iban: Sensitive["pii"] = "-"'),
        ('effect="read"', 'effect="write"'),
        ("look_up(vendor: str)", "look_up(vendor: str, country: str = 'DE')"),
        ('deadline="30d"', 'deadline="31d"'),
        ("vendor: str\n    total", "vendor: str | None\n    total"),
    ],
)
def test_everything_that_can_change_a_run_is_part_of_the_version(load: Load, change: tuple[str, str]) -> None:
    assert load(change).definition.version != load().definition.version


def test_a_definition_is_compiled_without_the_author_s_module(load: Load) -> None:
    flow = load()
    text, version = flow.definition.text, flow.definition.version
    sys.modules.pop(flow.fn.__module__)
    program = compile_definition(text, version)
    said, _ = run(program, {"invoice": {"vendor": "v", "total": "7"}}, lambda _: {"value": None})
    assert json.loads(said)[-1] == {"result": "unknown"}
    assert program.deadline == "30d"
    assert program.interfaces["look_up"].effect == "read"
    assert program.interfaces["look_up"].parameters == ("vendor",)
    assert program.line_of("look_up") == 32


def test_the_version_is_the_digest_of_all_but_the_sources(load: Load) -> None:
    definition = load().definition
    document = json.loads(definition.text)
    assert version_of(document) == definition.version
    assert canonical(document) == definition.text


def test_a_text_that_is_not_the_version_asked_for_is_not_run(load: Load) -> None:
    with pytest.raises(DefinitionMissing, match="not 000000000000 as asked"):
        compile_definition(load().definition.text, "0" * 64)


def test_a_source_that_was_edited_in_the_store_is_not_run(load: Load) -> None:
    text = load().definition.text.replace("invoice.total > LIMIT", "invoice.total < LIMIT")
    with pytest.raises(DefinitionMissing, match="'too_much' is not the one its version was made from"):
        compile_definition(text)


def test_a_definition_from_outside_is_checked_like_any_other(load: Load) -> None:
    from backstay.language.trees import parse_item, tree_digest

    document = json.loads(load().definition.text)
    hostile = "def too_much(invoice):\n    return open('/etc/passwd').read()\n"
    document["sources"]["too_much"]["text"] = hostile
    next(item for item in document["items"] if item["name"] == "too_much")["tree"] = tree_digest(parse_item(hostile))
    with pytest.raises(WorkflowRefused, match="B206"):
        compile_definition(canonical(document))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"language": 1}'])
def test_rubbish_is_no_definition(text: str) -> None:
    with pytest.raises(DefinitionMissing):
        compile_definition(text)


def test_input_is_checked_against_a_closed_schema(load: Load) -> None:
    flow = load()
    with pytest.raises(InvalidInput) as caught:
        flow.write_input(named={"invoice": {"vendor": 3, "total": "x"}, "more": 1})
    assert sorted(caught.value.fields) == ["invoice.total", "invoice.vendor", "more"]
    assert flow.write_input(({"vendor": "v", "total": "1.50"},)) == {
        "invoice": {"vendor": "v", "total": "1.50", "iban": ""},
        "note": "-",
    }
    assert flow.input_schema["required"] == ["invoice"]
    assert flow.result_schema == {"type": "string"}
    assert flow.program.input_schema == flow.input_schema


def test_awaiting_a_workflow_in_a_workflow_starts_a_child(load: Load) -> None:
    command = load()({"vendor": "v"}, note="n")
    assert (command.workflow, command.args, command.returns) == (
        "check",
        {"invoice": {"vendor": "v"}, "note": "n"},
        str,
    )


def test_the_trail_says_what_was_decided_and_why_without_sealed_values(load: Load) -> None:
    program = load().program
    tracker = Tracker()
    coroutine = program.begin({"invoice": {"vendor": "v", "total": "700", "iban": "DE99"}})
    with pytest.raises(StopIteration):
        new_context(tracker).run(coroutine.send, None)
    compared, asked, branch = tracker.take()
    assert compared == {
        "step": "too_much/return.318877",
        "kind": "return",
        "text": "invoice.total > LIMIT",
        "verdict": True,
        "values": {"invoice.total": "700", "LIMIT": "100"},
    }
    assert asked == {
        "step": "rule.too_much",
        "kind": "rule",
        "name": "too_much",
        "verdict": True,
        "values": {"invoice": "Invoice(vendor='v', total=700)"},
    }
    assert branch["text"] == 'too_much(invoice) and invoice.iban != "x"'
    assert branch["values"]["invoice.iban"] == "(sealed)"
    assert "DE99" not in str([compared, asked, branch])
    assert tracker.take() == []


def test_step_ids_survive_edits_elsewhere(load: Load) -> None:
    before = set(load().program.steps)
    after = set(
        load(
            ("    known = ", "    moment = await now()\n    known = "), ('"known" if', '"well known" if')
        ).program.steps
    )
    assert before <= after


def test_a_traceback_shows_the_stored_source(load: Load) -> None:
    import traceback

    program = load(('return "too much"', "return 1 // 0")).program
    context = new_context(Tracker())
    coroutine = program.begin({"invoice": {"vendor": "v", "total": "700"}})
    with pytest.raises(ZeroDivisionError) as caught:
        context.run(coroutine.send, None)
    assert "return 1 // 0" in "".join(traceback.format_exception(caught.value))


def test_a_compiled_program_is_forgotten_with_its_last_reference(load: Load) -> None:
    import gc

    program = compile_definition(load().definition.text)
    name = program.module.__name__
    assert name in sys.modules
    del program
    gc.collect()
    assert name not in sys.modules
