"""Labelled examples from a file: CSV with a head, or JSON lines, with `text` and `label` in each row."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backstay.errors import InvalidInput, NotFound
from backstay.store.steps import Labelled, Step


def imported(path: Path, step: Step, *, by: str, at: str) -> dict[str, Labelled]:
    """Examples by their keys: the same row twice is one. Raises NotFound, and InvalidInput naming the line and the field."""
    known, found = {*step.declared["labels"], str(step.declared["none"])}, dict[str, Labelled]()
    for line, row in _rows(path):
        text, label = row.get("text"), row.get("label")
        if not isinstance(text, str) or not text.strip():
            raise InvalidInput(f"{path.name}, line {line}: text: is missing", {"text": "is missing"})
        if any("\ud800" <= sign <= "\udfff" for sign in text):
            raise InvalidInput(
                f"{path.name}, line {line}: text: half a sign in it, which is no text", {"text": "is no text"}
            )
        if not isinstance(label, str) or label not in known:
            raise InvalidInput(
                f"{path.name}, line {line}: label: {label!r} is none of {', '.join(sorted(known))}",
                {"label": "unknown"},
            )
        key = hashlib.sha256(json.dumps([step.name, text, label]).encode()).hexdigest()
        found[f"import {key}"] = Labelled(text=text, label=label, origin="import", by=by, run="", at=at)
    return found


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if not path.is_file():
        raise NotFound(f"there is no file {str(path)!r}")
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path.name}: it is not UTF-8: {error}", {"file": "is not UTF-8"}) from error
    if not text.strip():
        raise InvalidInput(f"{path.name}: it is empty", {"file": "is empty"})
    if path.suffix.lower() == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        if missing := {"text", "label"} - set(reader.fieldnames or ()):
            raise InvalidInput(f"{path.name}: its head has no {' and no '.join(sorted(missing))}", dict.fromkeys(missing, "is missing"))  # fmt: skip
        try:
            yield from ((reader.line_num, dict(row)) for row in reader)
        except csv.Error as error:
            line = reader.line_num + 1
            raise InvalidInput(
                f"{path.name}, line {line}: it cannot be read: {error}", {"line": "is no CSV"}
            ) from error
        return
    for line, each in enumerate(text.split("\n"), 1):
        if not each.strip():
            continue
        try:
            row = json.loads(each)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"{path.name}, line {line}: it is no JSON: {error}", {"line": "is no JSON"}) from error
        if not isinstance(row, dict):
            raise InvalidInput(
                f"{path.name}, line {line}: it is no object with text and label", {"line": "is no object"}
            )
        yield line, row
