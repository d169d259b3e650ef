"""Runs a worker in a child process and starts it again when a Python file changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

POLL = 0.5
"""Seconds between looks for changes, and at the child."""
SUPERVISED = "BACKSTAY_SUPERVISED"
"""Set for a worker whose standard input is a pipe that its supervisor holds open, and that ends when that one dies."""
PATIENCE = 15
"""Seconds in which a worker must stop before it is killed; the next one resumes what it left."""


def supervise(arguments: list[str], folder: Path, *, quiet: bool) -> int:
    """Keep a worker running until Ctrl-C; gives its exit code."""
    from backstay.cli.screen import hint

    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    looks = changes(folder)
    next(looks)
    child, told = launch(arguments), False
    try:
        while not stopped.is_set():
            changed = next(looks)
            code = child.poll()
            if code not in (None, 0, *FINAL) and not changed and not told:
                told = True
                if not quiet:
                    hint("It is not running; it is started again when a Python file is saved. Ctrl-C stops.")
            if code == 0:
                return 0
            if changed:
                if not quiet:
                    hint(f"{', '.join(sorted(path.name for path in changed))} changed; starting again")
                end(child)
                child, told = launch(arguments), False
            elif code in FINAL:
                return code
    except KeyboardInterrupt:  # the terminal has told the child as well
        pass
    end(child, ask=stopped.is_set())
    return 0


FINAL = (2, 3, 5)
"""Exit codes of a worker that no change of a Python file will help."""


def launch(arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start a worker that stops when this process dies, in whatever way."""
    environment = {**os.environ, SUPERVISED: "1"}
    return subprocess.Popen([sys.executable, "-m", "backstay.cli", *arguments], stdin=subprocess.PIPE, env=environment)


def follow_supervisor() -> None:
    """In a supervised worker: stop politely when the supervisor is gone, and for good when that takes too long."""
    if os.environ.pop(SUPERVISED, "") == "":
        return

    def watch() -> None:
        while os.read(0, 1024):
            pass
        overdue = threading.Timer(PATIENCE, os._exit, (1,))
        overdue.daemon = True
        overdue.start()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="backstay-supervisor", daemon=True).start()


def end(child: subprocess.Popen[bytes], *, ask: bool = True) -> None:
    """Let a worker stop by itself; kill it when it does not."""
    if ask and child.poll() is None:
        child.terminate()
    try:
        child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdin is not None:
        child.stdin.close()


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
