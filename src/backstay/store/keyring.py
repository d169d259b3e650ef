"""Keys: the installation's, and one for each person whose values are sealed.

The installation's key is a file beside the store and guards the others, which are rows. A person goes by a random id in
tokens and in the journal; only a keyed digest in the row of their key ties the id to their name. Erasing the row's
content makes their values unreadable, and nobody can find out by trying whose they were.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import sqlite3
import unicodedata
from pathlib import Path
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from backstay.errors import OperatorError, StoreUnavailable
from backstay.store.database import Reader, connect, queries
from backstay.store.journal import Write
from backstay.types import Json, canonical

People: TypeAlias = tuple[str, ...]
"""Under whose keys a value is sealed, by their ids, sorted; empty for the installation's key."""

MARK: Final = "@"
"""Stands in a token before the ids of the people under whose keys the value is sealed."""

REMEMBERED: Final = 10_000
"""Keys kept in memory."""


class ValueErased(OperatorError):
    """The key of the person whose value it was is erased; the value cannot be had any more."""


class Keyring:
    """Hands out keys, and makes them when they are first needed."""

    def __init__(self, home: Path, reader: Reader) -> None:
        self.path = home / "seal.key"
        self._reader = reader
        self._key: bytes | None = None
        self._keys: dict[str, bytes] = {}
        self._fresh: dict[str, tuple[str, str, bytes]] = {}
        """Rows that this process made and has not seen in the store yet, by the digest of the person's name."""

    def of(self, people: People) -> bytes:
        """The key of one person, or one made from those of several, so that it is gone with any of them."""
        if not people:
            return self.installation
        keys = [self._of_person(person) for person in people]
        return keys[0] if len(keys) == 1 else hashlib.sha256(b"backstay people\0" + b"".join(keys)).digest()

    def person(self, write: Write, name: Json) -> People:
        """The person whom a subject field names, with a key of their own from their first value on.

        The row goes into every write that needs it until it is seen in the store: any one of them may fail.
        """
        digest = self._digest(name)
        stored = self._reader.value("person_of", (digest,))
        if stored is not None:
            self._fresh.pop(digest, None)
            return (str(stored),)
        row = self._fresh.get(digest)
        if row is None:
            row = self._make_person(digest)
        write.put("person_keys", row[0], row)
        return (row[0],)

    def _make_person(self, digest: str) -> tuple[str, str, bytes]:
        person, key, nonce = os.urandom(8).hex(), AESGCM.generate_key(256), os.urandom(12)
        row = (person, digest, nonce + AESGCM(self.installation).encrypt(nonce, key, person.encode()))
        if len(self._fresh) >= REMEMBERED:
            self._fresh.pop(next(iter(self._fresh)))
        self._fresh[digest] = row
        self._remember(person, key)
        return row

    def named(self, name: str) -> People:
        """The ids under which the store knows a person; empty when it never met them, or they are erased."""
        if self._reader.one("keeps_people") is None or self._reader.one("sealed_any") is None:
            return ()
        return tuple(str(row["id"]) for row in self._reader.all("person_of", (self._digest(name),)))

    def erase(self, write: Write, person: str) -> None:
        """Stage the end of a person's key, by their id; once that is committed and the store closed, `scrub` it."""
        self._keys.pop(person, None)
        self._fresh.clear()
        write.put("person_keys", person, (person, None, None))

    def erased(self) -> frozenset[str]:
        """The ids of everybody who was erased."""
        if self._reader.one("keeps_people") is None:
            return frozenset()
        return frozenset(str(row["id"]) for row in self._reader.all("people_erased"))

    def _digest(self, name: Json) -> str:
        return keyed(self.installation, f"person\0{plain_name(name)}")

    def _of_person(self, person: str) -> bytes:
        key = self._keys.get(person)
        if key is not None:
            return key
        row = self._reader.one("person_key", (person,))
        if row is None:
            raise OperatorError(f"the key of person {person!r} is missing; restore the store from a backup")
        if row["wrapped"] is None:
            raise ValueErased(
                f"private values were erased (person {person}): what happened stands in the log, and nothing that needs "
                "those values can go on"
            )
        try:
            key = AESGCM(self.installation).decrypt(row["wrapped"][:12], row["wrapped"][12:], person.encode())
        except InvalidTag:
            raise OperatorError(
                f"the key of person {person!r} is damaged, or {self.path.name!r} is not the key that guards it"
            ) from None
        return self._remember(person, key)

    def _remember(self, person: str, key: bytes) -> bytes:
        if len(self._keys) >= REMEMBERED:
            self._keys.clear()
        self._keys[person] = key
        return key

    # --- the installation's ---

    @property
    def installation(self) -> bytes:
        """The installation's key, made when the first private value is met; readable by the owner only."""
        if self._key is None:
            if not self.path.exists():
                if self._reader.one("sealed_any") is not None:
                    raise OperatorError(f"{self.path.name!r} is missing: private values cannot be read; restore it")
                self._make_key()
            self._key = self.path.read_bytes()
        return self._key

    def _make_key(self) -> None:
        """Whole or not at all: a key file that a crash left half written would lock every private value away."""
        fresh = self.path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(AESGCM.generate_key(256))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)


def keyed(key: bytes, text: str) -> str:
    """Like a digest, but nobody without the key can find the text by trying."""
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def people_of(token: str) -> People:
    """The people under whose keys the value behind a pseudonym is sealed."""
    whose = token.partition(MARK)[2]
    return tuple(whose.split("+")) if whose else ()


def plain_name(value: Json) -> str:
    """How a person is named, the same for a number and its text."""
    text = str(value) if isinstance(value, str | int) else canonical(value)
    return unicodedata.normalize("NFC", text.strip())


def scrub(path: Path) -> None:
    """Rewrite a store's file, so that no byte of an erased key is left in it or in its log; nobody else may have it open."""
    connection = connect(path)
    try:
        for statement in ("secure_delete", "vacuum", "checkpoint"):
            connection.execute(queries()[statement]).fetchall()
    except sqlite3.Error as error:
        raise StoreUnavailable(
            f"the key is erased, but its bytes may still lie in free space of the file ({error}): free disk space, stop "
            "whoever reads the store, and run `sqlite3 backstay.db VACUUM`"
        ) from error
    finally:
        connection.close()
