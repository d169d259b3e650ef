"""Processes that parse: kept warm, used by one caller at a time, and replaced when one died or was stopped.

The parent parses nothing: it writes bytes into a pipe, and validates what comes back, which is bounded.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from backstay.ai.documents.einvoice import EInvoice
from backstay.ai.documents.errors import DocumentCrashed, DocumentTimeout, DocumentUnreadable, ReaderUnavailable
from backstay.ai.documents.found import LENGTHS, MIB, Answer, DocumentLimits

ANSWER: Final = 64 * MIB
"""Bytes of JSON that an answer may have."""
START: Final = 60.0
"""Seconds for a process to load what it needs."""
MOST: Final = 200
"""Files after which a process is replaced, as its memory is never quite what it was."""
IDLE: Final = 2
"""Processes that wait for the next file."""
_GIVEN: Final = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "TESSDATA_PREFIX")
"""What a process is told of its surroundings; secrets are not among it."""


@cache
def children(role: str, memory: int) -> Children:
    """The processes of a role that all readers share."""
    return Children(role, memory)


class Children:
    """The processes of one role, with one limit of memory; safe for threads."""

    def __init__(self, role: str, memory: int) -> None:
        self._role, self._memory = role, memory
        self._idle: list[_Child] = []
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))
        atexit.register(self.close)

    def ask(
        self, data: bytes, asked: Mapping[str, Any], limits: DocumentLimits, seconds: float
    ) -> tuple[Answer, list[bytes]]:
        """What one process answers about a file, with the bytes of its parts.

        Raises DocumentTimeout when it took longer, DocumentCrashed when the process ended, whereupon the next file gets
        another one; ReaderUnavailable when none starts.
        """
        message = json.dumps({**asked, "limits": asdict(limits)}).encode()
        with self._turns, self._child() as child:
            return child.ask(message, data, seconds, limits.unpacked)

    def close(self) -> None:
        """End those that wait; the next file starts one again."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.end()

    @contextmanager
    def _child(self) -> Generator[_Child]:
        with self._lock:
            child = self._idle.pop() if self._idle else None
        if child is None or not child.lives:
            child = _Child(self._role, self._memory)
        try:
            yield child
        except BaseException:
            child.end()
            raise
        with self._lock:
            kept = child.lives and child.asked < MOST and len(self._idle) < IDLE
            if kept:
                self._idle.append(child)
        if not kept:
            child.end()


class _Child:
    """One process, in a group of its own."""

    def __init__(self, role: str, memory: int) -> None:
        command = [sys.executable, "-P", "-m", "backstay.ai.documents.child", role, str(memory)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
            env=_environment(),
        )  # fmt: skip
        self.asked = 0
        self.lives = True
        try:
            with self._stopped_after(START):
                self._hear(0)
        except DocumentUnreadable:
            self.end()
            raise ReaderUnavailable(
                f"the process {role!r} that reads files did not start with {memory // MIB} MiB; give it more memory, or free some"
            ) from None

    def ask(self, message: bytes, data: bytes, seconds: float, most: int) -> tuple[Answer, list[bytes]]:
        self.asked += 1
        with self._stopped_after(seconds):
            into = self._process.stdin
            assert into is not None
            with contextlib.suppress(BrokenPipeError):  # then it has ended, which the answer says
                into.write(LENGTHS.pack(len(message), len(data)))
                into.write(message)
                into.write(data)
                into.flush()
            return self._hear(most)

    def end(self) -> None:
        self.lives = False
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self._process.wait()

    @contextmanager
    def _stopped_after(self, seconds: float) -> Generator[None]:
        late = threading.Event()

        def stop() -> None:
            late.set()
            with contextlib.suppress(OSError):
                self._process.kill()

        watch = threading.Timer(max(seconds, 0.01), stop)
        watch.daemon = True
        watch.start()
        try:
            yield
        except DocumentCrashed:
            if not late.is_set():
                raise
            raise DocumentTimeout(
                "takes longer to read than it may: do not open it, ask its sender what it is"
            ) from None
        finally:
            watch.cancel()

    def _hear(self, most: int) -> tuple[Answer, list[bytes]]:
        written, rest = LENGTHS.unpack(self._exactly(LENGTHS.size))
        if written > ANSWER or rest > most:
            raise DocumentCrashed("made its reader answer with more than it may: do not open it")
        try:
            answer = Answer.model_validate_json(self._exactly(written))
            if answer.data is not None:
                EInvoice.model_validate(answer.data)
        except ValidationError:
            raise DocumentCrashed("made its reader answer with what is no answer: do not open it") from None
        if answer.last:
            self.lives = False
        if rest != sum(size for _, size in answer.parts):
            raise DocumentCrashed("made its reader answer with what is no answer: do not open it")
        return answer, [self._exactly(size) for _, size in answer.parts]

    def _exactly(self, size: int) -> bytes:
        pipe = self._process.stdout
        assert pipe is not None
        data = pipe.read(size)
        if len(data) < size:
            raise DocumentCrashed("makes its reader fail, or take more memory than it may: do not open it")
        return data


def _environment() -> dict[str, str]:
    """That of a process: where this package lies, and one thread for each library."""
    known = {name: os.environ[name] for name in _GIVEN if name in os.environ}
    paths = [str(Path(__file__).resolve().parents[3]), *filter(None, [os.environ.get("PYTHONPATH")])]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_THREAD_LIMIT"), "1")
    return {**known, **threads, "PYTHONPATH": os.pathsep.join(paths)}
