"""Runs contestants: one subprocess each, a fresh scratch directory each, all of them in every round.

Rounds are interleaved and each begins with another contestant, so a slow phase of the disk hits everyone. A contestant
that cannot be installed, crashes or runs too long becomes a result with `ok: false` and its error; it never disappears.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.contestants import Contestant
from benchmarks.environments import CACHE, HERE, EnvironmentFailed, ensure

ROOT = HERE.parent
Measured: TypeAlias = dict[str, Any]
Round: TypeAlias = dict[str, Measured]
"""What each contestant measured in one round, by its name."""

SERVER_WITHIN = 60.0
"""Seconds that PostgreSQL may take to start or to stop."""
QUIET = {"LANGSMITH_TRACING": "false", "DO_NOT_TRACK": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def race(
    contestants: Sequence[Contestant], *, rounds: int, quick: bool, progress: Callable[[str], None]
) -> list[Round]:
    """Let every contestant run once per round and return what they measured, round by round."""
    interpreters, broken = install(contestants, progress)
    scratch = CACHE / f"work-{os.getpid()}"
    measured: list[Round] = []
    try:
        for number in range(rounds):
            taking_part = [contestant for contestant in contestants if number < contestant.rounds]
            first = number % len(taking_part) if taking_part else 0
            this: Round = {}
            for contestant in taking_part[first:] + taking_part[:first]:
                progress(f"round {number + 1} of {rounds}: {contestant.title}")
                if contestant.name in broken:
                    this[contestant.name] = failed(broken[contestant.name])
                else:
                    this[contestant.name] = run(contestant, interpreters, scratch, quick=quick)
            measured.append({contestant.name: this[contestant.name] for contestant in taking_part})
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return measured


def install(
    contestants: Sequence[Contestant], progress: Callable[[str], None]
) -> tuple[dict[str, Path], dict[str, str]]:
    """Make the environments; returns interpreters by environment and errors by contestant."""
    interpreters: dict[str, Path] = {}
    errors: dict[str, str] = {}
    broken: dict[str, str] = {}
    for contestant in contestants:
        for name in (contestant.environment, "postgres" if contestant.postgres else None):
            if name is not None and name not in interpreters and name not in errors:
                progress(f"environment {name}")
                try:
                    interpreters[name] = ensure(name)
                except (EnvironmentFailed, OSError) as error:
                    errors[name] = f"environment {name!r}: {error}"
            if name in errors:
                broken[contestant.name] = errors[name]
    return interpreters, broken


def run(contestant: Contestant, interpreters: dict[str, Path], scratch: Path, *, quick: bool) -> Measured:
    """Run one contestant once in an empty directory."""
    python = interpreters[contestant.environment] if contestant.environment else Path(sys.executable)
    own = scratch / contestant.name
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    command = [str(python), "-m", f"benchmarks.sides.{contestant.module}", *contestant.options]
    command += ["--scratch", str(own), *(contestant.quick if quick else ())]
    try:
        if not contestant.postgres:
            return launch(command, contestant.time_limit)
        with server(interpreters["postgres"], scratch / "postgres") as (address, version):
            command += ["--database", address.replace("/postgres?", f"/{own.name}-{os.urandom(4).hex()}?", 1)]
            measured = launch(command, contestant.time_limit)
            measured.setdefault("versions", {})["postgresql"] = version
            return measured
    except (OSError, RuntimeError) as error:
        return failed(str(error))
    finally:
        shutil.rmtree(own, ignore_errors=True)


def launch(command: Sequence[str], time_limit: float) -> Measured:
    """Run a side's script in a process group of its own and read the JSON line it ends with."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | QUIET,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        printed, complained = process.communicate(timeout=time_limit)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            return failed(f"stopped after {time_limit:g} s")
        raise
    last = printed.strip().splitlines()[-1:] or [""]
    if process.returncode == 0:
        with contextlib.suppress(json.JSONDecodeError):
            answer: Measured = json.loads(last[0])
            return answer
    lines = complained.strip().splitlines()[-1:] or last
    return failed(f"exit code {process.returncode}: {lines[0]}")


def failed(error: str) -> Measured:
    """A result that says why there is none, without this machine's paths."""
    return {"ok": False, "error": error.replace(str(ROOT), ".").replace(str(Path.home()), "~")[-800:]}


@contextlib.contextmanager
def server(python: Path, data: Path) -> Iterator[tuple[str, str]]:
    """Keep a PostgreSQL running on a Unix socket while the block runs; yields its address and version."""
    data.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [str(python), "-m", "benchmarks.sides.postgres_side", "--data", str(data)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise RuntimeError("no pipes to PostgreSQL's script")
    try:
        ready, _, _ = select.select([process.stdout], [], [], SERVER_WITHIN)
        line = process.stdout.readline() if ready else ""
        if not line:
            process.terminate()
            raise RuntimeError(f"PostgreSQL did not start: {process.stderr.read().strip()[-400:]}")
        started = json.loads(line)
        yield started["address"], started["version"]
    finally:
        # Closing its input tells the script to stop the server by its process id.
        process.stdin.close()
        try:
            process.wait(SERVER_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        process.stderr.close()
