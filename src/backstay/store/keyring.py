"""Keys: the installation's, and one for each person whose values are sealed.

The installation's key is a file beside the store and guards the others, which are rows. A person goes by a random id in
tokens and in the journal; only a keyed digest in the row of their key ties the id to their name. Erasing the row's
content makes their values unreadable, and nobody can find out by trying whose they were.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from backstay.canonical import canonical
from backstay.errors import OperatorError
from backstay.store.database import Reader
from backstay.store.files import write_whole
from backstay.store.journal import Write
from backstay.types import Json

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
        self._dying: dict[str, People] = {}
        """Whose end is on its way to the disk, by the digest of the person's name."""

    def of(self, people: People) -> bytes:
        """The key of one person, or one made from those of several, so that it is gone with any of them."""
        if not people:
            return self.installation
        keys = [self._of_person(person) for person in people]
        return keys[0] if len(keys) == 1 else hashlib.sha256(b"backstay people\0" + b"".join(keys)).digest()

    def person(self, write: Write, name: Json, secrets: Mapping[str, str] | None = None) -> People:
        """The person whom a subject field names, with a key of their own from their first value on.

        The row goes into every write that needs it until it is seen in the store: any one of them may fail. Who comes back
        while they are erased is somebody new; only a run that knew them before, by the pseudonyms in its `secrets`, goes on
        under the key that ends.
        """
        digest = self._digest(name)
        dying = self._dying.get(digest, ())
        if dying and any(person in dying for token in (secrets or {}).values() for person in people_of(token)):
            return dying
        stored = next((row["id"] for row in self._reader.all("person_of", (digest,)) if row["id"] not in dying), None)
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
        digest = self._digest(name)
        stored = {str(row["id"]) for row in self._reader.all("person_of", (digest,))}
        return tuple(sorted(stored | {row[0] for key, row in self._fresh.items() if key == digest}))

    def erase(self, write: Write, name: str, people: People) -> None:
        """Stage the end of a person's keys, by their ids; `erasure_ended` must be called once the write is synced or lost."""
        write.scrub = True
        for person in people:
            write.put("person_keys", ("erased", person), (person, None, None))
        digest = self._digest(name)
        self._dying[digest] = people
        self._fresh.pop(digest, None)

    def erasure_ended(self, name: str, *, committed: bool) -> None:
        """Drop a person's keys from memory; where the store did not take their end, they go on."""
        for person in self._dying.pop(self._digest(name), ()):
            if committed:
                self._keys.pop(person, None)

    def erased(self) -> frozenset[str]:
        """The ids of everybody who was erased."""
        return gone(self._reader)

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
        """Whole or not at all, and to last: a key that a crash took away would lock every private value away."""
        write_whole(self.path, AESGCM.generate_key(256))


def gone(reader: Reader) -> frozenset[str]:
    """The ids of everybody who was erased; it needs no key."""
    if reader.one("keeps_people") is None:
        return frozenset()
    return frozenset(str(row["id"]) for row in reader.all("people_erased"))


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
