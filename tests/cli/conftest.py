"""A project as `backstay init` makes it, and the command line as a user types it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typed import Answer, Cli, Worker, dev

from backstay.cli import entry, screen


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with the files that `backstay init` makes."""
    assert entry.run(["init", str(tmp_path / "expenses"), "--json"]) == 0
    monkeypatch.chdir(tmp_path / "expenses")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("BACKSTAY_USER", "ann")
    for name in ("BACKSTAY_HOME", "BACKSTAY_KEY", "COLUMNS"):  # the runner of parallel tests sets COLUMNS
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "expenses"


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command line in this process."""

    def run(*arguments: str) -> Answer:
        capsys.readouterr()
        screen.consoles.cache_clear()
        sys.modules.pop("app", None)
        code = entry.run(arguments)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


@pytest.fixture
def claim(cli: Cli, project: Path) -> Callable[..., str]:
    """Start a claim and give its run's id."""

    def start(amount: str = "250", **more: str) -> str:
        inputs = [
            f"--input=claim.{name}={value}" for name, value in {"employee": "ann", "amount": amount, **more}.items()
        ]
        answer = cli("start", "app.py:reimburse", *inputs, "--json")
        assert answer.code == 0, answer
        return answer.json["run"]

    return start


@pytest.fixture
def worker(project: Path) -> Iterator[Worker]:
    """`backstay dev app.py` on the project's store."""
    with dev("app.py") as worker:
        yield worker
