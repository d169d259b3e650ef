"""ZIP files within limits: how much they unpack to is known before, and held against while they are unpacked."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable
from typing import Final

from backstay.ai.documents.errors import DocumentEncrypted, DocumentTooLarge, DocumentUnreadable
from backstay.ai.documents.found import DocumentLimits, Found, Piece

ENTRIES: Final = 10_000


class Archive:
    """A ZIP file; raises DocumentUnreadable when it is damaged, DocumentTooLarge when it says that it unpacks to too much."""

    def __init__(self, data: bytes, limits: DocumentLimits) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError, IndexError) as error:
            raise DocumentUnreadable(
                f"is a damaged archive ({type(error).__name__}): ask its sender to send it again"
            ) from None
        entries = self._zip.infolist()
        if len(entries) > ENTRIES:
            raise DocumentTooLarge(f"is an archive of {len(entries):,} files, and at most {ENTRIES:,} are read")
        if sum(entry.file_size for entry in entries) > limits.unpacked:
            raise DocumentTooLarge(f"is an archive that unpacks to more than {limits.unpacked:,} bytes: do not open it")
        self._left = limits.unpacked
        self.names: Final = [entry.filename for entry in entries if not entry.is_dir()]

    def read(self, name: str) -> bytes:
        """One file; raises DocumentEncrypted when it needs a password."""
        try:
            entry = self._zip.getinfo(name)
            if entry.flag_bits & 1:
                raise DocumentEncrypted("is protected by a password: ask its sender for a copy without one")
            with self._zip.open(entry) as file:
                data = file.read(self._left + 1)
        except (
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            EOFError,
            ValueError,
            KeyError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise DocumentUnreadable(f"has a damaged part ({name[:80]!r}): ask its sender to send it again") from error
        self._left -= len(data)
        if self._left < 0:
            raise DocumentTooLarge("is an archive that unpacks to more than it says: do not open it")
        return data

    def under(self, *folders: str) -> Iterable[str]:
        return [name for name in self.names if name.startswith(folders)]


def read(data: bytes, limits: DocumentLimits) -> Found:
    """An archive of files: each is a part."""
    archive = Archive(data, limits)
    found = Found(text="\n".join(archive.names[:1000]))
    for name in archive.names[: limits.parts]:
        try:
            found.pieces.append(Piece(name, archive.read(name)))
        except DocumentTooLarge:
            raise
        except DocumentUnreadable as error:
            found.problems.append(f"{name[:80]!r} in it {error}")
    if len(archive.names) > limits.parts:
        found.problems.append(f"only the first {limits.parts} of its {len(archive.names)} files were read")
    if archive.names and not found.pieces and any("password" in problem for problem in found.problems):
        raise DocumentEncrypted("is protected by a password: ask its sender for a copy without one")
    return found
