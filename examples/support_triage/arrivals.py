"""How a mail arrives: a dropped .eml file becomes a `Mail`, within bounds; what cannot be read goes to a person.

Only the standard library reads it. Nothing in a file makes this fail or grow: size, parts, header and text are bounded,
attachments are named and not opened, HTML is reduced to its words.

`python -m examples.support_triage.arrivals FILE.eml` prints the input of the workflow, for `backstay start --input`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from email import policy
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.utils import getaddresses
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from typing import Final

from examples.support_triage.models import Mail

BYTES: Final = 1_000_000
PARTS: Final = 30
HEADER: Final = 20_000
"""Bytes before the first empty line."""
TEXT: Final = 20_000
LINES: Final = 400
LINE: Final = 1_000
SUBJECT: Final = 300
ADDRESS: Final = 254
NAME: Final = 100
SKIPPED: Final = ("script", "style", "head", "template")


class Unreadable(Exception):
    """A file is no mail that a program should read; the message says why."""


def received(file: Path) -> Mail:
    """The mail in a file; where it cannot be read, a mail that says why."""
    with file.open("rb") as opened:
        return parsed(opened.read(BYTES + 1))


def parsed(raw: bytes) -> Mail:
    """The mail in these bytes; where they cannot be read, a mail that says why."""
    digest = hashlib.sha256(raw).hexdigest()
    try:
        message = _message(raw)
        parts = list(islice(message.walk(), PARTS + 1))
        if len(parts) > PARTS:
            raise Unreadable(f"it has more than {PARTS} parts")
        return Mail(
            digest=digest, sender=_sender(message), subject=_line(message.get("Subject", ""), SUBJECT),
            lines=_text(parts), attachments=[_line(name, NAME) for name in _attachments(parts)],
        )  # fmt: skip
    except Unreadable as error:
        return Mail(digest=digest, problem=str(error))
    except Exception as error:  # the parser meets whatever anybody sends, and no mail may be lost
        return Mail(digest=digest, problem=f"it cannot be read: {type(error).__name__}")


def _message(raw: bytes) -> EmailMessage:
    if len(raw) > BYTES:
        raise Unreadable(f"it is larger than {BYTES} bytes")
    if b"\0" in raw:
        raise Unreadable("it holds zero bytes, as no mail does")
    head = raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    if len(head) > HEADER:
        raise Unreadable(f"its header is longer than {HEADER} bytes")
    if raw.lower().count(b"boundary") > PARTS:  # parts in parts are counted before the parser goes into them
        raise Unreadable(f"it has more than {PARTS} parts")
    message = BytesParser(policy=policy.default).parsebytes(raw)
    if not isinstance(message, EmailMessage) or not message.keys():
        raise Unreadable("it has no header, so it is no mail")
    return message


def _sender(message: EmailMessage) -> str:
    fields = [str(field) for field in message.get_all("From", [])]
    found = [address.casefold() for _, address in getaddresses(fields) if address]
    if len(found) != 1 or found[0].count("@") != 1 or len(found[0]) > ADDRESS or not found[0].isascii():
        raise Unreadable("it does not say from which one address it comes")
    return found[0]


def _text(parts: list[Message]) -> list[str]:
    """The lines of the plain text, or else of the words of the HTML; what is beyond the bounds is cut off."""
    for kind in ("text/plain", "text/html"):
        found = [_decoded(part) for part in parts if part.get_content_type() == kind and not part.get_filename()]
        if any(text.strip() for text in found):
            whole = "\n".join(found)[:BYTES]
            text = _plain(_words(whole) if kind == "text/html" else whole)[:TEXT]
            return [line for each in text.splitlines() if (line := _line(each, LINE))][:LINES]
    return []


def _decoded(part: Message) -> str:
    content = part.get_payload(decode=True)
    raw = content if isinstance(content, bytes) else b""
    try:
        return raw.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:  # a character set that nobody knows
        return raw.decode("utf-8", "replace")


def _attachments(parts: list[Message]) -> list[str]:
    return [str(name) for part in parts if (name := part.get_filename())]


def _line(text: str, longest: int) -> str:
    return " ".join(_plain(str(text)).split())[:longest]


def _plain(text: str) -> str:
    """Text without halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode()


class _Words(HTMLParser):
    """Collects what a reader would see."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._skipping = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self._skipping += tag in SKIPPED

    def handle_endtag(self, tag: str) -> None:
        self._skipping = max(0, self._skipping - (tag in SKIPPED))

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.words.append(data)


def _words(html: str) -> str:
    reader = _Words()
    reader.feed(html)
    reader.close()
    return "\n".join(reader.words)


def main(file: str) -> None:
    print(json.dumps({"mail": received(Path(file)).model_dump(mode="json")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
