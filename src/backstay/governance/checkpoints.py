"""Signed checkpoints over all records of a store, as C2SP tlog-checkpoints: what a cut tail or a full rewrite shows against.

A checkpoint proves only as much as its copy is out of reach: keep it where whoever can write the store cannot. The
signing key lies in the home directory; its public half is for everybody who verifies.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final, TypedDict

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from backstay.errors import OperatorError
from backstay.events import SystemRecorded
from backstay.governance.merkle import Range, Tree, record_leaf
from backstay.store.database import Reader
from backstay.store.files import sync_names
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
        _write_first(path, Ed25519PrivateKey.generate().private_bytes_raw(), 0o600)
    try:
        signer = Signer(Ed25519PrivateKey.from_private_bytes(path.read_bytes()))
    except ValueError:
        raise OperatorError(f"{path.name!r} is damaged: it must be 32 bytes; restore it from a backup") from None
    public = home / PUBLIC_FILE
    if not public.exists() or public.read_text("utf-8") != f"{signer.public}\n":
        _write_whole(public, f"{signer.public}\n".encode(), 0o644)
    sync_names(home)  # what it signs must not outlast it
    return signer


def _write_first(path: Path, data: bytes, mode: int) -> None:
    """Write a file unless another process does so at the same time: then its file counts, and both sign with one key."""
    fresh = _write_beside(path, data, mode)
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        fresh.replace(path)
    fresh.unlink(missing_ok=True)


def _write_whole(path: Path, data: bytes, mode: int) -> None:
    _write_beside(path, data, mode).replace(path)


def _write_beside(path: Path, data: bytes, mode: int) -> Path:
    """Under another name first: a half-written key would be a lost one."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return fresh


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


class Signed(TypedDict):
    """A signed checkpoint, as JSON."""

    origin: str
    """Name of the log."""
    size: int
    root: str
    """In hexadecimal."""
    note: str
    """As it is given out: a C2SP signed note."""
    key: str
    """The public key."""


def make_checkpoint(reader: Reader, signer: Signer) -> Signed:
    """Sign the tree of everything that is committed now.

    Raises OperatorError when the log no longer begins with what an earlier checkpoint covers: that must not be signed.
    """
    size: int = reader.value("last_position")
    if not size:
        raise OperatorError("the store holds no record yet: there is nothing to sign")
    _, made, note = sign_tree(reader, signer, size)
    return Signed(origin=made.origin, size=size, root=made.root.hex(), note=note, key=signer.public)


def sign_tree(reader: Reader, signer: Signer, size: int, keep: Iterable[Range] = ()) -> tuple[Tree, Checkpoint, str]:
    """The tree over the first `size` records with its signed checkpoint, unless it contradicts one that was given out."""
    before = dict(_given_out(reader, signer))
    tree, roots = grow(reader, size, keep, before)
    for old, root in before.items():
        if roots.get(old) != root:
            raise OperatorError(
                f"the log is not a continuation of the checkpoint over {old} records, and nothing was signed; "
                "`backstay audit verify` says what is wrong"
            )
    return tree, Checkpoint(signer.name, size, tree.root), signer.sign(size, tree.root)


def _given_out(reader: Reader, signer: Signer) -> Iterator[tuple[int, bytes]]:
    """Size and root of each checkpoint that the store keeps; raises OperatorError for one that the key did not sign."""
    for size, note in stored_checkpoints(reader):
        try:
            yield size, open_note(note, signer.public).root
        except ValueError as error:
            raise OperatorError(
                f"the checkpoint over {size} records in the store was changed, or {KEY_FILE!r} is not the key that signed "
                f"it ({error}), and nothing was signed; `backstay audit verify` says what is wrong"
            ) from None


def stage_checkpoint(write: Write, made: Signed, *, at: str, by: str) -> SystemRecorded:
    """Put a checkpoint into a write; the event that is returned goes onto the system's own chain in the same write."""
    write.put("checkpoints", made["size"], (made["size"], made["note"], at))
    detail = {"size": made["size"], "root": made["root"]}
    return SystemRecorded(at=at, by=by, what="checkpoint", subject=made["origin"], detail=detail)
