"""Files of a home by the digest of their content, for actions: a case names a file, and its bytes stay out of the journal."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from backstay.ai.documents.errors import DocumentTooLarge, DocumentUnreadable
from backstay.ai.documents.model import Told
from backstay.store.database import Reader as StoreReader

STORE_FILE = "backstay.db"

FOLDER: Final = "documents"
"""Below the home: DD/DIGEST, where DD are the first two digits of the digest."""


class KeptFile(BaseModel):
    """A file of the home, by its digest: one that `keep` put there, or one that hangs at a remark.

    It is no path on purpose: who may name a file to be read may not name the files of the home itself.
    """

    name: Told = ""
    """As its sender named it."""
    digest: str
    """SHA-256 of its bytes."""


def keep(home: Path | str, data: bytes, name: str = "") -> KeptFile:
    """Keep what a file holds under its digest, once; durable when it returns."""
    digest = hashlib.sha256(data).hexdigest()
    target = _place(Path(home), digest)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = target.with_name(f".{secrets.token_hex(8)}")
        try:
            with copy.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            copy.replace(target)
        finally:
            copy.unlink(missing_ok=True)
    return KeptFile(name=name, digest=digest)


def bytes_of(home: Path, file: KeptFile, most: int) -> bytes:
    """What a file in the home holds; raises DocumentUnreadable when it is not there or was changed, DocumentTooLarge."""
    if not re.fullmatch(r"[0-9a-f]{64}", file.digest):
        raise DocumentUnreadable(f"cannot be found: digest {file.digest!r:.80} is no SHA-256")
    data = _kept(home, file.digest, most)
    if hashlib.sha256(data).hexdigest() != file.digest:
        raise DocumentUnreadable("is not what arrived: its kept copy was changed")
    return data


def content(path: Path, most: int) -> bytes:
    """What lies at a path; raises DocumentUnreadable, DocumentTooLarge."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise DocumentUnreadable(f"cannot be opened: {error.strerror or type(error).__name__}") from None
    if len(data) > most:
        raise DocumentTooLarge(f"has more than {most:,} bytes, which is the most that is read")
    return data


def _kept(home: Path, digest: str, most: int) -> bytes:
    """What is kept under a digest, in the folder or with a remark."""
    place = _place(home, digest)
    if place.is_file():
        return content(place, most)
    if (home / STORE_FILE).exists():
        reader = StoreReader(home / STORE_FILE)
        try:
            for row in reader.all("blob", (digest,)):
                return bytes(row["data"])
        finally:
            reader.close()
    raise DocumentUnreadable(f"cannot be found: nothing is kept under {digest[:12]}; keep it first")


def _place(home: Path, digest: str) -> Path:
    return home / FOLDER / digest[:2] / digest
