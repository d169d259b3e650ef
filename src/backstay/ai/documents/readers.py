"""Which reader reads what: one table. Runs in the child."""

from __future__ import annotations

import contextlib
import encodings
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, Final

from backstay.ai.documents import archive, einvoice_xml, kinds, mail, office, pdf, plain, tnef, web
from backstay.ai.documents.errors import DocumentEncrypted, DocumentUnreadable, DocumentUnsupported
from backstay.ai.documents.found import DocumentLimits, Found

READERS: Final[dict[str, Callable[[bytes, DocumentLimits], Found]]] = {
    kinds.PDF: pdf.read,
    kinds.XML: einvoice_xml.read,
    kinds.P7M: einvoice_xml.signed,
    kinds.MAIL: mail.read,
    kinds.TNEF: tnef.read,
    kinds.HTML: web.read,
    kinds.TEXT: plain.read,
    kinds.CSV: plain.read_table,
    kinds.DOCX: office.docx,
    kinds.XLSX: office.xlsx,
    kinds.PPTX: office.pptx,
    kinds.ODT: office.opendocument,
    kinds.ODS: office.opendocument,
    kinds.ZIP: archive.read,
}


def load() -> bool:
    """Load what readers need, as nothing can be opened any more afterwards; says whether they start programs."""
    pdf.load()
    for each in pkgutil.iter_modules(encodings.__path__):
        with contextlib.suppress(ImportError):  # some are of one system only
            importlib.import_module(f"encodings.{each.name}")
    return False


def read(data: bytes, asked: dict[str, Any], limits: DocumentLimits) -> Found:
    """What one file says; raises DocumentUnreadable."""
    kind = kinds.media_type(data)
    if kind == "application/x-empty":
        raise DocumentUnreadable("is empty: ask its sender to send it again")
    if kind.startswith("image/"):
        return Found(media_type=kind, picture=True)
    if kind == kinds.OLE and "EncryptedPackage".encode("utf-16-le") in data:
        raise DocumentEncrypted("is protected by a password: ask its sender for a copy without one")
    if kind not in READERS:
        raise DocumentUnsupported(f"is {kind}, which is not read: ask its sender for a PDF")
    found = READERS[kind](data, limits)
    found.media_type = found.media_type or kind
    return found
