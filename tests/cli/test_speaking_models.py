"""On a terminal, what a model says is seen while it says it; piped, and with --json, there is nothing of it."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest
from rich.console import Console
from typed import Cli

from backstay.cli import screen
from backstay.cli.following import Speech, broken
from backstay.cli.worker import run_here
from backstay.engine.streams import Piece
from backstay.types import PieceKind

APP = '''
from pydantic import BaseModel
from backstay import Agent, App, Models, action
from backstay.ai.scripted import ScriptedModel, call, finish

class Answer(BaseModel):
    text: str

@action(effect="read")
async def look(number: str) -> str:
    """Look."""
    return "freight is billed apart"

clerk = Agent("clerk", goal="Look.", tools=[look], output=Answer)
SAYS = "I look at the order\\x1b[31m first.\\nThen I say what I found there, in one sentence that is longer than a line."
MODEL = ScriptedModel([SAYS, call("look", number="7"), finish({"text": "x"}, ("It is.", "o1", "freight is billed"))])
app = App("looking", workflows=[clerk], models=Models(careful=MODEL))
'''


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "looking.py").write_text(APP, "utf-8")
    return tmp_path / "looking.py"


def test_the_words_of_a_model_stand_on_a_terminal_between_the_lines_of_the_log(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    consoles = {"out": Console(file=terminal, force_terminal=True, width=70, color_system=None)}
    monkeypatch.setattr(screen, "consoles", lambda: consoles)
    asyncio.run(run_here(file, "clerk", {"input": "7"}, "", ("ann", ""), Path("home"), True, False))
    lines = [line[20:].rstrip() for line in terminal.getvalue().splitlines() if " › " in line]
    assert lines == [
        "I look at the order[31m first.", "Then I say what I found there, in one sentence", "that is longer than a line.",
        "asks for look", "asks for finish",
    ]  # fmt: skip


def test_piped_there_is_nothing_of_it(file: Path, cli: Cli) -> None:
    for more in ((), ("--json",)):
        told = cli("start", "looking.py:clerk", "-i", "input=7", "--wait", *more)
        assert told.code == 0, told
        assert "asks for" not in told.out
        assert "I say what I found" not in told.out or "›" not in told.out


def test_two_that_speak_at_once_are_told_apart_and_a_broken_answer_is_not_continued() -> None:
    told: list[tuple[str, str]] = []
    speech = Speech(lambda run, line: told.append((run, line)), lambda: 20)

    def hear(run: str, kind: PieceKind, text: str = "") -> None:
        speech.hear(Piece(run=run, command="1", kind=kind, text=text, after=1))

    hear("a", "text", "One goes ")
    hear("b", "text", "Two\ngoes")
    hear("a", "text", "on until it is full")
    hear("b", "begun", "local")
    hear("b", "text", "anew")
    hear("b", "done")
    hear("a", "done")
    assert told == [
        ("b", "Two"), ("a", "One goes on until it"), ("b", "goes"), ("b", "anew"), ("a", "is full"),
    ]  # fmt: skip


def test_a_word_that_is_longer_than_a_line_is_broken() -> None:
    assert broken("x" * 25 + " y", 10) == ["x" * 10, "x" * 10, "xxxxx y"]
    assert broken("", 10) == [""]
