"""A disk that loses power: what may lie on it at any moment of a recorded life, and nothing more kind than that.

Safe is what a completed sync of the same file covers, and names that a sync of their folder covers. Of everything else any
part may be there: nothing, all, a beginning, or single writes in between, torn at sectors, with rubbish in the gaps.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, Literal, TypeAlias

HEAD: Final = struct.Struct("5Q")
WRITE, SYNC_BEGIN, SYNC_END, CUT, CREATE, MKDIR, RENAME, UNLINK, RMDIR = range(1, 10)
SECTOR: Final = 512
"""Bytes of which a disk writes all or nothing."""
MODES: Final = ("nothing", "all", "beginning", "some", "some", "torn", "torn")
"""What becomes of the writes of a file that were not synced; some are likelier than others."""
MEMORY: Final = ("-shm",)
"""Ends of names of files that no disk needs: SQLite makes them anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One thing that a process did."""

    op: int
    inode: int
    offset: int
    data: bytes
    more: bytes


def read_trace(path: Path) -> Iterator[Record]:
    with path.open("rb") as file:
        while head := file.read(HEAD.size):
            op, inode, offset, size, more = HEAD.unpack(head)
            yield Record(op=op, inode=inode, offset=offset, data=file.read(size), more=file.read(more))


@dataclass(slots=True)
class File:
    """What of a file is safe, and what was done to it since: (offset, data), or (size, None) for a cut."""

    safe: bytearray = field(default_factory=bytearray)
    unsafe: list[tuple[int, bytes | None]] = field(default_factory=list[tuple[int, bytes | None]])
    syncing: int = 0


@dataclass(slots=True)
class Folder:
    """Which names are safe, and how they changed since, in order: (name, what it names now, or None)."""

    safe: dict[str, Node] = field(default_factory=dict)
    unsafe: list[tuple[tuple[str, Node | None], ...]] = field(default_factory=list)
    syncing: int = 0

    def now(self, changes: int | None = None) -> dict[str, Node]:
        """The names after all changes, or after the first few."""
        names = dict(self.safe)
        for change in self.unsafe[:changes]:
            for name, node in change:
                if node is None:
                    names.pop(name, None)
                else:
                    names[name] = node
        return names


Node: TypeAlias = File | Folder


class Disk:
    """One folder of a file system, as the records make it."""

    def __init__(self, root: str, inode: int) -> None:
        self._root, self._top = root, Folder()
        self._nodes: dict[int, Node] = {inode: self._top}

    def take(self, record: Record) -> None:
        node = self._nodes.get(record.inode)
        match record.op:
            case 1 | 4 if isinstance(node, File):
                node.unsafe.append((record.offset, record.data if record.op == WRITE else None))
            case 2 if node is not None:
                node.syncing = len(node.unsafe)
            case 3 if isinstance(node, File):
                self._make_safe(node)
            case 3 if isinstance(node, Folder):
                node.safe, node.unsafe = node.now(node.syncing), node.unsafe[node.syncing :]
            case 5 | 6:
                made: Node = File() if record.op == CREATE else Folder()
                self._nodes[record.inode] = made
                self._rename(record.data, made)
            case 7:
                folder, name = self._place(record.data)
                self._rename(record.more, folder.now()[name], gone=name)
            case 8 | 9:
                self._rename(record.data, None)
            case _:  # a file that the records do not begin with: its disk is another one
                return

    def _make_safe(self, file: File) -> None:
        for change in file.unsafe[: file.syncing]:
            _apply(file.safe, *change)
        file.unsafe = file.unsafe[file.syncing :]

    def _rename(self, path: bytes, node: Node | None, gone: str = "") -> None:
        folder, name = self._place(path)
        folder.unsafe.append(((gone, None), (name, node)) if gone else ((name, node),))

    def _place(self, path: bytes) -> tuple[Folder, str]:
        parts = PurePosixPath(path.decode()).relative_to(self._root).parts
        folder = self._top
        for part in parts[:-1]:
            inner = folder.now()[part]
            assert isinstance(inner, Folder)
            folder = inner
        return folder, parts[-1]

    # --- the power fails --------------------------------------------------------------------------------------

    def read(self, name: str) -> bytes:
        """One file of the top folder as the living see it; nothing when there is none."""
        file = self._top.now().get(name)
        return _left(file, "all") if isinstance(file, File) else b""

    def now(self) -> dict[str, bytes]:
        """Every file as the living see it."""
        return dict(_files(self._top, "", "all"))

    def least(self) -> dict[str, bytes]:
        """Every file of which only what is safe is left."""
        return dict(_files(self._top, "", "nothing"))

    def fail(self, dice: random.Random) -> dict[str, bytes]:
        """Every file that may be found when the power is back, by its path below the folder."""
        return dict(_files(self._top, "", dice))


Kept: TypeAlias = random.Random | Literal["all", "nothing"]
"""What is kept of that which is not safe: chance says."""


def _files(folder: Folder, where: str, kept: Kept) -> Iterator[tuple[str, bytes]]:
    changes = 0 if kept == "nothing" else len(folder.unsafe)
    if isinstance(kept, random.Random):
        changes = kept.choice((0, changes, kept.randint(0, changes)))
    for name, node in folder.now(changes).items():
        if isinstance(node, Folder):
            yield f"{where}{name}/", b""
            yield from _files(node, f"{where}{name}/", kept)
        elif not name.endswith(MEMORY):
            yield f"{where}{name}", _left(node, kept)


def _left(file: File, kept: Kept) -> bytes:
    """What is left of a file."""
    content, unsafe = bytearray(file.safe), file.unsafe
    mode = kept if isinstance(kept, str) else kept.choice(MODES)
    dice = kept if isinstance(kept, random.Random) else random.Random()
    if mode == "nothing":
        return bytes(content)
    if mode == "beginning":
        unsafe = unsafe[: dice.randint(0, len(unsafe))]
    elif mode != "all":
        share = dice.random()
        unsafe = [change for change in unsafe if dice.random() < share]
    rubbish = dice if mode != "all" and dice.random() < 0.5 else None
    for at, data in unsafe:
        for place, part in _sectors(at, data, dice) if mode == "torn" and data else [(at, data)]:
            _apply(content, place, part, rubbish)
    return bytes(content)


def _sectors(at: int, data: bytes, dice: random.Random) -> Iterator[tuple[int, bytes]]:
    """The sectors of a write that reached the disk."""
    place = at
    while place < at + len(data):
        end = min(place - place % SECTOR + SECTOR, at + len(data))
        if dice.random() < 0.7:
            yield place, data[place - at : end - at]
        place = end


def _apply(content: bytearray, at: int, data: bytes | None, rubbish: random.Random | None = None) -> None:
    if len(content) < at:
        gap = at - len(content)
        content.extend(rubbish.randbytes(gap) if rubbish else bytes(gap))
    if data is None:
        del content[at:]
    else:
        content[at : at + len(data)] = data
