"""What a person types to see what is remembered, and to take it back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typed import Cli, Worker, dev

APP = '''
from pydantic import BaseModel
from backstay import App, action, workflow
from backstay.ai.memory import Memory

vendors = Memory("vendors", keep_for="30d")
drafts = Memory("drafts", keep_for=0.001)
keep_vendors, keep_drafts = vendors.keep, drafts.keep

@action(effect="read")
async def find_order(number: str) -> dict[str, str]:
    """Look."""
    return {"vendor": "Brandt", "note": "freight is billed apart"}

@workflow
async def learn(number: str) -> str:
    order = await find_order(number)
    note = order["note"]
    await keep_drafts(text=note, subject="Gone", source="find_order", quote=note)
    return (await keep_vendors(text=note, subject=order["vendor"], source="find_order", quote=note)).id

app = App("learning", workflows=[learn], suppliers=[vendors, drafts])
'''


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An application with two memories, in the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKSTAY_USER", "ann")
    for name in ("BACKSTAY_HOME", "BACKSTAY_KEY", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "learning.py").write_text(APP, "utf-8")
    return tmp_path / ".backstay"


@pytest.fixture
def learnt(cli: Cli, home: Path) -> str:
    """The id of what one case has kept."""
    answer = cli("start", "learning.py:learn", "--input=number=7", "--json")
    assert answer.code == 0, answer
    (item,) = cli("memory", "list", "--json").json
    return item["id"]


@pytest.fixture
def worker(learnt: str) -> Iterator[Worker]:
    """`backstay dev` on the store, in a process of its own."""
    with dev("learning.py:app") as worker:
        yield worker


def test_a_store_that_remembers_nothing_says_how_it_would(cli: Cli, project: Path) -> None:
    assert cli("start", "app.py:reimburse", "--input=claim.employee=ann", "--input=claim.amount=5").code == 0
    shown = cli("memory")
    assert shown.code == 0
    assert "Nothing is remembered yet." in shown.out
    assert "memory.recall, memory.keep" in shown.out
    assert cli("memory", "list", "--json").json == []
    assert "Nothing has expired." in cli("memory", "list", "--expired").out
    missing = cli("memory", "show", "m-1")
    assert missing.code != 0
    assert "nothing is remembered" in missing.err


def test_the_list_says_about_what_by_whom_and_until_when(cli: Cli, learnt: str) -> None:
    (item,) = cli("memory", "list", "--json").json
    assert (item["memory"], item["subject"], item["by"], item["approved_by"]) == ("vendors", "Brandt", "learn", [])
    shown = cli("memory", "list", "--subject", "brandt").out
    assert learnt in shown
    assert "nobody was asked" in shown
    assert "Nothing is remembered about Acme." in cli("memory", "list", "--subject", "Acme").out


def test_one_item_is_shown_with_the_case_and_the_words_it_came_from(cli: Cli, learnt: str) -> None:
    told = cli("memory", "show", learnt, "--json").json
    (kept,) = told["history"]
    assert (kept["source"], kept["quote"], kept["run"]) == ("find_order", "freight is billed apart", told["run"])
    shown = cli("memory", "show", learnt).out
    assert "about Brandt, in memory vendors" in shown
    assert f"backstay log {told['run']}" in shown


def test_a_person_takes_an_item_back(cli: Cli, learnt: str) -> None:
    assert "say why" in cli("memory", "forget", learnt).err
    answer = cli("memory", "forget", learnt, "--reason", "they changed it", "--json")
    assert (answer.code, answer.json["by"]) == (0, "ann")
    assert cli("memory", "list", "--json").json == []
    assert cli("memory", "forget", learnt, "--reason", "again").code != 0


def test_what_has_expired_is_listed_apart_and_dropped_at_once(cli: Cli, learnt: str) -> None:
    (gone,) = cli("memory", "list", "--expired", "--json").json
    assert gone["subject"] == "Gone"
    assert "memory forget --expired" in cli("memory", "list", "--expired").out
    assert cli("memory", "forget", "--expired", "--json").json == {"forgotten": 1, "by": "ann"}
    assert cli("memory", "list", "--expired", "--json").json == []
    assert [item["id"] for item in cli("memory", "list", "--json").json] == [learnt]


def test_forget_wants_an_id_or_expired_and_not_both(cli: Cli, learnt: str) -> None:
    assert "--expired" in cli("memory", "forget", "--reason", "x").err
    assert cli("memory", "forget", learnt, "--expired", "--reason", "x").code != 0


def test_a_running_worker_forgets_at_once(cli: Cli, learnt: str, worker: Worker) -> None:
    assert cli("memory", "forget", learnt, "--reason", "they changed it").code == 0
    assert cli("memory", "list", "--json").json == []
    worker.stop()
