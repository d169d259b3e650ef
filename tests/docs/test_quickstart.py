"""The quickstart is true: its commands are run in order, in a fresh directory, and print what it shows."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from test_pages import ROOT, blocks

from backstay.store.database import Reader as Store

PAGE = ROOT / "docs" / "quickstart.md"
RUN = "01m7w8d3x038pgjd34rd8tzjmr"
"""The id that the page shows; the test puts the real one in its place."""
PATIENCE = 20.0
CHANGING = (
    (re.compile(r"\d\d:\d\d:\d\d"), "TIME"),
    (re.compile(r"version [0-9a-f]{12}"), "version V"),
    (re.compile(r"PAY-[0-9a-f]{8}"), "PAY"),
    (re.compile(r"[ \t]+"), " "),
)


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each `$` line of the page with the lines shown after it."""
    for block in blocks(PAGE):
        if block.info == "console":
            for part in re.split(r"(?m)^\$ ", block.text)[1:]:
                command, _, shown = part.partition("\n")
                yield command, shown.splitlines()


def plain(text: str) -> list[str]:
    for pattern, word in CHANGING:
        text = pattern.sub(word, text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def fits(shown: list[str], printed: list[str]) -> bool:
    """Line by line; `...` alone is any number of lines, at the end of a line any words."""
    if not shown:
        return not printed
    first, rest = shown[0], shown[1:]
    if first == "...":
        return any(fits(rest, printed[skipped:]) for skipped in range(len(printed) + 1))
    if not printed:
        return False
    same = printed[0].startswith(first[:-3].rstrip()) if first.endswith("...") else printed[0] == first
    return same and fits(rest, printed[1:])


class Reader:
    """Somebody who types what the page says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = ""
        paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {**os.environ, "PATH": paths, "COLUMNS": "200", "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
        self.environment.pop("BACKSTAY_HOME", None)

    def type(self, command: str) -> str:
        words = [word.replace(RUN, self.run).replace(RUN[-8:], self.run[-8:]) for word in shlex.split(command)]
        if words[0] == "cd":
            self.folder /= words[1]
            return ""
        if words[0] == "python":
            words[0] = sys.executable
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        printed = done.stdout + done.stderr
        if words[1] == "start":
            started = re.search(r"run ([0-9a-z]{26})", printed)
            assert started, f"$ {command}\n{printed}"
            self.run = started[1]
        if words[1] in ("start", "approve"):
            self.settle()
        return printed.replace(self.run, RUN).replace(self.run[-8:], RUN[-8:]) if self.run else printed

    def settle(self) -> None:
        """Wait until the worker has done what it can."""
        until = time.monotonic() + PATIENCE
        store = Store(self.folder / ".backstay" / "backstay.db")
        while store.all("runs_to_resume"):
            assert time.monotonic() < until, "a run does not stop running"
            time.sleep(0.05)
        store.close()

    @contextmanager
    def worker(self, command: str) -> Iterator[None]:
        """The command in a terminal of its own, ended with Ctrl-C."""
        with (self.folder / "worker.out").open("w") as told:
            worker = subprocess.Popen(
                shlex.split(command),
                cwd=self.folder,
                env=self.environment,
                stdout=told,
                stderr=told,
                start_new_session=True,
            )
            try:
                until = time.monotonic() + PATIENCE
                while not (self.folder / ".backstay" / "worker.json").exists():
                    assert worker.poll() is None, (self.folder / "worker.out").read_text()
                    assert time.monotonic() < until, (self.folder / "worker.out").read_text()
                    time.sleep(0.05)
                yield
            finally:
                os.killpg(worker.pid, signal.SIGINT)  # a terminal tells the whole group
                try:
                    worker.wait(PATIENCE)
                finally:
                    worker.kill()


def test_the_quickstart_does_what_it_says(tmp_path: Path) -> None:
    reader, listed = Reader(tmp_path), list(commands())
    (dev,) = [number for number, (command, _) in enumerate(listed) if command.startswith("backstay dev")]
    for command, shown in listed[:dev]:
        follow(reader, command, shown)
    (told,) = [block.text for block in blocks(PAGE) if block.info == "python no-run"]
    assert told in (reader.folder / "app.py").read_text("utf-8")
    with reader.worker(listed[dev][0]):
        for command, shown in listed[dev + 1 :]:
            follow(reader, command, shown)


def follow(reader: Reader, command: str, shown: list[str]) -> None:
    printed = reader.type(command)
    expected = [line for line in plain("\n".join(shown)) if line]
    assert fits(expected, plain(printed)), f"$ {command}\n{printed}"
