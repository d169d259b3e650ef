"""What a file is, by its content. Its name is not asked: it is only held against the content afterwards."""

from __future__ import annotations

import io
import zipfile
from typing import Final

PDF, XML, HTML, MAIL, TEXT = "application/pdf", "application/xml", "text/html", "message/rfc822", "text/plain"
CSV, ZIP, TNEF = "text/csv", "application/zip", "application/vnd.ms-tnef"
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
DOCX, XLSX = f"{_OFFICE}wordprocessingml.document", f"{_OFFICE}spreadsheetml.sheet"
PPTX = f"{_OFFICE}presentationml.presentation"
ODT, ODS = "application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.spreadsheet"
P7M: Final = "application/pkcs7-mime"
OLE: Final = "application/x-ole-storage"
UNREAD: Final = "application/octet-stream"

_SIGNATURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"),
    (b"II*\0", "image/tiff"), (b"MM\0*", "image/tiff"), (b"BM", "image/bmp"),
    (b"\x1f\x8b", "application/gzip"), (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!", "application/vnd.rar"), (b"\xd0\xcf\x11\xe0", OLE),
    (b"\x78\x9f\x3e\x22", TNEF), (b"MZ", "application/x-executable"), (b"\x7fELF", "application/x-executable"),
    (b"{\\rtf", "application/rtf"),
)  # fmt: skip
_OFFICE_PARTS: Final = (("word/document.xml", DOCX), ("xl/workbook.xml", XLSX), ("ppt/presentation.xml", PPTX))
_ENDINGS: Final = {
    "pdf": {PDF}, "png": {"image/png"}, "jpg": {"image/jpeg"}, "jpeg": {"image/jpeg"}, "tif": {"image/tiff"},
    "tiff": {"image/tiff"}, "gif": {"image/gif"}, "bmp": {"image/bmp"}, "docx": {DOCX}, "xlsx": {XLSX}, "pptx": {PPTX},
    "odt": {ODT}, "ods": {ODS}, "zip": {ZIP, DOCX, XLSX, PPTX, ODT, ODS}, "eml": {MAIL}, "xml": {XML},
    "html": {HTML, XML}, "htm": {HTML, XML}, "csv": {CSV, TEXT}, "txt": {TEXT, CSV, MAIL, XML, HTML},
    "dat": {TNEF, TEXT, "application/octet-stream"}, "p7m": {P7M, XML, MAIL},
}  # fmt: skip
_FIRST_HEADERS: Final = (
    b"received", b"return-path", b"delivered-to", b"from", b"to", b"date", b"subject", b"message-id", b"mime-version",
    b"x-", b"dkim-signature", b"arc-", b"content-type", b"content-transfer-encoding", b"reply-to", b"authentication-results",
)  # fmt: skip
_DECLARED: Final = (b"from", b"date", b"subject", b"message-id", b"received", b"mime-version", b"to")


def media_type(data: bytes) -> str:
    """What a file is."""
    head = data[:1024]
    if not head:
        return "application/x-empty"
    if head.lstrip().startswith(b"%PDF-"):
        return PDF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zipped(data)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head[:1] == b"\x30" and data[:64].find(b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02") > 0:
        return P7M
    if b"%PDF-" in head and not _is_mail(head):  # readers of PDF skip what stands before it
        return PDF
    return _written(data)


def fits(name: str, kind: str) -> bool:
    """Whether the end of a file's name says what it is; one that says nothing fits."""
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    return ending not in _ENDINGS or kind in _ENDINGS[ending]


def _zipped(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
                said = archive.read("mimetype").decode("ascii", "replace").strip()
                if said in (ODT, ODS):
                    return said
    except (zipfile.BadZipFile, ValueError, OSError, RuntimeError, NotImplementedError, EOFError):
        return ZIP
    return next((kind for part, kind in _OFFICE_PARTS if part in names), ZIP)


def _written(data: bytes) -> str:
    """The type of what is text, by how it begins."""
    head = data[:4096]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        start = head.decode("utf-16", "replace").encode("utf-8", "replace")
    else:
        start = head.removeprefix(b"\xef\xbb\xbf")
        if _wide(start):
            return TEXT
        if b"\0" in start or sum(byte < 9 or (13 < byte < 32 and byte != 27) for byte in start) > len(start) // 50:
            return MAIL if _is_mail(start) else "application/octet-stream"
    start = start.lstrip()
    lower = start[:1000].lower()
    if lower.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<table", b"<div")) or (
        lower.startswith((b"<?xml", b"<!--", b"<!doctype")) and b"<html" in lower
    ):
        return HTML
    if lower.startswith(b"<?xml") or (lower.startswith(b"<") and b"xmlns" in lower):
        return XML
    if _is_mail(start):
        return MAIL
    return CSV if _is_table(start) else TEXT


def _is_mail(start: bytes) -> bool:
    """Whether it begins with header lines, the first of a kind that mails begin with, two of them at least."""
    lines = start.replace(b"\r\n", b"\n").split(b"\n")
    if lines and lines[0].startswith(b"From ") and len(lines) > 1:
        lines = lines[1:]
    names = list[bytes]()
    for line in lines[:60]:
        if not line.strip():
            break
        if line[:1] in b" \t":
            continue
        name, colon, _ = line.partition(b":")
        if not colon or not name.strip() or b" " in name.strip():
            break
        names.append(name.strip().lower())
    return len(names) >= 2 and names[0].startswith(_FIRST_HEADERS) and any(name in _DECLARED for name in names)


def _is_table(start: bytes) -> bool:
    """Whether the first lines have the same number of one delimiter, outside of quotes."""
    lines = [line for line in start.decode("utf-8", "replace").splitlines()[:6] if line.strip()]
    if len(lines) < 2:
        return False
    for mark in (";", "\t", ",", "|"):
        counts = {_outside(line, mark) for line in lines[: max(2, len(lines) - 1)]}
        if len(counts) == 1 and counts.pop() >= (1 if mark in ";\t" else 2):
            return True
    return False


def _outside(line: str, mark: str) -> int:
    return sum(part.count(mark) for part in line.split('"')[::2])


def _wide(start: bytes) -> bool:
    """Whether it is UTF-16 without a mark: every second byte of Latin text is zero."""
    if len(start) < 8:
        return False
    even, odd = start[0:200:2], start[1:200:2]
    return (even.count(0) > 0.7 * len(even)) != (odd.count(0) > 0.7 * len(odd))
