"""What a run reports about itself: bounded, cheap, and never a sealed value."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from backstay.errors import InvalidInput, WorkflowRefused
from backstay.language import Tracker, check_file, current_tracker, new_context, rule, workflow
from backstay.language.tracker import MAX_TRAIL
from backstay.types import Json

HEADER = """
from typing import Any
from pydantic import BaseModel
from backstay.actions import action
from backstay.commands import note
from backstay.language import DecisionTable, rule, workflow
from backstay.types import Sensitive

class Person(BaseModel):
    name: str
    iban: Sensitive["pii"] = "DE89"
    cards: list[Sensitive["pii"]] = ["4111"]

@action(effect="read")
async def secret_of(name: str) -> Sensitive["pii"]: ...

@rule
def same(one: Any, other: Any) -> Any:
    return one == other

@rule
def last_of(text: str) -> str:
    return text[-2:] if text else text
"""

Trail = Callable[..., list[dict[str, Json]]]


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    """The trail of a workflow's body up to its end or its second await."""

    def trail(body: str) -> list[dict[str, Json]]:
        code = textwrap.indent(textwrap.dedent(body).strip(), "    ")
        (tmp_path / "flow.py").write_text(f"{HEADER}\n@workflow\nasync def flow(person: Person) -> Any:\n{code}\n")
        checked = check_file(tmp_path / "flow.py")
        assert [str(one) for one in checked.diagnostics] == []
        tracker = Tracker()
        context = new_context(tracker)
        coroutine = checked.workflows[0].program.begin({"person": {"name": "ann"}})
        try:
            context.run(coroutine.send, None)
            context.run(coroutine.send, "DE89")
        except StopIteration:
            pass
        return tracker.take()

    return trail


@pytest.mark.parametrize(
    "body",
    [
        "if person.iban == 'x':\n    pass",
        "found = person.iban\nif found == 'x':\n    pass",
        "found = [person.iban]\nwhile len(found) > 3 or 'q' in found:\n    pass",
        "for card in person.cards:\n    if card > 'a':\n        pass",
        "x = [c for c in person.cards if c != 'q']\nif x:\n    pass",
        "if same(person.iban, 'x'):\n    pass",
        "last = last_of(person.iban)\nif last != 'q':\n    pass",
        "match person:\n    case Person(iban=found) if found > 'A':\n        pass",
        "match person.iban:\n    case 'x':\n        pass",
        "found = await secret_of('a')\nif found == 'x':\n    pass",
        "rows: list[Any] = []\nrows.append(person.iban)\nif rows:\n    pass",
        "text = f'{person.iban}!'\nif text or text:\n    pass",
        "if (found := person.iban) and found != 'x':\n    pass",
        "if person:\n    pass",
        "if [person][0] == person and {'p': person}:\n    pass",
    ],
)
def test_sealed_values_never_reach_the_trail(trail: Trail, body: str) -> None:
    said = str(trail(body))
    assert "DE89" not in said
    assert "4111" not in said
    assert "'89'" not in said
    assert "verdict" in said


def test_a_condition_shows_only_what_was_looked_at(trail: Trail) -> None:
    (entry,) = trail("a, b, c = 1, 2, 3\nif a > b and b > c:\n    pass")
    assert entry["values"] == {"a": 1, "b": 2}
    assert (entry["kind"], entry["text"], entry["verdict"]) == ("if", "a > b and b > c", False)


def test_values_are_shown_as_they_were(trail: Trail) -> None:
    entries = trail("xs = [1]\nif xs:\n    xs.append(2)\nif xs:\n    pass")
    assert [entry["values"] for entry in entries] == [{"xs": "[1]"}, {"xs": "[1, 2]"}]


def test_large_values_are_cut(trail: Trail) -> None:
    (entry,) = trail("xs = ['y' * 1000] * 1000\nif xs:\n    pass")
    assert len(entry["values"]["xs"]) == 200


def test_a_table_says_which_row_answered(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(
        HEADER
        + 'desk = DecisionTable("desk", inputs={"size": "number"}, rows=[{"size": "< 3", "then": "a"}, {"then": "b"}])\n\n'
        + "@workflow\nasync def flow(size: int) -> str:\n    return desk(size=size)\n"
    )
    flow = check_file(tmp_path / "flow.py").workflows[0]
    tracker = Tracker()
    with pytest.raises(StopIteration):
        new_context(tracker).run(flow.program.begin({"size": 5}).send, None)
    expected = {
        "step": "table.desk",
        "kind": "table",
        "name": "desk",
        "verdict": "b",
        "values": {"size": 5},
        "row": 2,
    }
    assert tracker.take() == [expected]


def test_a_long_trail_ends_with_a_count(trail: Trail) -> None:
    entries = trail("for x in range(5000):\n    if x > 3:\n        pass")
    assert len(entries) == MAX_TRAIL + 1
    assert entries[-1] == {"kind": "dropped", "count": 4000}


def test_each_run_has_its_own_tracker() -> None:
    one, other = Tracker(), Tracker()
    assert new_context(one).run(current_tracker.get) is one
    assert new_context(other).run(current_tracker.get) is other


def test_workflows_may_be_defined_inside_a_function() -> None:
    class Local(BaseModel):
        size: Decimal

    @rule
    def big(item: Local) -> bool:
        return item.size > 3

    @workflow
    async def local_flow(item: Local) -> bool:
        return big(item)

    assert big(Local(size=Decimal(4))) is True
    assert local_flow.write_input(named={"item": Local(size=Decimal(4))}) == {"item": {"size": "4"}}
    assert local_flow.program.write_result(True) is True


def test_a_result_that_is_no_json_names_the_workflow() -> None:
    @workflow
    async def odd() -> Any:
        return 1

    with pytest.raises(InvalidInput, match="result of workflow 'odd'"):
        odd.program.write_result(object())


def test_what_is_not_defined_yet_is_refused_when_the_definition_is_asked_for() -> None:
    @workflow
    async def early() -> Any:
        return never_defined()  # pyright: ignore[reportUndefinedVariable]

    with pytest.raises(WorkflowRefused, match="`never_defined` is not defined"):
        _ = early.definition
