"""A definition may come from outside: only text until the checker has passed it, whatever it claims."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backstay.canonical import canonical
from backstay.errors import DefinitionMissing, WorkflowRefused
from backstay.language import check_file, compile_definition
from backstay.language.trees import parse_item, tree_digest
from backstay.types import Json

SOURCE = """
from pydantic import BaseModel
from backstay.actions import action
from backstay.language import rule, workflow

LIMIT = 3

class Box(BaseModel):
    size: int = 1

@action(effect="read")
async def find(name: str) -> Box | None: ...

@rule
def small(box: Box) -> bool:
    return box.size < LIMIT

@workflow
async def flow(box: Box) -> bool:
    found = await find("a")
    return found is not None and small(box)
"""


@pytest.fixture
def document(tmp_path: Path) -> Json:
    (tmp_path / "flow.py").write_text(SOURCE)
    return json.loads(check_file(tmp_path / "flow.py").workflows[0].definition.text)


def rewrite(document: Json, name: str, source: str) -> None:
    """Replace an item's source, with a digest that fits."""
    document["sources"][name]["text"] = source
    next(item for item in document["items"] if item["name"] == name)["tree"] = tree_digest(parse_item(source))


def rename(document: Json, old: str, new: str) -> None:
    document["sources"][new] = document["sources"].pop(old)
    next(item for item in document["items"] if item["name"] == old)["name"] = new


REFUSED: dict[str, Callable[[Json], Any]] = {
    "code in the result of an action": lambda d: d["interfaces"]["find"].update(returns="().__class__.__base__"),
    "a call in the result of an action": lambda d: d["interfaces"]["find"].update(returns="list[print('x')]"),
    "an item under the name of a helper": lambda d: rename(d, "small", "__verdict__"),
    "a function under another name": lambda d: rewrite(d, "small", "def __str__(box):\n    return 1\n"),
    "a library name under the name of a helper": lambda d: d["library"].update(__at__="Decimal"),
    "an interface that hides a rule": lambda d: d["interfaces"].update(small=d["interfaces"]["find"]),
    "a constant that is a function": lambda d: rewrite(d, "LIMIT", "def LIMIT():\n    return 1\n"),
    "a constant that computes": lambda d: rewrite(d, "LIMIT", "LIMIT = [x for x in range(10 ** 9)]\n"),
    "a model with a hostile default": lambda d: rewrite(d, "Box", "class Box(BaseModel):\n    size: int = open('x')\n"),
    "a model with a metaclass": lambda d: rewrite(d, "Box", "class Box(BaseModel, metaclass=int):\n    size: int\n"),
    "a rule that imports": lambda d: rewrite(d, "small", "def small(box):\n    import os\n"),
    "a default that runs": lambda d: rewrite(d, "small", "def small(box=open('x')):\n    return 1\n"),
    "a decorator that runs": lambda d: rewrite(d, "small", "@open('x')\ndef small(box):\n    return 1\n"),
    "a rule that awaits": lambda d: rewrite(d, "small", "async def small(box):\n    return await find('a')\n"),
}

UNREADABLE: dict[str, Callable[[Json], Any]] = {
    "a name that this worker's library does not know": lambda d: d["library"].update(future="future"),
    "no source": lambda d: d["sources"].pop("small"),
    "a source of two statements": lambda d: d["sources"]["small"].update(text="x = 1\ny = 2\n"),
    "a source that is no Python": lambda d: d["sources"]["small"].update(text="def ("),
    "a language of the future": lambda d: d.update(language=99),
    "items that are no list": lambda d: d.update(items=7),
    "no root": lambda d: d.update(workflow="other"),
    "an interface with other fields": lambda d: d["interfaces"]["find"].update(more=1),
}


@pytest.mark.parametrize("attack", REFUSED)
def test_a_hostile_definition_is_refused_before_any_of_it_runs(document: Json, attack: str) -> None:
    REFUSED[attack](document)
    with pytest.raises(WorkflowRefused):
        compile_definition(canonical(document))


@pytest.mark.parametrize("damage", UNREADABLE)
def test_a_damaged_definition_is_named_as_such(document: Json, damage: str) -> None:
    UNREADABLE[damage](document)
    with pytest.raises(DefinitionMissing):
        compile_definition(canonical(document))


def test_an_undamaged_one_compiles(document: Json) -> None:
    assert compile_definition(canonical(document)).name == "flow"
