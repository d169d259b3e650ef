"""What holds for every command: shared options, exit codes, errors without tracebacks, the generated page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typed import Cli

from backstay import errors
from backstay.cli import reference
from backstay.cli.entry import COMMANDS, GROUPS, app
from backstay.cli.exits import BY_ERROR, EXITS

GROUP: Any = typer.main.get_command(app)
EVERY = [(name, GROUP.commands[name]) for _, name, _ in COMMANDS] + [
    (f"{group} {name}", command) for _, group, _ in GROUPS for name, command in GROUP.commands[group].commands.items()
]
CHANGING = {
    "start", "signal", "approve", "reject", "done", "claim", "release", "reassign", "ask", "answer", "comment", "cancel",
    "retry", "settle", "switch flip", "switch drill", "autonomy grant", "mcp serve", "autonomy revoke", "erase", "people add", "people revoke", "people key", "people revoke-key",
    "people delegate", "people undelegate", "audit checkpoint", "tools review", "memory forget", "knowledge list", "knowledge search", "steps fit", "steps accept", "steps examples",
}  # fmt: skip


@pytest.mark.parametrize(("name", "command"), EVERY, ids=[name for name, _ in EVERY])
def test_every_command_takes_home_and_json(name: str, command: Any) -> None:
    names = {option for parameter in command.params for option in parameter.opts}
    assert {"--home", "--json"} <= names
    assert ("--as" in names) == (name in CHANGING)
    assert command.help


def test_the_help_lists_every_command_and_exit_code(cli: Cli) -> None:
    answer = cli("--help")
    assert answer.code == 0
    for name, _ in EVERY:
        assert f"  {name.partition(' ')[0]} " in answer.out
    for code in EXITS:
        assert f"  {code} " in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80


def test_the_page_in_the_docs_is_what_the_commands_say() -> None:
    page = Path(__file__).parents[2] / "docs" / "cli.md"
    assert page.read_text("utf-8") == reference.write(), "run: python -m backstay.cli.reference docs/cli.md"


def test_every_error_of_an_operator_or_caller_has_an_exit_code() -> None:
    kinds = (errors.AuthorError, errors.OperatorError, errors.RequestError)
    classes = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, kinds)]
    assert sorted(cls.__name__ for cls in classes if cls.code not in BY_ERROR) == []
    assert set(BY_ERROR.values()) <= set(EXITS)


def test_the_version_is_printed(cli: Cli) -> None:
    assert cli("--version").out.startswith("backstay ")


def test_a_wrong_command_line_says_where_its_help_is(cli: Cli) -> None:
    answer = cli("shwo")
    assert answer.code == 2
    assert "No such command 'shwo'" in answer.err


def test_a_wrong_command_line_is_json_if_json_was_asked_for(cli: Cli) -> None:
    answer = cli("show", "--json")
    assert answer.code == 2
    assert answer.json["error"]["code"] == "USAGE"
    assert answer.err == ""


def test_an_error_is_one_json_object_with_its_code(cli: Cli, project: Path) -> None:
    answer = cli("show", "nothing", "--json")
    assert answer.code == 3
    assert answer.json["error"]["code"] == "NOT_FOUND"
    assert answer.json["error"]["fields"] == {}


def test_an_error_in_words_has_no_traceback(cli: Cli, project: Path) -> None:
    answer = cli("show", "nothing")
    assert answer.code == 3
    assert answer.out == ""
    assert answer.err.startswith("error: there is no store in '.backstay'")
    assert "Traceback" not in answer.err


def test_a_file_that_is_no_store_is_told_so(cli: Cli, project: Path) -> None:
    (project / ".backstay").mkdir()
    (project / ".backstay" / "backstay.db").write_bytes(b"something else entirely, and long enough to be read" * 50)
    answer = cli("runs", "--json")
    assert answer.code == 5
    assert answer.json["error"]["code"] == "STORE"


def test_a_reader_that_goes_away_is_no_fault(project: Path) -> None:
    script = "from backstay.cli.entry import main; main(['--help'])"
    done = subprocess.run(
        f'"{sys.executable}" -c "{script}" | head -n 1', shell=True, capture_output=True, text=True, check=True
    )
    assert "Traceback" not in done.stderr
