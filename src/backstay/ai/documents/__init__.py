"""Files from outside, read in processes that may fail: text with its places, tables, parts, e-invoices."""

from backstay.ai.documents.door import Reader, read_document, read_file
from backstay.ai.documents.einvoice import EInvoice, Mismatch, compare
from backstay.ai.documents.errors import (
    DocumentCrashed,
    DocumentEncrypted,
    DocumentTimeout,
    DocumentTooLarge,
    DocumentUnreadable,
    DocumentUnsupported,
    OcrMissing,
    ReaderMissing,
)
from backstay.ai.documents.found import DocumentLimits
from backstay.ai.documents.kept import KeptFile, keep
from backstay.ai.documents.model import Box, Document, Line, Page, Table, Word

__all__ = [
    "Box",
    "Document",
    "DocumentCrashed",
    "DocumentEncrypted",
    "DocumentLimits",
    "DocumentTimeout",
    "DocumentTooLarge",
    "DocumentUnreadable",
    "DocumentUnsupported",
    "EInvoice",
    "KeptFile",
    "Line",
    "Mismatch",
    "OcrMissing",
    "Page",
    "Reader",
    "ReaderMissing",
    "Table",
    "Word",
    "compare",
    "keep",
    "read_document",
    "read_file",
]
