"""`backstay policy matrix --html`: the same matrix as one page that needs nothing else."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from typed import Cli

APP = '''
from pydantic import BaseModel
from backstay import Agent, App, Rule, action, workflow

class Answer(BaseModel):
    text: str

@action(effect="read")
async def look(number: str) -> str:
    """Look."""
    return number

@action(effect="write")
async def note_it(text: str) -> str:
    """Note."""
    return text

@action(effect="irreversible")
async def pay(account: str, amount: int) -> str:
    """Pay."""
    return "paid"

clerk = Agent("clerk", goal="Pay what is due.", tools=[look, note_it, pay], output=Answer)

@workflow
async def settle(account: str) -> str:
    return await pay(account, 1)

SMALL = Rule(id="small", verdict="allow", action="pay", effect="irreversible", agent="clerk", when="amount <= 50",
             owner="risk", expires="2099-12-31")
app = App("paying & <b>more", workflows=[clerk, settle], policy=[SMALL])
careful = App("careful", workflows=[clerk, settle])
empty = App("empty", workflows=[])
'''
VERDICTS = {"at once": "allow", "after a person": "hold", "only written down": "draft", "never": "deny"}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "paying.py").write_text(APP, "utf-8")
    return tmp_path / "page.html"


class Page(HTMLParser):
    """The rows of the page's table as a screen reader has them, and everything that it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.refers: list[str] = []
        self.tags: list[str] = []
        self._open: list[tuple[str, bool]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.refers += [str(given[name]) for name in ("src", "href", "action") if name in given]
        if tag in ("meta", "wbr"):
            return
        self._open.append((tag, given.get("aria-hidden") == "true"))
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            assert given["role"] in ("columnheader", "rowheader", "cell")
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        names = [name for name, _ in self._open]
        if ("td" in names or "th" in names) and "small" not in names and not any(hidden for _, hidden in self._open):
            self.rows[-1][-1] += data


def test_the_page_says_what_the_table_says(cli: Cli, file: Path) -> None:
    answer = cli("policy", "matrix", "paying.py:app", "--html", "page.html")
    assert (answer.code, answer.out) == (0, "The matrix is in page.html.\n")
    page = Page(file.read_text("utf-8"))
    head, *rows = page.rows
    said = {
        (caller, row[0]): sorted(VERDICTS[word] for word in cell.split(" or "))
        for row in rows
        for caller, cell in zip(head[1:], row[1:], strict=False)
        if cell != "never"
    }
    listed = cli("policy", "matrix", "paying.py:app", "--json").json
    assert said == {(row["caller"], row["action"]): sorted(row["verdicts"]) for row in listed}
    assert head == ["action", "clerk", "settle"]
    effects = [row[0].strip() for row in rows if len(row) == 1]
    assert effects == ["Irreversible", "Write", "Read"]
    assert [row for row in rows if row[0] == "pay"] == [["pay", "after a person or at once", "after a person"]]
    assert [row for row in rows if row[0] == "note_it"] == [["note_it", "after a person", "never"]]


def test_it_needs_nothing_from_elsewhere_and_runs_nothing(cli: Cli, file: Path) -> None:
    cli("policy", "matrix", "paying.py:app", "--html", "page.html")
    text = file.read_text("utf-8")
    page = Page(text)
    assert page.refers == []
    assert not {"script", "link", "img", "iframe", "form"} & set(page.tags)
    assert "url(" not in text
    assert "http" not in text
    assert '<html lang="en">' in text
    assert 'name="viewport"' in text
    assert "paying &amp; &lt;b&gt;more" in text


def test_it_names_what_an_agent_may_do_alone(cli: Cli, file: Path) -> None:
    cli("policy", "matrix", "paying.py:app", "--html", "page.html")
    assert "<b>clerk</b> may do <b>pay</b>, for some arguments" in file.read_text("utf-8")
    cli("policy", "matrix", "paying.py:careful", "--html", "page.html")
    assert "No agent does anything irreversible without a person." in file.read_text("utf-8")


def test_with_json_the_page_is_written_and_the_value_stays(cli: Cli, file: Path) -> None:
    plain = cli("policy", "matrix", "paying.py:app", "--json").json
    assert cli("policy", "matrix", "paying.py:app", "--html", "page.html", "--json").json == plain
    assert file.exists()


def test_where_nobody_calls_anything_it_says_what_to_do(cli: Cli, file: Path) -> None:
    told = cli("policy", "matrix", "paying.py:empty", "--html", "page.html")
    assert "add some to its App(workflows=[...])" in " ".join(told.out.split())
    assert not file.exists()


def test_a_place_that_takes_no_file_is_named(cli: Cli, file: Path) -> None:
    wrong = cli("policy", "matrix", "paying.py:app", "--html", "nowhere/page.html", "--json")
    assert wrong.code == 3
    assert "nowhere/page.html" in wrong.json["error"]["message"]
