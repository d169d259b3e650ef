"""What a person types to fill a knowledge base, to see what is in it, and to search it as somebody."""

from __future__ import annotations

from pathlib import Path

import pytest
from typed import Cli

APP = """
from backstay import App, workflow
from backstay.ai.knowledge import Folder, KnowledgeBase, Retrieved

handbook = KnowledgeBase("handbook", sources=[Folder("docs")], access={"hr/*": ["hanna"], "*": ["everyone"]}, embeddings=None)
retrieve_handbook = handbook.retrieve

@workflow
async def look(query: str) -> Retrieved:
    return await retrieve_handbook(query)

app = App("office", workflows=[look], suppliers=[handbook])
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An application with a knowledge base, in the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKSTAY_USER", "ann")
    for name in ("BACKSTAY_HOME", "BACKSTAY_KEY", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "office.py").write_text(APP, "utf-8")
    (tmp_path / "docs" / "hr").mkdir(parents=True)
    (tmp_path / "docs" / "leave.md").write_text("# Leave\n\nThirty days of leave a year.\n", "utf-8")
    (tmp_path / "docs" / "hr" / "bonus.md").write_text("# Bonus\n\nThe bonus is paid in leave or money.\n", "utf-8")
    (tmp_path / "docs" / "scan.pdf").write_bytes(b"%PDF-1.4 broken")
    return tmp_path / ".backstay"


def test_where_there_is_none_it_says_how_there_would_be_one(cli: Cli, home: Path) -> None:
    shown = cli("knowledge")
    assert shown.code == 0
    assert "There is no knowledge base here yet." in shown.out
    assert "backstay knowledge index FILE BASE" in shown.out
    assert cli("knowledge", "list", "--json").json == []
    assert not home.exists()


def test_one_that_was_not_indexed_says_so(cli: Cli, home: Path) -> None:
    shown = cli("knowledge", "search", "office.py", "handbook", "leave")
    assert "has not been indexed yet" in shown.out
    assert "backstay knowledge index office.py handbook" in shown.out
    assert cli("knowledge", "search", "office.py", "handbook", "leave", "--json").json is None


def test_index_reads_what_is_new_and_list_counts_what_one_may_read(cli: Cli, home: Path) -> None:
    done = cli("knowledge", "index", "office.py", "handbook", "--json").json
    assert (done["read"], done["gone"]) == (2, 0)
    assert done["unreadable"][0].startswith("scan.pdf: is ")
    assert "It was up to date." in cli("knowledge", "index", "office.py").out
    (Path("docs") / "leave.md").unlink()
    assert "1 gone" in cli("knowledge", "index", "office.py").out
    (mine,) = cli("knowledge", "list", "--json").json
    (hers,) = cli("knowledge", "list", "--as", "hanna", "--json").json
    assert (mine["documents"], mine["passages"], hers["documents"], hers["passages"]) == (1, 0, 2, 1)
    assert list(mine["problems"]) == ["scan.pdf"]
    shown = cli("knowledge", "list").out
    assert "words only" in shown
    assert "scan.pdf" in shown


def test_a_search_shows_what_somebody_may_find(cli: Cli, home: Path) -> None:
    cli("knowledge", "index", "office.py", "handbook")
    mine = cli("knowledge", "search", "office.py", "handbook", "bonus leave", "--json").json
    hers = cli("knowledge", "search", "office.py", "handbook", "bonus leave", "--as", "hanna", "--json").json
    assert [each["document"] for each in mine["passages"]] == ["leave.md"]
    assert {each["document"] for each in hers["passages"]} == {"leave.md", "hr/bonus.md"}
    shown = cli("knowledge", "search", "office.py", "handbook", "bonus leave").out
    assert "It may not be here" in shown
    assert mine["passages"][0]["citation"] in shown
    assert "bonus.md" not in shown
    assert "Nothing that you may read" in cli("knowledge", "search", "office.py", "handbook", "zebra").out


def test_a_base_that_is_not_there_is_named_with_those_that_are(cli: Cli, home: Path) -> None:
    answer = cli("knowledge", "index", "office.py", "manual")
    assert answer.code != 0
    assert "has no knowledge base 'manual'; it has handbook" in answer.err


def test_a_folder_that_is_not_there_and_one_without_a_fitting_file_say_so(cli: Cli, home: Path) -> None:
    Path("empty").mkdir()
    Path("office.py").write_text(APP.replace('Folder("docs")', 'Folder("empty")'), "utf-8")
    shown = cli("knowledge", "index", "office.py")
    assert "no file in 'empty' fits '**/*'" in shown.out
    assert "up to date" not in shown.out
    found = cli("knowledge", "search", "office.py", "handbook", "leave").out
    assert "It may not be here: there is nothing to read here." in found
    assert "citation" not in found
    Path("empty").rmdir()
    answer = cli("knowledge", "index", "office.py")
    assert answer.code == 3
    assert "there is no folder 'empty' to read documents from" in answer.err


def test_a_long_passage_is_shortened_unless_it_is_wanted_whole(cli: Cli, home: Path) -> None:
    (Path("docs") / "leave.md").write_text(f"# Leave\n\n{'Thirty days of leave. ' * 9}Lastly.\n", "utf-8")
    cli("knowledge", "index", "office.py")
    ask = ("knowledge", "search", "office.py", "handbook", "leave")
    assert "Lastly" not in cli(*ask).out
    assert "Lastly" in cli(*ask, "--whole").out
    assert "Lastly" in cli(*ask, "--json").json["passages"][0]["text"]


def test_one_of_several_bases_must_be_named(cli: Cli, home: Path) -> None:
    second = 'manual = KnowledgeBase("manual", sources=[Folder("docs")], embeddings=None)\n\n@workflow'
    text = APP.replace("@workflow", second).replace("[handbook])", "[handbook, manual])")
    Path("office.py").write_text(text, "utf-8")
    assert "several knowledge bases, name one of them: handbook, manual" in cli("knowledge", "index", "office.py").err
