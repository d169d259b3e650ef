"""Office files, OOXML and OpenDocument: text and tables from their XML. Nothing in them is run. Runs in the child."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from backstay.ai.documents import xml_tree
from backstay.ai.documents.archive import Archive
from backstay.ai.documents.errors import DocumentUnreadable
from backstay.ai.documents.found import DocumentLimits, Found, Piece
from backstay.ai.documents.model import Table
from backstay.ai.documents.plain import CELLS
from backstay.ai.documents.xml_tree import Node

_DATES: Final = {*range(14, 23), *range(45, 48)}
"""Formats of numbers that are dates or times, of those that need no name."""
_DATE: Final = re.compile(r"[dyhs]|mm", re.I)
_EPOCH: Final = datetime(1899, 12, 30)
COLUMNS: Final = 1000


def docx(data: bytes, limits: DocumentLimits) -> Found:
    archive, found = _opened(data, limits)
    body = _xml(archive, "word/document.xml").one("body")
    texts = list(_word_blocks(body, found)) if body else []
    for name in archive.under("word/header", "word/footer", "word/footnotes", "word/endnotes"):
        if name.endswith(".xml"):
            texts += _word_blocks(_xml(archive, name), found)
    found.text = _joined(texts, limits)
    return found


def pptx(data: bytes, limits: DocumentLimits) -> Found:
    archive, found = _opened(data, limits)
    texts = list[str]()
    for folder in ("ppt/slides/slide", "ppt/notesSlides/notesSlide"):
        for name in sorted(archive.under(folder), key=_numbered):
            slide = _xml(archive, name)
            texts += [_runs(node, "t", "br") for node in slide.walk() if node.name == "p"]
            for table in (node for node in slide.walk() if node.name == "tbl"):
                rows = [[_lines(cell, "p", "t") for cell in row.all("tc")] for row in table.all("tr")]
                _add_table(found, rows)
    found.text = _joined(texts, limits)
    return found


def xlsx(data: bytes, limits: DocumentLimits) -> Found:
    archive, found = _opened(data, limits)
    book = _xml(archive, "xl/workbook.xml")
    targets = {
        each.attributes.get("Id", ""): each.attributes.get("Target", "")
        for each in _xml(archive, "xl/_rels/workbook.xml.rels")
    }
    shared = [_runs(node, "t") for node in _maybe(archive, "xl/sharedStrings.xml") if node.name == "si"]
    dates = _date_styles(_maybe(archive, "xl/styles.xml"))
    texts = list[str]()
    for sheet in book.all("sheets/sheet"):
        name, target = sheet.attributes.get("name", ""), targets.get(sheet.attributes.get("id", ""), "")
        path = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
        if path not in archive.names or "worksheets" not in path:
            continue
        if sheet.attributes.get("state", "visible") != "visible":
            found.problems.append(f"the sheet {name!r:.60} is hidden")
        rows = list(_sheet_rows(_xml(archive, path), shared, dates))
        _add_table(found, rows)
        texts += [name, *("\t".join(row).rstrip() for row in rows)]
    found.text = _joined(texts, limits)
    return found


def opendocument(data: bytes, limits: DocumentLimits) -> Found:
    archive, found = _opened(data, limits)
    body = _xml(archive, "content.xml").one("body")
    texts = list[str]()
    for node in body.walk() if body else ():
        if node.name in ("p", "h"):
            texts.append(node.words())
        elif node.name == "table":
            _add_table(found, list(_open_rows(node)))
    found.text = _joined(texts, limits)
    return found


# --- what all have ---


def _opened(data: bytes, limits: DocumentLimits) -> tuple[Archive, Found]:
    """The archive, with what lies in it besides text: macros are told of, embedded files are parts."""
    archive, found = Archive(data, limits), Found()
    if any(name.endswith("vbaProject.bin") for name in archive.names):
        found.problems.append("it brings macros, which were not run")
    for name in archive.names:
        if "/embeddings/" in name and len(found.pieces) < limits.parts:
            found.pieces.append(Piece(name.rpartition("/")[2], archive.read(name)))
    return archive, found


def _xml(archive: Archive, name: str) -> Node:
    if name not in archive.names:
        raise DocumentUnreadable(f"is incomplete: its part {name!r} is missing; ask its sender to send it again")
    return xml_tree.parse(archive.read(name))


def _maybe(archive: Archive, name: str) -> Node:
    return _xml(archive, name) if name in archive.names else Node("", {})


def _joined(texts: Iterable[str], limits: DocumentLimits) -> str:
    return "\n".join(text for text in texts if text.strip())[: limits.characters]


def _add_table(found: Found, rows: list[list[str]]) -> None:
    wide = max(map(len, rows), default=0)
    taken = sum(len(table.rows) * len(table.rows[0]) for table in found.tables if table.rows)
    if not any(text for row in rows for text in row):
        return
    if taken + wide * len(rows) > CELLS:
        found.problems.append(f"a table of {len(rows):,} rows was left out: the file has too many cells")
        return
    found.tables.append(Table(rows=[row + [""] * (wide - len(row)) for row in rows]))


def _runs(node: Node, *names: str) -> str:
    """The text of the runs within, with breaks and tabs."""
    made = list[str]()
    for each in node.walk():
        if each.name == names[0]:
            made.append(each.text)
        elif each.name in ("tab", "br", "cr"):
            made.append("\t" if each.name == "tab" else "\n")
    return "".join(made)


def _lines(node: Node, paragraph: str, run: str) -> str:
    return " ".join(text for each in node.walk() if each.name == paragraph and (text := _runs(each, run).strip()))


def _numbered(name: str) -> int:
    digits = re.sub(r"\D", "", name.rpartition("/")[2])
    return int(digits[:9] or 0)


# --- words ---


def _word_blocks(body: Node, found: Found) -> Iterator[str]:
    """Paragraphs and rows in order; text that is marked as hidden is left out, and said."""
    waiting = list(reversed(body.children))
    while waiting:
        node = waiting.pop()
        if node.name == "p":
            yield _visible(node, found)
        elif node.name == "tbl":
            rows = [[_lines(cell, "p", "t") for cell in row.all("tc")] for row in node.all("tr")]
            _add_table(found, rows)
            yield from ("\t".join(row) for row in rows)
        else:
            waiting.extend(reversed(node.children))


def _visible(paragraph: Node, found: Found) -> str:
    made = list[str]()
    for run in paragraph.walk():
        if run.name != "r":
            continue
        text = _runs(run, "t")
        mark = run.one("rPr/vanish")
        if mark is not None and mark.attributes.get("val", "true") not in ("0", "false", "off") and text.strip():
            found.problems.append(f"it has text that a reader does not see, and that was left out: {text!r:.200}")
        else:
            made.append(text)
    return "".join(made)


# --- sheets ---


def _date_styles(styles: Node) -> set[int]:
    """Indexes of the formats of cells that show a number as a date."""
    named = {
        int(each.attributes.get("numFmtId", "0")): re.sub(r'"[^"]*"|\[[^\]]*\]|\\.', "", each.attributes.get("formatCode", ""))
        for each in styles.all("numFmts/numFmt")
    }  # fmt: skip
    found = set[int]()
    for index, each in enumerate(styles.all("cellXfs/xf")):
        number = int(each.attributes.get("numFmtId", "0"))
        if number in _DATES or _DATE.search(named.get(number, "")):
            found.add(index)
    return found


def _sheet_rows(sheet: Node, shared: list[str], dates: set[int]) -> Iterator[list[str]]:
    cells = 0
    for row in sheet.all("sheetData/row"):
        made = list[str]()
        for cell in row.all("c"):
            column = _column(cell.attributes.get("r", ""), len(made))
            made += [""] * (min(column, COLUMNS) - len(made))
            made.append(_cell(cell, shared, dates))
        cells += len(made)
        if cells > CELLS:
            return
        if made:
            yield made


def _column(place: str, otherwise: int) -> int:
    letters = re.match(r"[A-Z]{1,3}", place)
    if not letters:
        return otherwise
    number = 0
    for letter in letters[0]:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _cell(cell: Node, shared: list[str], dates: set[int]) -> str:
    kind, value = cell.attributes.get("t", "n"), cell.said("v")
    if kind == "s":
        return shared[int(value)] if value.isdigit() and int(value) < len(shared) else ""
    if kind == "inlineStr":
        return _runs(cell, "t")
    if kind == "b":
        return "TRUE" if value == "1" else "FALSE"
    style = cell.attributes.get("s", "")
    if kind == "n" and style.isdigit() and int(style) in dates:
        return _moment(value)
    return value


def _moment(value: str) -> str:
    """A day as ISO 8601, from the days since 1899-12-30; with the time where there is one."""
    try:
        at = _EPOCH + timedelta(seconds=round(float(value) * 86400))
    except (ValueError, OverflowError):
        return value
    return at.date().isoformat() if (at.hour, at.minute, at.second) == (0, 0, 0) else at.isoformat(sep=" ")


def _open_rows(table: Node) -> Iterator[list[str]]:
    """Rows of OpenDocument, where empty cells and rows are written once with how often they come."""
    cells = 0
    for row in (node for node in table.walk() if node.name == "table-row"):
        made = list[str]()
        for cell in row:
            if cell.name not in ("table-cell", "covered-table-cell"):
                continue
            text = " ".join(each.words() for each in cell.all("p")).strip()
            often = cell.attributes.get("number-columns-repeated", "1")
            made += [text] * (min(int(often), COLUMNS - len(made)) if often.isdigit() and text else 1)
        while made and not made[-1]:
            made.pop()
        cells += len(made)
        if cells > CELLS:
            return
        if made:
            yield made
