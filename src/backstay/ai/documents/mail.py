"""Mails: headers, the text, and attachments as parts. Counted before they are parsed. Runs in the child.

The old policy of `email` is used on purpose: it keeps headers as they are, where the new one parses them, and stumbles.
"""

from __future__ import annotations

import io
import re
from email.errors import MessageError
from email.generator import BytesGenerator
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from typing import Any, Final, TypeAlias

from backstay.ai.documents import web
from backstay.ai.documents.errors import DocumentTooLarge
from backstay.ai.documents.found import DocumentLimits, Found, Piece
from backstay.ai.documents.plain import decoded

Mail: TypeAlias = "Message[Any, Any]"

HEADERS: Final = 256 * 1024
"""Bytes of the headers of a mail, and of each of its parts."""
HEADER: Final = 32 * 1024
"""Bytes of one header."""
LINES: Final = 2000
"""Headers of one mail or part."""
NESTED: Final = 30
"""Declarations of a boundary: each may hold the next."""

_BOUNDARY: Final = re.compile(rb"^(?:content-type:|[ \t])[^\r\n]*boundary\*?\d*\*?\s*=", re.I | re.M)
_BLANK: Final = re.compile(rb"\r?\n\r?\n")


def read(data: bytes, limits: DocumentLimits) -> Found:
    """A mail; raises DocumentTooLarge for one with more headers, parts or depth than honest ones have."""
    if data.startswith(b"From "):
        data = data.partition(b"\n")[2]
    _count(data, limits)
    message: Mail = BytesParser(policy=compat32).parsebytes(data)
    found = Found(headers=_headers(message))
    bodies: dict[str, list[str]] = {"plain": [], "html": []}
    left = limits.parts
    for part in _leaves(message):
        left -= 1
        if left < 0:
            found.problems.append(f"only the first {limits.parts} parts of the mail were read")
            break
        _take(part, found, bodies, limits)
    said = "\n\n".join(text for text in bodies["plain"] if text.strip())
    found.text = (said or "\n\n".join(bodies["html"])).strip()[: limits.characters]
    if said:
        found.tables = []  # they are those of the other form of the same text
    return found


def _count(data: bytes, limits: DocumentLimits) -> None:
    """Refuse what would cost more to parse than it may, before it is parsed."""
    blank = _BLANK.search(data)
    head = data[: blank.start()] if blank else data[: HEADERS + 1]
    if len(head) > HEADERS:
        raise DocumentTooLarge(f"has headers of more than {HEADERS:,} bytes")
    lines = head.split(b"\n")
    if sum(line[:1] not in (b" ", b"\t") for line in lines) > LINES:
        raise DocumentTooLarge(f"has more than {LINES:,} headers")
    length = 0
    for line in lines:
        length = length + len(line) if line[:1] in (b" ", b"\t") else len(line)
        if length > HEADER:
            raise DocumentTooLarge(f"has a header of more than {HEADER:,} bytes")
    if len(_BOUNDARY.findall(data)) > NESTED:
        raise DocumentTooLarge(f"is nested deeper than mails are: more than {NESTED} boundaries")
    if data.count(b"\n--") > 20 * limits.parts + 1000:
        raise DocumentTooLarge(f"has more parts than mails have: at most {limits.parts} are read")


def _leaves(message: Mail) -> list[Mail]:
    """The parts that hold something, in order; a mail within a mail is one."""
    found, waiting = list[Mail](), [message]
    while waiting:
        part = waiting.pop()
        inside = part.get_payload()
        if part.is_multipart() and isinstance(inside, list) and part.get_content_maintype() != "message":
            waiting.extend(each for each in reversed(inside) if isinstance(each, Message))
        else:
            found.append(part)
    return found


def _take(part: Mail, found: Found, bodies: dict[str, list[str]], limits: DocumentLimits) -> None:
    """Put a part where it belongs: into the text of the mail, or among its attachments."""
    kind, name = part.get_content_type(), _name(part)
    if part.get_content_maintype() == "message" and part.is_multipart():
        inner = part.get_payload(0)
        if isinstance(inner, Message):
            found.pieces.append(Piece(name or _titled(inner), _bytes(inner)))
        return
    if kind in ("application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"):
        return
    data = part.get_payload(decode=True)
    data = data if isinstance(data, bytes) else b""
    attached = bool(name) or (part.get("content-disposition") or "").lower().startswith("attachment")
    if part.get_content_maintype() != "text" or (attached and kind != "text/plain") or (attached and name):
        if data:
            ending = {"application/pdf": ".pdf", "image/png": ".png", "image/jpeg": ".jpg"}.get(kind, "")
            found.pieces.append(Piece(name or f"part {len(found.pieces) + 1}{ending}", data))
        return
    code = _charset(part)
    if kind == "text/html":
        page = web.read(data, limits, code)
        bodies["html"].append(page.text)
        found.tables += page.tables
        found.problems += page.problems
        return
    text, doubt = decoded(data, code)
    bodies["plain"].append(text)
    if doubt:
        found.problems.append(doubt)


def _bytes(message: Mail) -> bytes:
    written = io.BytesIO()
    try:
        BytesGenerator(written, mangle_from_=False, policy=compat32).flatten(message)
        return written.getvalue()
    except (MessageError, UnicodeError, LookupError, ValueError, TypeError, AttributeError, KeyError):
        return str(message.get_payload()).encode("utf-8", "replace")


def _charset(part: Mail) -> str:
    try:
        return str(part.get_content_charset() or "")
    except (UnicodeError, LookupError, ValueError, TypeError):
        return ""


def _name(part: Mail) -> str:
    try:
        return _shown(part.get_filename() or "")
    except (UnicodeError, LookupError, ValueError, TypeError, AttributeError):
        return ""


def _titled(message: Mail) -> str:
    return f"{_headers(message).get('subject', '')[:80] or 'message'}.eml"


def _headers(message: Mail) -> dict[str, str]:
    """Headers by lower-case name; several of one name one below the other."""
    made = dict[str, str]()
    for name, value in message.raw_items():
        key, text = _shown(name).lower(), _shown(str(value))
        made[key] = f"{made[key]}\n{text}" if key in made else text
    return made


def _shown(value: str) -> str:
    """A header as people read it: encoded words decoded, foreign letters guessed, on one line."""
    raw = value.encode("ascii", "surrogateescape") if value.isascii() or "\udc80" <= max(value) <= "\udcff" else b""
    plain = decoded(raw)[0] if raw and not value.isascii() else value
    try:
        pieces = decode_header(plain)
    except (MessageError, ValueError, LookupError):
        pieces = [(plain, None)]
    texts = [decoded(text, code or "")[0] if isinstance(text, bytes) else text for text, code in pieces]
    return " ".join("".join(texts).encode("utf-8", "replace").decode().split())
