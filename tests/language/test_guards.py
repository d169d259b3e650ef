"""What no checker can see from the text alone ends in an error that is the same on every machine."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from decimal import getcontext
from pathlib import Path
from typing import Any

import pytest
from driver import run

from backstay.language import Workflow, check_file, compile_definition

HEADER = """
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from pydantic import BaseModel
from backstay.commands import note, sleep
from backstay.errors import ProcessError, ProgramLimit
from backstay.language import rule, workflow

TABLE = {"a": [1, 2], "b": {"c": 3}}

class Colour(Enum):
    RED = [1]

@dataclass(frozen=True)
class Key:
    vendor: str

@dataclass(order=True)
class Internals:
    rank: int = 0
    returns: str = ""
    core_schema: str = ""
    model_fields_set: str = ""
    args: str = ""
    tzinfo: str = ""
    site: str = ""

class Box(BaseModel):
    items: list[int] = []
    index: int = 0
    format: str = "f"

    def deep(self, other: "Box") -> int:
        return other.deep(self)
"""

Flow = Callable[..., Any]


@pytest.fixture
def ends(tmp_path: Path) -> Flow:
    """Runs the body of a workflow and gives its result, or the error it ends with."""

    def ends(body: str, **given: Any) -> Any:
        parameters = ", ".join(f"{name}: Any" for name in given)
        source = f"{HEADER}\n@workflow\nasync def flow({parameters}) -> Any:\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n"
        (tmp_path / "flow.py").write_text(source)
        checked = check_file(tmp_path / "flow.py")
        assert [str(one) for one in checked.diagnostics] == []
        said, _ = run(checked.workflows[0].program, given, lambda _: {"value": None})
        return json.loads(said)[-1].get("result", json.loads(said)[-1].get("failed"))

    return ends


@pytest.mark.parametrize(
    "body",
    [
        "return 10 ** 100000",
        "x = 2\nfor _ in range(40):\n    x = x * x\nreturn x",
        "return 1 << 100000",
        "return 'a' * 10 ** 9",
        "return [0] * 10 ** 9",
        "s = 'a'\nfor _ in range(40):\n    s += s\nreturn s",
        "s = 'a'\nfor _ in range(40):\n    s = f'{s}{s}'\nreturn s",
        "s = 'aa'\nfor _ in range(40):\n    s = s.replace('a', 'aa')\nreturn s",
        "return 'a'.ljust(10 ** 9)",
        "return '1'.zfill(10 ** 9)",
        "s = 'a' * 1000\nfor _ in range(9):\n    s = s.join([s, s, s])\nreturn s",
        "return range(10 ** 9)[0]",
        "return int('9' * 100000)",
        "return int(Decimal('1e900000'))",
        "return round(Decimal('1e900000'))",
        "return f\"{Decimal('1e900000'):f}\"",
        "x = [1]\nfor _ in range(60):\n    x = [x, x]\nreturn str(x)",
        "x: list[Any] = []\nx.append(x)\nreturn f'{x}'",
        "while True:\n    pass",
        "x = [0]\nfor y in x:\n    x.append(y)\nreturn 1",
        "return len([1 for a in range(1000) for b in range(1000)])",
        "while True:\n    try:\n        while True:\n            pass\n    except ProgramLimit:\n        pass",
        "return Box().deep(Box())",
        "return int('1' * 641)",
        "return str(10 ** 640)",
        "return int(Decimal('1e640'))",
        "big = [0] * 1_000_000\nfor i in range(300):\n    if -1 in big:\n        return i",
        "big = 'x' * 1_000_000\nfor i in range(90_000):\n    if f'y{i}' in big:\n        return i",
        "big, other = [0] * 1_000_000, [0] * 1_000_000\nfor i in range(300):\n    if big != other:\n        return i",
        "kept: list[str] = []\nfor i in range(600):\n    kept.append('x' * 999_000 + f'{i}')",
        "big, kept = [0] * 1_000_000, [[0]]\nfor i in range(300):\n    kept.append(big[1:])",
        "big = 'x' * 1_000_000\nfor i in range(9_000):\n    big.upper()",
        "x: Any = [1]\nfor _ in range(60):\n    x = [x, x]\nreturn x",
        "x: Any = [1]\nfor _ in range(60):\n    x = [x, x]\nawait note('x', data=x)",
        "x: Any = [1]\ny: Any = [1]\nfor _ in range(60):\n    x, y = [x, x], [y, y]\nreturn x == y",
        "x: Any = []\ny: Any = []\nfor _ in range(900):\n    x, y = [x], [y]\nreturn x == y",
        "x: Any = []\nx.append(x)\ny: Any = []\ny.append(y)\nreturn sorted([x, y])",
    ],
)
def test_values_and_loops_that_explode_end_the_run(ends: Flow, body: str) -> None:
    assert ends(body) == "ProgramLimit"


@pytest.mark.parametrize(
    "body",
    [
        "TABLE['a'] = 1",
        "TABLE['b']['c'] = 4",
        "TABLE.update(a=1)",
        "TABLE['b'].clear()",
        "Colour.RED.value = 3",
        "x = 'text'\nx.index = 3",
        "x = '%s'\nreturn x % 3",
        "return 2.0 ** 0.5",
    ],
)
def test_what_outlives_a_run_cannot_be_changed(ends: Flow, body: str) -> None:
    assert ends(body) == "TypeError"


def test_a_list_in_a_constant_is_a_tuple(ends: Flow) -> None:
    assert ends("return [str(TABLE['a']), str(Colour.RED.value)]") == ["(1, 2)", "(1,)"]


@pytest.mark.parametrize(
    "body",
    [
        "x = [1, 2]\nreturn str(x.index)",
        "x = 'text'\nreturn str(x.format)",
        "x = {'items': 1}\nreturn str(x.items)",
    ],
)
def test_a_field_name_does_not_reach_the_methods_of_other_values(ends: Flow, body: str) -> None:
    assert ends("box = Box()\n" + body) == "AttributeError"


@pytest.mark.parametrize(
    "body",
    [
        "return sleep('1s').site",
        "return note('x').returns",
        "return Box().model_fields_set",
        "return datetime(2026, 1, 1, tzinfo=UTC).tzinfo",
        "try:\n    return [1 / 0]\nexcept Exception as error:\n    return error.args",
        "try:\n    raise ValueError('x')\nexcept Exception as error:\n    return error.site",
        "x = [1]\nreturn x.rank",
    ],
)
def test_a_field_of_one_class_is_no_field_of_another(ends: Flow, body: str) -> None:
    assert ends("Internals()\n" + body) == "AttributeError"


def test_methods_that_a_dataclass_generates_have_what_they_need(ends: Flow) -> None:
    body = "one = {Key('a'): 1}\nreturn [one[Key('a')], Key('a') == 'a', Internals(1) < Internals(2)]"
    assert ends(body) == [1, False, True]
    assert ends("key = Key('a')\nkey.vendor = 'b'") == "FrozenInstanceError"


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        ("ValueError('a', sleep('1s'), Box(), 1.5)", "('a', <Sleep>, Box(items=[], index=0, format='f'), 1.5)"),
        ("ValueError(ValueError('inner'))", "ValueError"),
        ("ValueError(sleep('1s'))", "<Sleep>"),
        ("KeyError(3)", "3"),
        ("ValueError()", ""),
    ],
)
def test_the_text_of_an_error_is_the_same_in_every_process(ends: Flow, raised: str, message: str) -> None:
    assert ends(f"try:\n    raise {raised}\nexcept Exception as error:\n    return str(error)") == message


def test_the_text_of_an_error_never_fails(ends: Flow) -> None:
    body = "x: Any = []\nfor _ in range(90):\n    x = [x]\nraise ValueError('a', x)"
    assert ends(body) == "ValueError"


def test_fields_with_the_names_of_methods_are_read_from_models(ends: Flow) -> None:
    body = "box = Box(items=[1], index=3)\nbox.index += 1\nbox.format = 'g'\nreturn [box.items, box.index, box.format]"
    assert ends(body) == [[1], 4, "g"]


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ("return sum([0.1] * 10)", 0.9999999999999999),
        ("return str(zip([1], [2])) + str(enumerate(['a']))", "[(1, 2)][(0, 'a')]"),
        (
            "return f'{date(2026, 3, 7):%d.%m.%y}|{3.14159:.2f}|{Decimal(5):>6}|{True!r:5}'",
            "07.03.26|3.14|     5|True ",
        ),
        ("try:\n    int('x')\nexcept ValueError as error:\n    return str(error)", "ValueError"),
        ("try:\n    raise ValueError('mine')\nexcept ValueError as error:\n    return f'{error}'", "mine"),
        (
            "try:\n    assert 1 > 2, 'said so'\nexcept AssertionError as error:\n    return str(error)",
            "said so",
        ),
        ("return 2.0 ** 3", 8.0),
        ("return next((x for x in [1, 2, 3] if x > 1), None)", 2),
        ("return [x is None for x in [None, 1]]", [True, False]),
        ("return str(Decimal(1) / Decimal(3))", "0.3333333333333333333333333333"),
        (
            "return [str(x) for x in (date(2026, 1, 2), None, 1.5, Decimal('1.50'))]",
            ["2026-01-02", "None", "1.5", "1.50"],
        ),
    ],
)
def test_built_ins_give_the_same_on_every_version(ends: Flow, body: str, result: Any) -> None:
    assert ends(body) == result


def test_a_moment_without_a_zone_is_not_moved(ends: Flow) -> None:
    assert ends("return datetime.fromisoformat('2026-01-01T00:00').astimezone(UTC)") == "ValueError"


def test_the_process_cannot_change_a_run_s_arithmetic(ends: Flow) -> None:
    getcontext().prec = 5
    try:
        assert ends("return Decimal(1) / Decimal(3)") == "0.3333333333333333333333333333"
    finally:
        getcontext().prec = 28


def test_what_is_awaited_must_be_a_command(ends: Flow) -> None:
    assert ends("x = 3\nawait x") == "TypeError"


def test_two_runs_of_one_program_share_nothing(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(
        HEADER
        + "\n@workflow\nasync def flow() -> Any:\n    box = Box()\n    box.items.append(1)\n    return len(box.items)\n"
    )
    flow: Workflow[..., Any] = check_file(tmp_path / "flow.py").workflows[0]
    program = compile_definition(flow.definition.text)
    assert [run(program, {}, lambda _: None)[0] for _ in range(2)] == [run(program, {}, lambda _: None)[0]] * 2
