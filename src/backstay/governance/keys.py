"""API keys: 256 bits of chance that stand for a principal. The journal holds a hash; the key is shown once."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

KEY: Final = re.compile(r"bsk_(?P<id>[0-9a-f]{16})_[0-9a-f]{64}")
"""bsk_ID_SECRET: an id to find and revoke it by, and a secret, in a form that secret scanners can look for."""

_NOBODYS: Final = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as the journal knows it."""

    id: str
    principal: str
    hash: str
    """SHA-256 of the whole key, hexadecimal. Its chance is the defence against guessing, so no slow hash is needed."""
    expires: str | None = None
    active: bool = True

    def counts(self, at: str) -> bool:
        """Whether it is neither revoked nor expired at a moment, written as `moment` writes it."""
        return self.active and (self.expires is None or at < self.expires)


def new_key(entropy: Callable[[int], int]) -> tuple[str, str]:
    """A fresh key and its hash; `entropy` gives so many bits of chance."""
    key = f"bsk_{entropy(64):016x}_{entropy(256):064x}"
    return key, hash_of(key)


def id_of(key: str) -> str:
    """The id in a key; empty when it is no key at all."""
    found = KEY.fullmatch(key)
    return found["id"] if found else ""


def fits(key: str, known: ApiKey | None) -> bool:
    """Whether a key is the one that is known, in a time that does not tell how much of it is right."""
    return hmac.compare_digest(hash_of(key), known.hash if known else _NOBODYS)


def hash_of(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
