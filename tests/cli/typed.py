"""The command line as a user types it, and a worker in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Cli = Callable[..., "Answer"]
Start = Callable[..., str]


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Worker:
    """A worker in a process of its own."""

    process: subprocess.Popen[str]

    def stop(self) -> str:
        """Ask it to stop, and give what it printed."""
        self.process.terminate()
        return self.process.communicate(timeout=30)[0]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


def wait_until(true: Callable[[], Any], seconds: float = 30.0) -> None:
    """Look again until something holds; fails after some seconds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@contextmanager
def dev(app: str) -> Generator[Worker, None, None]:
    """`backstay dev` on the store in the current directory, in a process of its own."""
    command = [sys.executable, "-m", "backstay.cli", "dev", app, "--no-reload"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_until(lambda: Path(".backstay/worker.json").exists() or process.poll() is not None)
    yield Worker(process)
    if process.poll() is None:
        process.kill()
        process.communicate(timeout=30)
