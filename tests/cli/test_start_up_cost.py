"""`backstay --help` must answer at once, so it may not import what it does not need."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "asyncio", "cryptography", "fastapi", "pydantic", "pydantic_ai", "rich", "sqlite3", "watchfiles",
    "backstay.actions", "backstay.engine", "backstay.events", "backstay.language", "backstay.operations", "backstay.store",
)  # fmt: skip


def modules_after(*arguments: str) -> set[str]:
    code = f"import sys; from backstay.cli.entry import run; run({list(arguments)!r}); print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


def test_help_imports_nothing_heavy() -> None:
    assert [name for name in HEAVY if name in modules_after("--help")] == []


def test_the_help_of_a_command_imports_nothing_heavy_of_ours() -> None:
    loaded = modules_after("start", "--help")  # typer reads a command's options with pydantic
    assert [name for name in HEAVY if name in loaded and name != "pydantic"] == []


def test_importing_backstay_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, backstay; print('\\n'.join(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [name for name in HEAVY if name in done.stdout.split()] == []
