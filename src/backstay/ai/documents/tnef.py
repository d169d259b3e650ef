"""winmail.dat: the envelope in which Outlook packs text and attachments (MS-OXTNEF). Runs in the child."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from backstay.ai.documents import web
from backstay.ai.documents.errors import DocumentTooLarge, DocumentUnreadable
from backstay.ai.documents.found import DocumentLimits, Found, Piece
from backstay.ai.documents.plain import decoded

_SUBJECT, _BODY, _PROPERTIES = 0x00018004, 0x0002800C, 0x00069003
_BEGIN, _TITLE, _DATA, _OWN = 0x00069002, 0x00018010, 0x0006800F, 0x00069005
"""Of an attachment: where one begins, its name, its bytes, its properties."""
_TEXT, _HTML, _FILE, _LONG_NAME = 0x1000, 0x1013, 0x3701, 0x3707
_WIDTHS: Final = {2: 4, 3: 4, 4: 4, 0xA: 4, 0xB: 4, 5: 8, 6: 8, 7: 8, 0x14: 8, 0x40: 8, 0x48: 16}
"""Bytes of a value by its type, padded to four."""
_VARIABLE: Final = (0x1E, 0x1F, 0xD, 0x102)


def read(data: bytes, limits: DocumentLimits) -> Found:
    """The text of the envelope, and its attachments as parts."""
    found = Found()
    html = b""
    for number, value in _attributes(data):
        if number == _SUBJECT:
            found.headers["subject"] = decoded(value.rstrip(b"\0"))[0]
        elif number == _BODY:
            found.text = found.text or decoded(value.rstrip(b"\0"))[0]
        elif number == _PROPERTIES:
            told = dict(_properties(value))
            found.text = found.text or _string(told.get(_TEXT))
            html = html or (told.get(_HTML) or (0, b""))[1]
        elif number == _BEGIN:
            if len(found.pieces) >= limits.parts:
                raise DocumentTooLarge(f"has more than {limits.parts} attachments")
            found.pieces.append(Piece(f"part {len(found.pieces) + 1}", b""))
        elif found.pieces:
            _attachment(found.pieces[-1], number, value)
    if html and not found.text.strip():
        page = web.read(html, limits)
        found.text, found.tables, found.problems = page.text, page.tables, found.problems + page.problems
    found.text = found.text[: limits.characters]
    return found


def _attachment(piece: Piece, number: int, value: bytes) -> None:
    if number == _TITLE:
        piece.name = decoded(value.rstrip(b"\0"))[0] or piece.name
    elif number == _DATA:
        piece.data = value
    elif number == _OWN:
        told = dict(_properties(value))
        piece.name = _string(told.get(_LONG_NAME)) or piece.name
        piece.data = piece.data or (told.get(_FILE) or (0, b""))[1]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Level, number, length, value, checksum; what is cut off ends it."""
    at = 6
    while at + 9 <= len(data):
        number, length = struct.unpack_from("<II", data, at + 1)
        if at + 9 + length > len(data):
            raise DocumentUnreadable("is damaged or incomplete: ask its sender to send it again")
        yield number, data[at + 9 : at + 9 + length]
        at += 9 + length + 2


def _properties(data: bytes) -> Iterator[tuple[int, tuple[int, bytes]]]:
    """Properties with type and first value; what does not fit ends them."""
    try:
        (count,) = struct.unpack_from("<I", data, 0)
        at = 4
        for _ in range(min(count, 10_000)):
            kind, number = struct.unpack_from("<HH", data, at)
            at += 4
            if number >= 0x8000:
                (form,) = struct.unpack_from("<I", data, at + 16)
                (length,) = struct.unpack_from("<I", data, at + 20)
                at += 24 + (_padded(length) if form else 0)
            values, at = _values(data, at, kind)
            if values:
                yield number, (kind & 0xFFF, values[0])
    except struct.error:
        return


def _values(data: bytes, at: int, kind: int) -> tuple[list[bytes], int]:
    plain, many = kind & 0xFFF, bool(kind & 0x1000)
    count = 1
    if many or plain in _VARIABLE:
        (count,) = struct.unpack_from("<I", data, at)
        at += 4
    found = list[bytes]()
    for _ in range(min(count, 10_000)):
        if plain in _VARIABLE:
            (length,) = struct.unpack_from("<I", data, at)
            at += 4
        else:
            length = _WIDTHS.get(plain, 4)
        if at + length > len(data):
            raise struct.error
        value = data[at : at + length]
        found.append(value[16:] if plain == 0xD else value)
        at += _padded(length)
    return found, at


def _padded(length: int) -> int:
    return (length + 3) // 4 * 4


def _string(value: tuple[int, bytes] | None) -> str:
    if value is None:
        return ""
    kind, data = value
    return (data.decode("utf-16-le", "replace") if kind == 0x1F else decoded(data)[0]).rstrip("\0")
