"""The Merkle tree over all records of a store (RFC 9162, section 2.1): roots, inclusion proofs, consistency proofs.

Pure and streaming: a tree grows leaf by leaf, in order of position, and keeps a stack of subtree roots besides the few
nodes that it was asked for, so a million records need neither a list nor a second pass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from backstay.verify import record_leaf, verify_consistency, verify_inclusion

__all__ = ["EMPTY", "Range", "Tree", "consistency_ranges", "inclusion_ranges", "record_leaf", "verify_consistency",
           "verify_inclusion"]  # fmt: skip

Range: TypeAlias = tuple[int, int]
"""Leaves from the first index up to, not including, the second."""

EMPTY: Final = hashlib.sha256(b"").digest()
"""Root of a tree without leaves."""


class Tree:
    """Grows by leaves; gives its root at any time, and proofs whose ranges were named before it grew."""

    def __init__(self, keep: Iterable[Range] = ()) -> None:
        self.size = 0
        self._stack: list[bytes] = []
        """Roots of the complete subtrees that the leaves so far make, the largest first."""
        self._wanted = {piece for start, end in keep for piece in _pieces(start, end)}
        self._kept: dict[tuple[int, int], bytes] = {}

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaves, given as the data that is hashed (`record_leaf`)."""
        sha256, stack, wanted, size = hashlib.sha256, self._stack, self._wanted, self.size
        for leaf in leaves:
            node = sha256(b"\0" + leaf).digest()
            size += 1
            if wanted and (0, size) in wanted:
                self._kept[0, size] = node
            level, rest = 0, size
            while not rest & 1:
                node = sha256(b"\1" + stack.pop() + node).digest()
                level += 1
                rest >>= 1
                if wanted and (level, size) in wanted:
                    self._kept[level, size] = node
            stack.append(node)
        self.size = size

    @property
    def root(self) -> bytes:
        """MTH of all leaves so far, 32 bytes."""
        return _folded(self._stack)

    def proof(self, ranges: Iterable[Range]) -> list[bytes]:
        """Hashes of `inclusion_ranges` or `consistency_ranges`; KeyError for one that was not to be kept."""
        return [_folded([self._kept[piece] for piece in _pieces(start, end)]) for start, end in ranges]


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """What the inclusion proof of leaf `index` (from 0) in a tree of `size` leaves consists of: RFC 9162, 2.1.3.1."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    start, end, found = 0, size, list[Range]()
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def consistency_ranges(old: int, size: int) -> list[Range]:
    """What the proof that a tree of `size` leaves begins with one of `old` leaves consists of: RFC 9162, 2.1.4.1."""
    if not 0 < old <= size:
        raise ValueError(f"a tree of {size} leaves cannot begin with one of {old}")
    start, end, found = 0, size, list[Range]()
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    if start:  # otherwise the old tree is a subtree whose root the verifier knows
        found.append((start, end))
    return found[::-1]


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << (size - 1).bit_length() - 1


def _pieces(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The complete subtrees of a range as (level, index after the last leaf), the largest first."""
    while start < end:
        level = (end - start).bit_length() - 1
        start += 1 << level
        yield level, start


def _folded(roots: list[bytes]) -> bytes:
    """Join roots of complete subtrees, the largest first, from the right."""
    if not roots:
        return EMPTY
    node = roots[-1]
    for left in reversed(roots[:-1]):
        node = hashlib.sha256(b"\1" + left + node).digest()
    return node
