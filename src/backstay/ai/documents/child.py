"""The process that parses: `python -m backstay.ai.documents.child ROLE MEMORY`, one file after the other over its pipes.

It takes its limits upon itself before the first file arrives: whatever a file does, it does to this process only. It can
open no file and no connection any more, has no input but the pipe, and ends with its parent.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Any, BinaryIO, Final

from backstay.ai.documents import ocr, readers
from backstay.ai.documents.errors import DocumentTooLarge, DocumentUnreadable
from backstay.ai.documents.found import LENGTHS, Answer, DocumentLimits, Found

GRACE: Final = 5
"""Seconds beyond its limit after which the process ends itself, should its parent be gone."""

Work = Callable[[bytes, dict[str, Any], DocumentLimits], Found]

ROLES: Final[dict[str, tuple[Work, Callable[[], bool]]]] = {
    "parse": (readers.read, readers.load),
    "recognise": (ocr.read, ocr.load),
}
"""What each does, and what it loads before; that says whether it starts programs."""


def main() -> None:
    role, memory = sys.argv[1], int(sys.argv[2])
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    work, load = ROLES[role]
    confine(memory, programs=load())
    _say(answers, Answer())
    while (message := _hear(requests)) is not None:
        asked, data = message
        limits = DocumentLimits(**asked.pop("limits"))
        end_after(limits.ocr_seconds if role == "recognise" else limits.seconds)
        answer, pieces = answer_to(work, data, asked, limits)
        end_after(0)
        _say(answers, answer, pieces)
        if answer.last:
            break
    os._exit(0)


def answer_to(work: Work, data: bytes, asked: dict[str, Any], limits: DocumentLimits) -> tuple[Answer, list[bytes]]:
    """What was found in a file, or why it was not read."""
    try:
        found = work(data, asked, limits)
    except DocumentUnreadable as error:
        return Answer(error=error.code, problems=[str(error)]), []
    except MemoryError:
        text = "needs more memory to open than it may: do not open it, ask its sender what it is"
        return Answer(error=DocumentTooLarge.code, problems=[text], last=True), []
    except Exception as error:  # the parsers meet what nobody thought of: the file is at fault, the process goes on
        text = f"is damaged: it cannot be read ({type(error).__name__}); ask its sender to send it again"
        return Answer(error=DocumentUnreadable.code, problems=[text]), []
    given = {each.name: getattr(found, each.name) for each in fields(found) if each.name != "pieces"}
    parts = [(piece.name, len(piece.data)) for piece in found.pieces]
    return Answer(**given, parts=parts), [piece.data for piece in found.pieces]


def confine(memory: int, *, programs: bool) -> None:
    """Cap memory and output, and forbid to open anything, as far as the system can. programs: whether it may start some."""
    try:
        import resource
    except ImportError:  # not on Windows: there the limits of time, size and pages remain
        return
    limits = {resource.RLIMIT_AS: memory, resource.RLIMIT_CORE: 0}
    if not programs:
        limits |= {resource.RLIMIT_NOFILE: 0, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_NPROC: 0}
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))


def end_after(seconds: float) -> None:
    """Have the system end this process when it still works then, by the clock or by its own time; 0 for never."""
    if not hasattr(signal, "setitimer"):
        return
    import resource

    signal.setitimer(signal.ITIMER_REAL, seconds + GRACE if seconds else 0)
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime + seconds) + GRACE if seconds else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def _hear(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    head = stream.read(LENGTHS.size)
    if len(head) < LENGTHS.size:
        return None
    written, rest = LENGTHS.unpack(head)
    return json.loads(stream.read(written)), stream.read(rest)


def _say(stream: BinaryIO, answer: Answer, pieces: list[bytes] | None = None) -> None:
    written = answer.model_dump_json(exclude_defaults=True).encode("utf-8", "replace")
    stream.write(LENGTHS.pack(len(written), sum(map(len, pieces or ()))))
    stream.write(written)
    for piece in pieces or ():
        stream.write(piece)
    stream.flush()


if __name__ == "__main__":
    main()
