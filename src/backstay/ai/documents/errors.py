"""Why a file is not read: typed, and final, as the same bytes fail again; but for an extra that is missing."""

from __future__ import annotations

from backstay.errors import NotInstalled, NotRetryable, OperatorError


class DocumentUnreadable(NotRetryable):
    """The file is damaged, incomplete or not there; what is more particular has a class of its own."""

    code = "DOCUMENT_UNREADABLE"


class DocumentTooLarge(DocumentUnreadable):
    """It is larger than its `DocumentLimits`, as it is or unpacked: bytes, pages, pixels, memory."""

    code = "DOCUMENT_TOO_LARGE"


class DocumentTimeout(DocumentUnreadable):
    """Reading it took longer than it may."""

    code = "DOCUMENT_TIMEOUT"


class DocumentCrashed(DocumentUnreadable):
    """It ended the process that read it: what it breaks is a parser, or the limit of memory."""

    code = "DOCUMENT_CRASHED"


class DocumentEncrypted(DocumentUnreadable):
    """It opens with a password only."""

    code = "DOCUMENT_ENCRYPTED"


class DocumentUnsupported(DocumentUnreadable):
    """It is of a type that is not read."""

    code = "DOCUMENT_UNSUPPORTED"


class OcrMissing(DocumentUnreadable):
    """It is a picture or a scan, and this reader was made not to recognise text."""

    code = "DOCUMENT_NEEDS_OCR"


class ReaderMissing(DocumentUnreadable, NotInstalled):
    """What reads it is an extra that is not installed here: a case waits until an operator has installed it."""

    code = "DOCUMENT_READER_MISSING"


class ReaderUnavailable(OperatorError):
    """The process that reads files does not start: the machine is at fault, not the file, which may be tried again."""

    code = "DOCUMENT_READER"


BY_CODE: dict[str, type[DocumentUnreadable]] = {
    kind.code: kind
    for kind in (
        DocumentUnreadable, DocumentTooLarge, DocumentTimeout, DocumentCrashed, DocumentEncrypted, DocumentUnsupported,
        OcrMissing, ReaderMissing,
    )
}  # fmt: skip
