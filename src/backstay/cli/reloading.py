"""Runs a worker in a child process and starts it again when a Python file changes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

POLL = 0.5
"""Seconds between looks for changes, and at the child."""
PATIENCE = 15
"""Seconds in which a worker must stop before it is killed; the next one resumes what it left."""


def supervise(arguments: list[str], folder: Path, *, quiet: bool) -> int:
    """Keep a worker running until Ctrl-C; gives its exit code."""
    from backstay.cli.screen import hint

    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    looks = changes(folder)
    next(looks)
    child = launch(arguments)
    try:
        while not stopped.is_set():
            changed = next(looks)
            code = child.poll()
            if code == 0:
                return 0
            if changed:
                if not quiet:
                    hint(f"{', '.join(sorted(path.name for path in changed))} changed; starting again")
                end(child)
                child = launch(arguments)
            elif code is not None and code in (2, 3, 5):  # no change of a Python file will help
                return code
    except KeyboardInterrupt:  # the terminal has told the child as well
        pass
    end(child, ask=stopped.is_set())
    return 0


def launch(arguments: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "backstay.cli", *arguments])


def end(child: subprocess.Popen[bytes], *, ask: bool = True) -> None:
    """Let a worker stop by itself; kill it when it does not."""
    if ask and child.poll() is None:
        child.terminate()
    try:
        child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def changes(folder: Path) -> Iterator[set[Path]]:
    """Python files that changed since the last look, every half second; the first look sees nothing."""
    try:
        from watchfiles import PythonFilter, watch
    except ImportError:
        yield from polled(folder)
        return
    yield set()
    milliseconds = int(POLL * 1000)
    for found in watch(
        folder, watch_filter=PythonFilter(), rust_timeout=milliseconds, yield_on_timeout=True, raise_interrupt=True
    ):
        yield {Path(path) for _, path in found}


def polled(folder: Path) -> Iterator[set[Path]]:
    """The same without the extra `watch`: by the times of the files."""
    known = times(folder)
    pause = threading.Event()
    while True:
        fresh = times(folder)
        yield {path for path in fresh.keys() | known.keys() if fresh.get(path) != known.get(path)}
        known = fresh
        pause.wait(POLL)


def times(folder: Path) -> dict[Path, float]:
    found: dict[Path, float] = {}
    for path in folder.rglob("*.py"):
        if not any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(folder).parts):
            try:
                found[path] = path.stat().st_mtime
            except FileNotFoundError:
                continue
    return found
