"""One door for files: whatever comes from outside is read here, in processes that may fail, within limits.

A file is told by its content. What cannot be read is a `DocumentUnreadable` with a code of its own, which no retry mends; a
part that cannot be read is a part without text, and a problem that says why.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from backstay.actions import Action, CallContext
from backstay.ai.documents.children import children
from backstay.ai.documents.errors import DocumentUnreadable
from backstay.ai.documents.found import DocumentLimits
from backstay.ai.documents.kept import KeptFile, bytes_of, content
from backstay.ai.documents.model import Document
from backstay.ai.documents.reading import Reading, plain_name
from backstay.errors import AuthorError


class Reader:
    """Reads files: `App(suppliers=[reader])`, and in a workflow `await read_document(file)`.

    name: unique in its application; the action is `read_NAME`. limits: how much one file may ask for. ocr: whether pictures
    of text are recognised. Raises AuthorError naming what does not fit.
    """

    def __init__(self, name: str = "document", *, limits: DocumentLimits | None = None, ocr: bool = True) -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,39}", name):
            raise AuthorError(f"reader {name!r}: a name has letters, digits and _, begins with a letter, and is short")
        self.name, self.limits, self.ocr = name, limits or DocumentLimits(), ocr

    @property
    def actions(self) -> Sequence[Action[Any]]:
        return [self.read]

    @cached_property
    def read(self) -> Action[Document]:
        """Read a file of the home. Its result is text from outside."""

        def read(file: KeptFile, context: CallContext) -> Document:
            name = plain_name(file.name or file.digest)
            with _named(name):
                data = bytes_of(context.home, file, self.limits.size)
            return self.read_bytes(data, name)

        read.__doc__ = "Read a file: its text with places, its tables and attachments, and the e-invoice in it."
        return Action(
            fn=read, name=f"read_{self.name}", effect="read", untrusted=True, on_failure="raise",
            timeout=self.limits.seconds + self.limits.ocr_seconds + 60,
        )  # fmt: skip

    def read_file(self, path: Path | str, name: str = "") -> Document:
        """Read the file at a path; raises DocumentUnreadable."""
        path = Path(path)
        with _named(name or path.name):
            data = content(path, self.limits.size)
        return self.read_bytes(data, name or path.name)

    def read_bytes(self, data: bytes, name: str = "") -> Document:
        """Read what a file holds; raises DocumentUnreadable."""
        with _named(name):
            return Reading(self.limits, ocr=self.ocr).read(data, name, 0)

    async def close(self) -> None:
        """End the processes that wait for the next file; they are started again when they are needed."""
        for role, memory in (("parse", self.limits.memory), ("recognise", self.limits.ocr_memory)):
            await asyncio.to_thread(children(role, memory).close)


@contextmanager
def _named(name: str) -> Generator[None]:
    """Say in an error which file it is about."""
    try:
        yield
    except DocumentUnreadable as error:
        raise type(error)(f"{name or 'the file'!r} {error}") from None


reader = Reader()
"""The door with the limits that most need."""

read_document, read_file = reader.read, reader.read_file
