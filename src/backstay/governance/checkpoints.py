"""Signed checkpoints over all records of a store, as C2SP tlog-checkpoints: what a cut tail or a full rewrite shows against.

A checkpoint proves only as much as its copy is out of reach: keep it where whoever can write the store cannot. The
signing key lies in the home directory; its public half is for everybody who verifies.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from backstay.errors import OperatorError
from backstay.events import SystemRecorded
from backstay.governance.merkle import Range, Tree, record_leaf
from backstay.store.database import Reader
from backstay.store.journal import Write
from backstay.verify import Checkpoint, key_id, read_checkpoint

KEY_FILE: Final = "audit.key"
"""The Ed25519 private key, 32 bytes."""

PUBLIC_FILE: Final = "audit.pub"
"""The public key as a verifier key: NAME+ID+BASE64."""

PAGE: Final = 5000
"""Leaves read at a time."""


class Signer:
    """The installation's signing key; `name` is the origin of its log."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._public = key.public_key().public_bytes_raw()
        self.name = f"backstay/{hashlib.sha256(self._public).hexdigest()[:16]}"

    @property
    def public(self) -> str:
        """The verifier key, as C2SP signed-note writes it."""
        encoded = base64.b64encode(b"\1" + self._public).decode()
        return f"{self.name}+{key_id(self.name, self._public).hex()}+{encoded}"

    def sign(self, size: int, root: bytes) -> str:
        """A signed note over a tree of `size` records."""
        body = Checkpoint(self.name, size, root).body
        signature = key_id(self.name, self._public) + self._key.sign(body.encode())
        return f"{body}\n\u2014 {self.name} {base64.b64encode(signature).decode()}\n"


def load_signer(home: Path, reader: Reader) -> Signer:
    """The key of a home directory, made on first use; raises OperatorError when it is gone though it has signed before."""
    path = home / KEY_FILE
    if not path.exists():
        if stored_checkpoints(reader):
            raise OperatorError(
                f"{path.name!r} is missing, and the store has checkpoints that it signed; restore it from a backup"
            )
        _write_whole(path, Ed25519PrivateKey.generate().private_bytes_raw(), 0o600)
    try:
        signer = Signer(Ed25519PrivateKey.from_private_bytes(path.read_bytes()))
    except ValueError:
        raise OperatorError(f"{path.name!r} is damaged: it must be 32 bytes; restore it from a backup") from None
    public = home / PUBLIC_FILE
    if not public.exists() or public.read_text("utf-8") != f"{signer.public}\n":
        _write_whole(public, f"{signer.public}\n".encode(), 0o644)
    return signer


def _write_whole(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all: a half-written key would be a lost one."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def open_note(note: str, key: str) -> Checkpoint:
    """The checkpoint of a note that `key` has signed; raises ValueError. A thousand a second, unlike the verifier's."""
    return read_checkpoint(note, key, _fits)


def _fits(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def stored_checkpoints(reader: Reader) -> list[tuple[int, str]]:
    """(size, note) of every checkpoint that the store keeps; none in a store of an older version."""
    if reader.one("keeps_checkpoints") is None:
        return []
    return [(row["size"], row["note"]) for row in reader.all("checkpoints")]


def leaves(reader: Reader, size: int) -> Iterator[bytes]:
    """The leaves of the first `size` records, in order of position."""
    at = 0
    while rows := reader.all("leaves_after", (at, size, PAGE)):
        for position, seq, chained, run in rows:
            yield record_leaf(position, seq, chained, run)
        at = rows[-1]["position"]


def grow(
    reader: Reader, size: int, keep: Iterable[Range] = (), stops: Iterable[int] = ()
) -> tuple[Tree, dict[int, bytes]]:
    """The tree over the first `size` records, and its roots at smaller sizes; raises OperatorError when some are missing."""
    tree, found, roots = Tree(keep), leaves(reader, size), dict[int, bytes]()
    for stop in sorted({size, *(stop for stop in stops if stop < size)}):
        tree.extend(islice(found, stop - tree.size))
        roots[stop] = tree.root
    if tree.size != size:
        raise OperatorError(
            f"the journal has {tree.size} records up to position {size}: some are missing, and nothing was signed; "
            "`backstay audit verify` names them"
        )
    return tree, roots


def make_checkpoint(reader: Reader, signer: Signer) -> tuple[Checkpoint, str]:
    """Sign the tree of everything that is committed now; gives the checkpoint and its note.

    Raises OperatorError when the log no longer begins with what an earlier checkpoint covers: that must not be signed.
    """
    size: int = reader.value("last_position")
    if not size:
        raise OperatorError("the store holds no record yet: there is nothing to sign")
    return sign_tree(reader, signer, size)[1:]


def sign_tree(reader: Reader, signer: Signer, size: int, keep: Iterable[Range] = ()) -> tuple[Tree, Checkpoint, str]:
    """The tree over the first `size` records with its signed checkpoint, unless it contradicts one that was given out."""
    before = {old: open_note(note, signer.public).root for old, note in stored_checkpoints(reader)}
    tree, roots = grow(reader, size, keep, before)
    for old, root in before.items():
        if roots.get(old) != root:
            raise OperatorError(
                f"the log is not a continuation of the checkpoint over {old} records, and nothing was signed; "
                "`backstay audit verify` says what is wrong"
            )
    return tree, Checkpoint(signer.name, size, tree.root), signer.sign(size, tree.root)


def stage_checkpoint(write: Write, checkpoint: Checkpoint, note: str, *, at: str, by: str) -> SystemRecorded:
    """Put a checkpoint into a write; the event that is returned goes onto the system's own chain in the same write."""
    write.put("checkpoints", checkpoint.size, (checkpoint.size, note, at))
    detail = {"size": checkpoint.size, "root": checkpoint.root.hex()}
    return SystemRecorded(at=at, by=by, what="checkpoint", subject=checkpoint.origin, detail=detail)
