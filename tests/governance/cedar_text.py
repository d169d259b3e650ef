"""A small reader of the part of Cedar that Backstay writes: parses it by the published grammar, and answers requests.

Decisions as the language's reference says: forbid overrides permit, a policy whose evaluation fails is passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

TOKEN = re.compile(
    r'\s*(?://[^\n]*\n\s*)*("(?:[^"\\]|\\u\{[0-9a-f]+\}|\\["\\])*"|[A-Za-z_]\w*|&&|\|\||==|!=|::|[(){}\[\],;@.!<])'
)
METHODS: dict[str, Any] = {
    "lessThan": lambda one, other: one < other, "lessThanOrEqual": lambda one, other: one <= other,
    "greaterThan": lambda one, other: one > other, "greaterThanOrEqual": lambda one, other: one >= other,
}  # fmt: skip


@dataclass
class Statement:
    effect: str
    notes: dict[str, str]
    action: str | None
    when: list[Any] = field(default_factory=list[Any])
    unless: list[Any] = field(default_factory=list[Any])

    def satisfied(self, request: dict[str, Any]) -> bool:
        if self.action not in (None, request["context"]["action"]):
            return False
        try:
            return all(boolean(each(request)) for each in self.when) and not any(
                boolean(each(request)) for each in self.unless
            )
        except (LookupError, TypeError):
            return False


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def unquoted(token: str) -> str:
    return re.sub(
        r"\\(u\{([0-9a-f]+)\}|.)", lambda found: chr(int(found[2], 16)) if found[2] else found[1], token[1:-1]
    )


def any_of(one: Any, other: Any) -> Any:
    return lambda asked: boolean(one(asked)) or boolean(other(asked))


def all_of(one: Any, other: Any) -> Any:
    return lambda asked: boolean(one(asked)) and boolean(other(asked))


def field_of(value: Any, name: str) -> Any:
    return lambda asked: value(asked)[name]


class Reader:
    """Recursive descent; a function of the request for each expression."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        place, text = 0, re.sub(r"(?m)^//.*\n?", "", text).strip()
        while place < len(text):
            found = TOKEN.match(text, place)
            assert found is not None, text[place : place + 60]
            self.tokens.append(found[1])
            place = found.end()
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, *wanted: str) -> str:
        token = self.peek()
        assert token, "the text ends too early"
        assert not wanted or token in wanted, (wanted, self.tokens[self.at - 5 : self.at + 5])
        self.at += 1
        return token

    def statements(self) -> list[Statement]:
        found: list[Statement] = []
        while self.peek():
            notes: dict[str, str] = {}
            while self.peek() == "@":
                self.take("@")
                name = self.take()
                assert name not in notes
                self.take("(")
                notes[name] = unquoted(self.take())
                self.take(")")
            found.append(self.statement(notes))
        return found

    def statement(self, notes: dict[str, str]) -> Statement:
        made = Statement(self.take("permit", "forbid"), notes, None)
        for token in ("(", "principal", ",", "action"):
            self.take(token)
        if self.peek() == "==":
            for token in ("==", "Action", "::"):
                self.take(token)
            made.action = unquoted(self.take())
        for token in (",", "resource", ")"):
            self.take(token)
        while self.peek() != ";":
            clauses = made.when if self.take("when", "unless") == "when" else made.unless
            self.take("{")
            clauses.append(self.either())
            self.take("}")
        self.take(";")
        return made

    def either(self) -> Any:
        one = self.both()
        while self.peek() == "||":
            self.take()
            one = any_of(one, self.both())
        return one

    def both(self) -> Any:
        one = self.relation()
        while self.peek() == "&&":
            self.take()
            one = all_of(one, self.relation())
        return one

    def relation(self) -> Any:
        left = self.unary()
        if self.peek() not in ("==", "!=", "<", "has", "like"):
            return left
        sign = self.take()
        if sign == "has":
            name = self.take()
            key = unquoted(name) if name[0] == '"' else name
            return lambda asked: key in left(asked)
        if sign == "like":
            pattern = unquoted(self.take()).replace("[", "[[]")
            return lambda asked: fnmatchcase(left(asked), pattern)
        right = self.unary()
        assert self.peek() not in ("==", "!=", "<"), "relations are not chained"
        if sign == "<":
            return lambda asked: left(asked) < right(asked)
        return lambda asked: (same(left(asked), right(asked))) == (sign == "==")

    def unary(self) -> Any:
        if self.peek() == "!":
            self.take()
            inner = self.unary()
            return lambda asked: not boolean(inner(asked))
        return self.member()

    def member(self) -> Any:
        value = self.primary()
        while self.peek() in (".", "["):
            if self.take() == "[":
                name = unquoted(self.take())
                self.take("]")
            else:
                name = self.take()
            if self.peek() == "(":
                self.take("(")
                other = self.either()
                self.take(")")
                value = self.called(name, value, other)
            else:
                value = field_of(value, name)
        return value

    def called(self, name: str, value: Any, other: Any) -> Any:
        if name == "contains":
            return lambda asked: any(same(each, other(asked)) for each in value(asked))

        def compared(asked: Any) -> bool:
            one, two = value(asked), other(asked)
            if not isinstance(one, Decimal) or not isinstance(two, Decimal):
                raise TypeError
            return METHODS[name](one, two)

        return compared

    def primary(self) -> Any:
        token = self.take()
        if token == "(":
            inner = self.either()
            self.take(")")
            return inner
        if token == "[":
            items: list[Any] = []
            while self.peek() != "]":
                items.append(self.either())
                if self.peek() == ",":
                    self.take()
            self.take("]")
            return lambda asked: [each(asked) for each in items]
        if token in ("decimal", "datetime"):
            self.take("(")
            text = unquoted(self.take())
            self.take(")")
            assert token == "datetime" or re.fullmatch(r"-?\d+\.\d{1,4}", text), text
            made = Decimal(text) if token == "decimal" else datetime.fromisoformat(text)
            return lambda _: made
        if token in ("true", "false"):
            return lambda _: token == "true"
        if token[0] == '"':
            text = unquoted(token)
            return lambda _: text
        assert token in ("principal", "context"), token
        return lambda asked: asked[token]


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def decide(statements: list[Statement], request: dict[str, Any]) -> tuple[bool, list[Statement]]:
    """(whether it is allowed, the policies that decided)."""
    found = [each for each in statements if each.satisfied(request)]
    forbids = [each for each in found if each.effect == "forbid"]
    return bool(found) and not forbids, forbids or found
