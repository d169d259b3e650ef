"""The command line as a user types it, and a worker in a process of its own."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
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
