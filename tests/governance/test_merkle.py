"""The Merkle tree against the roots of the Certificate Transparency test data, and against RFC 9162's own definition."""

from __future__ import annotations

import hashlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.governance.merkle import (
    EMPTY,
    Tree,
    consistency_ranges,
    inclusion_ranges,
    record_leaf,
    verify_consistency,
    verify_inclusion,
)

INPUTS = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
"""The leaves of the reference tree of Certificate Transparency (RFC 6962's tree, which RFC 9162 keeps)."""

ROOTS = [bytes.fromhex(text) for text in (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)]  # fmt: skip
"""Its roots at 0 to 8 leaves."""


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH as section 2.1.1 defines it."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + naive_root(leaves[:half]) + naive_root(leaves[half:])).digest()


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH as section 2.1.3.1 defines it."""
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return [*naive_path(index, leaves[:half]), naive_root(leaves[half:])]
    return [*naive_path(index - half, leaves[half:]), naive_root(leaves[:half])]


def naive_subproof(old: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF as section 2.1.4.1 defines it."""
    if old == len(leaves):
        return [] if whole else [naive_root(leaves)]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= half:
        return [*naive_subproof(old, leaves[:half], whole), naive_root(leaves[half:])]
    return [*naive_subproof(old - half, leaves[half:], False), naive_root(leaves[:half])]


def grown(leaves: list[bytes], ranges: list[tuple[int, int]] | None = None) -> Tree:
    tree = Tree(ranges or [])
    tree.extend(leaves)
    return tree


def numbered(size: int) -> list[bytes]:
    return [str(number).encode() for number in range(size)]


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_the_known_ones(size: int) -> None:
    assert grown(INPUTS[:size]).root == ROOTS[size]


def test_proofs_are_the_known_ones() -> None:
    ranges = inclusion_ranges(5, 8)
    assert [node.hex()[:16] for node in grown(INPUTS, ranges).proof(ranges)] == [
        "bc1a0643b12e4d2d", "ca854ea128ed050b", "d37ee418976dd957",
    ]  # fmt: skip
    ranges = consistency_ranges(6, 8)
    assert [node.hex()[:16] for node in grown(INPUTS, ranges).proof(ranges)] == [
        "0ebc5d3437fbe2db", "ca854ea128ed050b", "d37ee418976dd957",
    ]  # fmt: skip


def test_a_leaf_is_position_seq_hash_and_run() -> None:
    leaf = record_leaf(258, 3, b"\xaa" * 32, "run-é")
    assert leaf == bytes.fromhex("00000000000001020000000000000003") + b"\xaa" * 32 + "run-é".encode()


@given(st.lists(st.binary(max_size=40), max_size=70), st.integers(0, 70))
def test_however_it_grows_its_root_is_the_naive_one(leaves: list[bytes], first: int) -> None:
    tree = Tree()
    tree.extend(leaves[:first])
    assert tree.root == naive_root(leaves[:first])
    tree.extend(leaves[first:])
    assert (tree.root, tree.size) == (naive_root(leaves), len(leaves))


@given(st.data(), st.integers(1, 140))
def test_inclusion_proofs_are_the_naive_ones_and_verify(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves, ranges = numbered(size), inclusion_ranges(index, size)
    tree = grown(leaves, ranges)
    proof = tree.proof(ranges)
    assert proof == naive_path(index, leaves)
    assert verify_inclusion(leaves[index], index, size, proof, tree.root)


@given(st.data(), st.integers(1, 140))
def test_consistency_proofs_are_the_naive_ones_and_verify(data: st.DataObject, size: int) -> None:
    old = data.draw(st.integers(1, size))
    leaves, ranges = numbered(size), consistency_ranges(old, size)
    tree = grown(leaves, ranges)
    proof = tree.proof(ranges)
    assert proof == naive_subproof(old, leaves, True)
    assert verify_consistency(old, size, proof, naive_root(leaves[:old]), tree.root)


@given(st.data(), st.integers(2, 70))
def test_a_proof_verifies_for_nothing_else(data: st.DataObject, size: int) -> None:
    index, other = data.draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=2, unique=True))
    leaves, ranges = numbered(size), inclusion_ranges(index, size)
    tree = grown(leaves, ranges)
    proof = tree.proof(ranges)
    assert not verify_inclusion(leaves[other], index, size, proof, tree.root)
    assert not verify_inclusion(leaves[index], other, size, proof, tree.root)
    assert not verify_inclusion(leaves[index], index, size, [*proof, proof[0]], tree.root)
    assert not verify_inclusion(leaves[index], index, size, proof[:-1], tree.root)
    assert not verify_inclusion(leaves[index], size + index, size, proof, tree.root)
    assert not verify_inclusion(leaves[index], index, size, proof, naive_root(leaves[:-1]))


@given(st.data(), st.integers(2, 70))
def test_a_rewritten_tree_is_not_consistent(data: st.DataObject, size: int) -> None:
    old = data.draw(st.integers(1, size))
    place = data.draw(st.integers(0, old - 1))
    leaves, ranges = numbered(size), consistency_ranges(old, size)
    held = naive_root(leaves[:old])
    leaves[place] = b"rewritten"
    tree = grown(leaves, ranges)
    assert not verify_consistency(old, size, tree.proof(ranges), held, tree.root)
    assert not verify_consistency(size, old, tree.proof(ranges), tree.root, held)


def test_what_is_not_in_the_tree_has_no_proof() -> None:
    with pytest.raises(ValueError, match="no leaf 8"):
        inclusion_ranges(8, 8)
    with pytest.raises(ValueError, match="cannot begin with one of 9"):
        consistency_ranges(9, 8)
    assert not verify_inclusion(b"", 0, 0, [], EMPTY)
    assert not verify_consistency(0, 8, [], EMPTY, ROOTS[8])


@pytest.mark.parametrize("index", [0, 1, 524_288, 999_999])
def test_a_proof_among_a_million_is_under_a_kilobyte(index: int) -> None:
    assert 32 * len(inclusion_ranges(index, 1_000_000)) <= 32 * math.ceil(math.log2(1_000_000)) < 1024
