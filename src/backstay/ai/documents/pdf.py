"""Words with places, tables and embedded files of a PDF, by pdfium. Runs in the child; no script and no form is loaded."""

from __future__ import annotations

import ctypes
import importlib
import re
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from backstay.ai.documents.errors import (
    DocumentEncrypted,
    DocumentTooLarge,
    DocumentUnreadable,
    ReaderMissing,
)
from backstay.ai.documents.found import DocumentLimits, Found, Piece
from backstay.ai.documents.layout import joined, ordered, tables
from backstay.ai.documents.model import Box, Page, Word

OBJECTS: Final = 20_000
"""Things on a page that are looked at for pictures."""
DRAWN: Final = 200
"""Strokes and fills of a page that may be letters drawn as outlines."""
FEW: Final = 10
"""Letters of a text layer that a page without text may have: a page number, the stamp of a scanner."""

_SCRIPT: Final = re.compile(rb"/(?:JavaScript|JS)\b")
_ESCAPE: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
_PACKED: Final = re.compile(rb"/ObjStm[^>]{0,200}>>\s*stream\r?\n")

raw: Any = None


def load() -> None:
    """Load pdfium, if its extra is installed."""
    global raw
    try:
        raw = importlib.import_module("pypdfium2_raw")
    except ImportError:
        return
    raw.FPDF_InitLibrary()


@contextmanager
def opened(data: bytes, limits: DocumentLimits) -> Generator[tuple[Any, int]]:
    """The document and how many pages it has; raises DocumentUnreadable."""
    if raw is None:
        raise ReaderMissing(
            "is a PDF, and the extra 'docs' is not installed: `pip install 'backstay[docs]'`, and start the worker again"
        )
    document = raw.FPDF_LoadMemDocument64(data, len(data), None)
    if not document:
        raise _refusal(raw.FPDF_GetLastError())
    try:
        pages = raw.FPDF_GetPageCount(document)
        if pages < 1:
            raise DocumentUnreadable("has no pages that can be read: ask its sender to send it again")
        if pages > limits.pages:
            raise DocumentTooLarge(f"has {pages:,} pages, and at most {limits.pages:,} are read: split it")
        yield document, pages
    finally:
        raw.FPDF_CloseDocument(document)


def read(data: bytes, limits: DocumentLimits) -> Found:
    """What the file says of itself; pages that are pictures of text are named in `scanned`."""
    found, left = Found(), limits.characters
    with opened(data, limits) as (document, count):
        damaged = list[int]()
        for number in range(1, count + 1):
            page = raw.FPDF_LoadPage(document, number - 1)
            if not page:
                damaged.append(number)
                continue
            try:
                left -= _read_page(page, number, left, found)
            finally:
                raw.FPDF_ClosePage(page)
            if left <= 0:
                found.problems.append(f"only the first {number} of {count} pages were read: it has too much text")
                break
        if damaged:
            found.problems.append(f"damaged and not read: page {', '.join(map(str, damaged[:20]))}")
        if len(damaged) == count:
            raise DocumentUnreadable("has no page that can be read: ask its sender to send it again")
        found.pieces = list(_embedded(document, limits, found))
    if _has_script(data):
        found.problems.append("it brings JavaScript, which was not run")
    found.text = "\n\n".join(page.text for page in found.pages)
    return found


def _refusal(error: int) -> DocumentUnreadable:
    """FPDF_GetLastError: 4 a password, 5 a security handler that it does not know."""
    if error in (4, 5):
        return DocumentEncrypted("is protected by a password: ask its sender for a copy without one")
    return DocumentUnreadable("is damaged or incomplete: ask its sender to send it again")


# --- pages ---


def _read_page(page: Any, number: int, budget: int, found: Found) -> int:
    """Add a page to what was found; gives how many characters it has.

    What counts is what people see: text that lies unseen behind a picture, or that has no letters, is recognised anew.
    """
    size = raw.FPDF_GetPageWidthF(page), raw.FPDF_GetPageHeightF(page)
    layer = _layer(page, budget, size)
    turned, words = _upright(list(_words(layer.letters)), size)
    pictures, seen, unseen = _things(page)
    behind = unseen > 0 and seen == 0
    said = sum(len(word.text) for word in words)
    if (pictures and (said < FEW or behind)) or layer.unknown > max(FEW, said / 2):
        found.scanned.append(number)
    words = ordered(joined(words))
    made = Page(
        number=number, width=round(turned[0], 1), height=round(turned[1], 1), words=words, tables=tables(words),
        origin="text" if words else "none",
    )  # fmt: skip
    found.pages.append(made)
    if layer.outside > 20:
        found.problems.append(f"page {number} has {layer.outside} letters outside of the page, where nobody sees them")
    if unseen and not (behind and pictures):
        found.problems.append(f"page {number} has text that is not drawn, so that nobody sees it")
    return len(layer.letters)


Letter = tuple[str, float, float, float, float, int]
"""Sign, box from the top left, and quarter turns of its writing, clockwise."""


@dataclass
class _Layer:
    """The text of a page as its file has it."""

    letters: list[Letter] = field(default_factory=list[Letter])
    """In the order of the file, a space for each break."""
    outside: int = 0
    """Letters that lie outside of the page."""
    unknown: int = 0
    """Signs of which the file does not say which letters they are."""


def _layer(page: Any, budget: int, size: tuple[float, float]) -> _Layer:
    textpage = raw.FPDFText_LoadPage(page)
    if not textpage:
        return _Layer()
    try:
        return _layer_of(textpage, _matrix(page, size), budget, size)
    finally:
        raw.FPDFText_ClosePage(textpage)


def _layer_of(textpage: Any, matrix: tuple[float, ...], budget: int, size: tuple[float, float]) -> _Layer:
    a, b, c, d, e, f = matrix
    edges = raw.FS_RECTF()
    place = ctypes.byref(edges)
    unicode, loose, angle = raw.FPDFText_GetUnicode, raw.FPDFText_GetLooseCharBox, raw.FPDFText_GetCharAngle
    layer = _Layer()
    made, page_turn = layer.letters, _turn(a, b)
    for index in range(min(raw.FPDFText_CountChars(textpage), budget)):
        code = unicode(textpage, index)
        sign = "-" if code == 2 else chr(code) if code < 0xD800 or 0xE000 <= code <= 0x10FFFF else " "
        if code in (0, 0xFFFD) or 0xE000 <= code <= 0xF8FF:
            layer.unknown += 1
        if sign.isspace() or not sign.isprintable():
            made.append((" ", 0.0, 0.0, 0.0, 0.0, 0))
            continue
        loose(textpage, index, place)
        xs = a * edges.left + c * edges.bottom + e, a * edges.right + c * edges.top + e
        ys = b * edges.left + d * edges.bottom + f, b * edges.right + d * edges.top + f
        box = min(xs), min(ys), max(xs), max(ys)
        if box[2] < 0 or box[3] < 0 or box[0] > size[0] or box[1] > size[1]:
            layer.outside += 1
            continue
        made.append((sign, *box, (round(angle(textpage, index) / 1.5707963) + page_turn) % 4))
    return layer


def _turn(a: float, b: float) -> int:
    """Quarter turns, clockwise on the page, of what runs to the right in the file."""
    return 0 if abs(a) > abs(b) and a > 0 else 2 if abs(a) > abs(b) else 1 if b > 0 else 3


def _matrix(page: Any, size: tuple[float, float]) -> tuple[float, ...]:
    """From places in the file to points from the top left of the page as it is shown: with its rotation and its crop."""
    scale, reach = 100, 1000
    x, y = ctypes.c_double(), ctypes.c_double()
    corners = list[tuple[float, float]]()
    for at in ((0, 0), (reach, 0), (0, reach)):
        raw.FPDF_DeviceToPage(
            page, 0, 0, int(size[0] * scale) or 1, int(size[1] * scale) or 1, 0, at[0] * scale, at[1] * scale,
            ctypes.byref(x), ctypes.byref(y),
        )  # fmt: skip
        corners.append((x.value, y.value))
    (x0, y0), (x1, y1), (x2, y2) = corners
    p, q, r, s = (x1 - x0) / reach, (y1 - y0) / reach, (x2 - x0) / reach, (y2 - y0) / reach
    whole = p * s - q * r or 1.0
    a, b, c, d = s / whole, -q / whole, -r / whole, p / whole
    return a, b, c, d, -(a * x0 + c * y0), -(b * x0 + d * y0)


def _words(letters: list[Letter]) -> Iterator[tuple[str, Box, int]]:
    """Letters that stand close together on one line, whichever way that runs."""
    text, box, turn = "", (0.0, 0.0, 0.0, 0.0), 0
    for sign, x0, y0, x1, y1, way in [*letters, (" ", 0.0, 0.0, 0.0, 0.0, 0)]:
        if sign == " ":
            if text:
                yield text, box, turn
            text = ""
            continue
        here = (x0, y0, x1, y1)
        if text and (way != turn or _apart(box, here, way)):
            yield text, box, turn
            text = ""
        if text:
            box = (min(box[0], x0), min(box[1], y0), max(box[2], x1), max(box[3], y1))
        else:
            box, turn = here, way
        text += sign
    return


def _apart(box: Box, here: Box, way: int) -> bool:
    """Whether a letter does not go on with a word: another line, a gap, or back to the left."""
    first, then = _turned(box, way, (0, 0)), _turned(here, way, (0, 0))
    height = first[3] - first[1]
    gap = then[0] - first[2]
    return abs(then[3] - first[3]) > max(3.0, 0.5 * height) or gap > 0.25 * height or then[0] < first[0] - 1


def _turned(box: Box, way: int, size: tuple[float, float]) -> Box:
    """A box on the page turned back by quarter turns; with a size, from the new top left corner."""
    x0, y0, x1, y1 = box
    width, height = size
    match way:
        case 1:
            return y0, width - x1, y1, width - x0
        case 2:
            return width - x1, height - y1, width - x0, height - y0
        case 3:
            return height - y1, x0, height - y0, x1
        case _:
            return box


def _upright(words: list[tuple[str, Box, int]], size: tuple[float, float]) -> tuple[tuple[float, float], list[Word]]:
    """The page turned so that most of its writing runs to the right, and its words there."""
    letters = [0, 0, 0, 0]
    for text, _, way in words:
        letters[way] += len(text)
    way = letters.index(max(letters)) if words else 0
    made = list[Word]()
    for text, box, _ in words:
        x0, y0, x1, y1 = (round(edge, 1) for edge in _turned(box, way, size))
        made.append(Word(text=text, box=(x0, y0, x1, y1)))
    return (size if way % 2 == 0 else (size[1], size[0])), made


def _things(page: Any) -> tuple[int, int, int]:
    """How many pictures a page has, and how many pieces of text that are drawn and that are not."""
    pictures = seen = unseen = paths = 0
    for index in range(min(raw.FPDFPage_CountObjects(page), OBJECTS)):
        thing = raw.FPDFPage_GetObject(page, index)
        kind = raw.FPDFPageObj_GetType(thing)
        if kind in (raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_FORM):
            pictures += 1
        elif kind == raw.FPDF_PAGEOBJ_PATH:
            paths += 1
        elif kind == raw.FPDF_PAGEOBJ_TEXT:
            hidden = raw.FPDFTextObj_GetTextRenderMode(thing) == raw.FPDF_TEXTRENDERMODE_INVISIBLE
            seen, unseen = seen + (not hidden), unseen + hidden
    return pictures + (paths > DRAWN), seen, unseen


# --- what lies in it ---


def _embedded(document: Any, limits: DocumentLimits, found: Found) -> Iterator[Piece]:
    count = raw.FPDFDoc_GetAttachmentCount(document)
    if count > limits.parts:
        found.problems.append(f"only the first {limits.parts} of {count} embedded files were read")
    left = limits.unpacked
    for index in range(min(count, limits.parts)):
        file = raw.FPDFDoc_GetAttachment(document, index)
        size = ctypes.c_ulong()
        name = _text_of(lambda buffer, length, file=file: raw.FPDFAttachment_GetName(file, buffer, length))
        if not file or not raw.FPDFAttachment_GetFile(file, None, 0, ctypes.byref(size)):
            found.problems.append(f"the embedded file {name!r:.80} cannot be read")
            continue
        left -= size.value
        if left < 0:
            raise DocumentTooLarge("has embedded files that unpack to more than is read: ask its sender what they are")
        buffer = ctypes.create_string_buffer(size.value)
        raw.FPDFAttachment_GetFile(file, buffer, size.value, ctypes.byref(size))
        yield Piece(name or f"embedded {index + 1}", buffer.raw[: size.value])


def _text_of(ask: Any) -> str:
    """UTF-16 text from a function of pdfium that says how long it is."""
    length = min(ask(None, 0), 2000)
    buffer = (ctypes.c_ushort * (length // 2 + 1))()
    ask(buffer, length)
    return bytes(buffer)[:length].decode("utf-16-le", "replace").rstrip("\0")


def _has_script(content: bytes) -> bool:
    """Whether the file's objects, plain or packed into object streams, name a JavaScript action."""
    if _names_script(content):
        return True
    left = 8_000_000
    for packed in _PACKED.finditer(content):
        try:
            text = zlib.decompressobj().decompress(content[packed.end() : packed.end() + 2_000_000], max(left, 1))
        except zlib.error:
            continue
        if _names_script(text):
            return True
        left -= len(text)
        if left <= 0:
            return False
    return False


def _names_script(content: bytes) -> bool:
    """Names may be written with escapes: /J#53 is /JS."""
    if _SCRIPT.search(content):
        return True
    return b"#" in content and bool(_SCRIPT.search(_ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), content)))
