"""Policy files: a table of rules as YAML or JSON, one rule a row, with errors that name file, line, rule and field.

A row has the fields of a `Rule`. Texts are taken as they are written, so a table has one version (its digest) in Python and
in a file. All that is wrong is told at once.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

from backstay.errors import AuthorError
from backstay.governance.conditions import compile_condition
from backstay.governance.policy import AUTONOMY, EFFECTS, SEVERITY, Policy, Rule, end_of
from backstay.types import Json

Format: TypeAlias = Literal["yaml", "json"]
SUFFIXES: Final = (".yaml", ".yml", ".json")
FIELDS: Final = {each.name: each for each in fields(Rule)}
CHOICES: Final = {"verdict": SEVERITY, "effect": EFFECTS, "autonomy": ("*", *AUTONOMY)}
TESTED: Final = ("args", "verdict", "by")
"""What a test of a rule says: arguments, what must become of the call, and perhaps who makes it."""
EXAMPLE: Final = "- {id: large-payments, verdict: hold, action: pay, when: amount > 500, owner: risk}"


@dataclass(frozen=True, slots=True)
class Value:
    """A value with the line at which it stands; none where nobody counts lines."""

    held: Any
    """JSON; the values of lists and mappings are of this kind again."""
    line: int | None = None
    text: str | None = None
    """A scalar as it is written, where that is not JSON's own text."""

    def plain(self) -> Json:
        if isinstance(self.held, dict):
            return {name: each.plain() for name, each in cast("dict[str, Value]", self.held).items()}
        return [each.plain() for each in cast("list[Value]", self.held)] if isinstance(self.held, list) else self.held


def read_policy(path: str | Path) -> list[Rule]:
    """The rules of a policy file, `.yaml`, `.yml` or `.json`; raises AuthorError with a line for each thing that is wrong."""
    path = Path(path)
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise AuthorError(f"{path.name}: this policy cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AuthorError(f"{path.name}: this policy is not UTF-8 text") from None
    if path.suffix not in SUFFIXES:
        raise AuthorError(f"{path.name}: a policy is a file that ends in .yaml, .yml or .json")
    return rules_of(text, path.name)


def rules_of(text: str, name: str) -> list[Rule]:
    """The rules that stand in the text of a file of this name."""
    table = _of_json(text, name) if name.endswith(".json") else _of_yaml(text, name)
    if table.held is None:
        raise AuthorError(f"{name}: this policy has no rules; write [] for a table without any")
    if not isinstance(table.held, list):
        raise AuthorError(f"{_at(name, table.line)}: a policy is a list of rules, for example {EXAMPLE}")
    wrong, rules, seen = list[str](), list[Rule](), dict[str, str]()
    for number, row in enumerate(cast("list[Value]", table.held), 1):
        reader = _Row(row, name, number)
        rule = reader.rule()
        wrong += reader.wrong
        if reader.id:
            if reader.id in seen:
                wrong.append(
                    f"{reader.where('id')}: this id stands in {seen[reader.id]} already; give each rule its own"
                )
            seen.setdefault(reader.id, f"line {row.line}" if row.line else f"row {number}")
        if rule is not None:
            rules.append(rule)
    if wrong:
        raise AuthorError("\n".join(wrong))
    return rules


def _at(name: str, line: int | None) -> str:
    return f"{name}:{line}" if line else name


class _Row:
    """Reads one row, and collects what is wrong with it."""

    def __init__(self, row: Value, file: str, number: int) -> None:
        self._row, self._file, self._number = row, file, number
        self._given: dict[str, Value] = row.held if isinstance(row.held, dict) else {}
        self.wrong: list[str] = []
        self.id = _text(self._given["id"]) or "" if "id" in self._given else ""

    def where(self, field: str = "") -> str:
        """The place of a field, or of the row."""
        line = self._given[field].line if field in self._given else self._row.line
        rule = f"rule {self.id!r}" if self.id else f"rule {self._number}"
        return f"{_at(self._file, line)}: {rule}{f', {field}' if field else ''}"

    def rule(self) -> Rule | None:
        """The rule of the row, or None where something is wrong with it."""
        if not isinstance(self._row.held, dict):
            self.wrong.append(f"{self.where()}: a rule is a row of fields, for example {EXAMPLE}")
            return None
        for field in (name for name, each in FIELDS.items() if each.default is MISSING and name not in self._given):
            self.wrong.append(f"{self.where()}: it has no {field}")
        found = {name: self._field(name, value) for name, value in self._given.items()}
        if self.wrong:
            return None
        rule = Rule(**found)
        try:
            Policy([rule])
        except AuthorError as error:  # what is wrong with several fields together
            self.wrong.append(f"{self.where()}: {str(error).removeprefix(f'policy rule {rule.id!r} ')}")
        return rule

    def _field(self, name: str, value: Value) -> Any:
        if name not in FIELDS:
            self._complain(name, f"there is no such field{_meant(name, FIELDS)}")
        elif name == "tests":
            return tuple(self._tests(value))
        elif (text := _text(value)) is None:
            self._complain(name, 'it must be a text; write "" for an empty one, or leave the field out')
        elif name in CHOICES and text not in CHOICES[name]:
            self._complain(name, f"{text!r} is not one of {', '.join(CHOICES[name])}{_meant(text, CHOICES[name])}")
        elif (why := _unfit(name, text)) is not None:
            self._complain(name, why)
        return _text(value)

    def _complain(self, field: str, why: str) -> None:
        self.wrong.append(f"{self.where(field)}: {why}")

    def _tests(self, value: Value) -> Iterator[tuple[Any, ...]]:
        if not isinstance(value.held, list):
            self._complain("tests", "it must be a list, for example [{args: {amount: 501}, verdict: hold}]")
            return
        for each in cast("list[Value]", value.held):
            test: Any = each.plain()
            where = f"{_at(self._file, each.line)}: rule {self.id!r}, tests"
            if not isinstance(test, dict) or not isinstance(cast("Json", test).get("args"), dict):
                self.wrong.append(
                    f"{where}: a test has args, a verdict and perhaps by: {{args: {{amount: 501}}, verdict: hold}}"
                )
                continue
            told = cast("dict[str, Any]", test)
            self.wrong += [
                f"{where}: there is no such field {name!r}{_meant(name, TESTED)}" for name in told if name not in TESTED
            ]
            if told.get("verdict") not in SEVERITY:
                self.wrong.append(f"{where}: verdict {told.get('verdict')!r} is not one of {', '.join(SEVERITY)}")
            if not isinstance(told.get("by", ""), str):
                self.wrong.append(f"{where}: by must be the name of a workflow or agent")
            yield (told["args"], told.get("verdict"), *([told["by"]] if "by" in told else []))


def _text(value: Value) -> str | None:
    """A text as it is written: an id of digits and a date are texts; nothing at all, a list and a mapping are none."""
    if isinstance(value.held, str):
        return value.held
    return value.text if value.held is not None and not isinstance(value.held, list | dict) else None


def _meant(name: str, known: Sequence[str] | dict[str, Any]) -> str:
    found = get_close_matches(name.lower(), list(known), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def _unfit(name: str, text: str) -> str | None:
    """Why a text cannot stand in a field, if so."""
    if name == "id" and not text.strip():
        return "it is empty"
    try:
        if name == "when" and text:
            ast.parse(text.strip(), mode="eval")
            compile_condition(text, "")
        elif name == "expires":
            end_of(Rule(id="", verdict="deny", expires=text))
    except (RecursionError, MemoryError):
        return "it is nested too deeply"
    except SyntaxError as error:
        return f"{text!r} cannot be read at character {error.offset or len(text.strip()) + 1}: {error.msg}"
    except (AuthorError, ValueError) as error:
        if name == "expires":
            return f"{text!r} is no date or moment; write for example '2027-03-31'"
        return str(error).removeprefix(": ")
    return None


# --- reading ----------------------------------------------------------------------------------------------------------

DEEPEST: Final = 50
"""Lists and mappings within one another; a table needs three, and more for arguments of its tests."""

_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_WORDS: Final = {"true": True, "false": False, "null": None, "": None}


def _of_json(text: str, name: str) -> Value:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        given = dict(pairs)
        if len(given) < len(pairs):
            twice = next(key for key, _ in pairs if [each for each, _ in pairs].count(key) > 1)
            raise AuthorError(f"{name}: {given.get('id', 'a row')!r} has {twice!r} twice")
        return given

    try:
        return _valued(json.loads(text, object_pairs_hook=unique), name)
    except (ValueError, RecursionError) as error:
        raise AuthorError(f"{name}: this is not JSON: {error}") from None


def _valued(given: Any, file: str) -> Value:
    if isinstance(given, dict):
        return Value({
            _whole(name, file): _valued(each, file) for name, each in cast("dict[str, Any]", given).items()
        })  # fmt: skip
    return Value(
        [_valued(each, file) for each in cast("list[Any]", given)] if isinstance(given, list) else _whole(given, file)
    )


def _whole(scalar: Any, where: str) -> Any:
    """What can be written again as it was read; raises AuthorError for anything else that JSON and YAML can spell."""
    if isinstance(scalar, float) and not isfinite(scalar):
        raise AuthorError(f"{where}: this number is too large, or it is none")
    if isinstance(scalar, str) and any("\ud800" <= letter <= "\udfff" for letter in scalar):
        raise AuthorError(f"{where}: {scalar!r} holds half a letter (a surrogate alone)")
    return scalar


def _of_yaml(text: str, name: str) -> Value:
    try:
        import yaml  # pyright: ignore[reportMissingModuleSource] - it is optional
    except ImportError:
        raise AuthorError(f"{name}: to read YAML, install backstay[yaml]; or write the same rows as JSON") from None
    depth = 0
    try:
        for event in yaml.parse(text, yaml.SafeLoader):  # it reads on by and by, so this ends before it takes long
            where = f"{name}:{event.start_mark.line + 1}"
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise AuthorError(f"{where}: this is nested too deeply")
            if isinstance(event, yaml.AliasEvent):
                raise AuthorError(f"{where}: a text that begins with * stands in quotes")
            if getattr(event, "tag", None) is not None:
                raise AuthorError(f"{where}: a text that begins with ! stands in quotes")
        return _noted(yaml.compose(text, yaml.SafeLoader), name)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        starred = "alias" in str(getattr(error, "context", ""))
        why = "a text that begins with * stands in quotes" if starred else f"this is not YAML: {_problem(error)}"
        raise AuthorError(f"{_at(name, mark.line + 1 if mark else None)}: {why}") from None


def _problem(error: Exception) -> str:
    return getattr(error, "problem", None) or " ".join(str(error).split())


def _noted(node: Any, name: str) -> Value:
    """A node of YAML with its lines; a plain scalar is what JSON would read, and else the text as it is written."""
    if node is None:
        return Value(None)
    line = node.start_mark.line + 1
    if node.id == "sequence":
        return Value([_noted(each, name) for each in node.value], line)
    if node.id == "mapping":
        return _mapping(node, name, line)
    written: str = _whole(node.value, f"{name}:{line}")
    if node.style is not None:
        return Value(written, line)
    if written in _WORDS:
        return Value(_WORDS[written], line, written)
    return (
        Value(_number(written, f"{name}:{line}"), line, written) if _NUMBER.fullmatch(written) else Value(written, line)
    )


def _number(written: str, where: str) -> Any:
    try:
        return _whole(json.loads(written), where)
    except ValueError:
        raise AuthorError(f"{where}: this number has too many digits; a text of digits stands in quotes") from None


def _mapping(node: Any, name: str, line: int) -> Value:
    found = dict[str, Value]()
    for key, value in node.value:
        if key.id != "scalar":
            raise AuthorError(f"{name}:{key.start_mark.line + 1}: the name of a field is a text")
        if key.value in found:
            raise AuthorError(f"{name}:{key.start_mark.line + 1}: {key.value!r} stands twice in one row")
        _whole(key.value, f"{name}:{key.start_mark.line + 1}")
        found[key.value] = _noted(value, name)
    return Value(found, line)


# --- writing ----------------------------------------------------------------------------------------------------------

_PLAIN: Final = re.compile(r"(?!.*(: | #|[: ]$))[A-Za-z_][!-~ ]*")
_RESERVED: Final = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def written(rules: Sequence[Rule], form: Format) -> str:
    """A table as a file that reads back to the same: what a rule leaves out is left out."""
    rows = [_row(rule) for rule in rules]
    if form == "json":
        return json.dumps(rows, ensure_ascii=False, indent=2) + "\n"
    return "\n".join(map(_yaml_row, rows)) or "[]\n"


def _row(rule: Rule) -> dict[str, Json]:
    row = {name: getattr(rule, name) for name, each in FIELDS.items() if getattr(rule, name) != each.default}
    if tests := row.pop("tests", ()):
        row["tests"] = [dict(zip(TESTED, (dict(test[0]), *test[1:]), strict=False)) for test in tests]
    return row


def _yaml_row(row: dict[str, Json]) -> str:
    lines = [f"{name}: {_scalar(value)}" for name, value in row.items() if name != "tests"]
    if "tests" in row:
        lines += ["tests:"]
        for test in row["tests"]:
            told = [
                f"args: {_quoted(test['args'])}",
                *(f"{name}: {_quoted(test[name])}" for name in TESTED[1:] if name in test),
            ]
            lines.append(f"  - {{{', '.join(told)}}}")
    return "- " + "\n  ".join(lines) + "\n"


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    return f"'{text}'" if text.isascii() and text.isprintable() and "'" not in text else _quoted(text)


def _quoted(value: Json) -> str:
    """JSON is YAML where letters that YAML does not print are escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(
        letter if letter.isprintable() or ord(letter) > 0xFFFF else f"\\u{ord(letter):04x}" for letter in text
    )
