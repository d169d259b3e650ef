"""XML without its dangers: no document type, no entities, no more depth and elements than honest files have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from xml.parsers import expat

from backstay.ai.documents.errors import DocumentTooLarge, DocumentUnreadable

DEPTH: Final = 200
ELEMENTS: Final = 500_000


class Node:
    """An element, by its name without namespace."""

    __slots__ = ("attributes", "children", "name", "tail", "text")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name, self.attributes = name, attributes
        self.text = self.tail = ""
        """What stands before its first child, and behind it."""
        self.children: list[Node] = []

    def __iter__(self) -> Iterator[Node]:
        return iter(self.children)

    def walk(self) -> Iterator[Node]:
        """The element and all within, in the order of the file."""
        waiting: list[Node] = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))

    def all(self, path: str) -> list[Node]:
        """Elements at a path of names, such as "Party/Name"."""
        found: list[Node] = [self]
        for name in path.split("/"):
            found = [child for node in found for child in node.children if child.name == name]
        return found

    def one(self, path: str) -> Node | None:
        return next(iter(self.all(path)), None)

    def said(self, *paths: str) -> str:
        """The text at the first of some paths that has any."""
        for path in paths:
            for node in self.all(path):
                if text := node.text.strip():
                    return text
        return ""

    def words(self) -> str:
        """All text within."""
        return " ".join(text for node in self.walk() for text in (node.text.strip(), node.tail.strip()) if text)


def parse(data: bytes, *, most: int = ELEMENTS) -> Node:
    """The root of a file; raises DocumentUnreadable when it is not well-formed or declares a document type."""
    parser = expat.ParserCreate(namespace_separator="\n")
    parser.buffer_text = True
    root = Node("", {})
    stack, count = [root], 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > most:
            raise DocumentTooLarge(f"has more than {most:,} elements of XML")
        if len(stack) > DEPTH:
            raise DocumentTooLarge(f"has XML that is nested more than {DEPTH} deep")
        node = Node(_local(name), {_local(key): value for key, value in attributes.items()})
        stack[-1].children.append(node)
        stack.append(node)

    def end(_: str) -> None:
        stack.pop()

    def text(said: str) -> None:
        here = stack[-1]
        if here.children:
            here.children[-1].tail += said
        else:
            here.text += said

    def refuse(*_: object) -> None:
        raise DocumentUnreadable("declares a document type, which is not read: it may name files and grow without end")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = begin, end, text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError, UnicodeError) as error:
        raise DocumentUnreadable(f"is XML that cannot be read ({str(error)[:80]})") from None
    return root.children[0]


def _local(name: str) -> str:
    return name.rpartition("\n")[2]
