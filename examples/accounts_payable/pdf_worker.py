"""The child that opens one PDF and answers with its words: `python -I pdf_worker.py PATH`, one JSON object on
stdout.

It is a script of its own, imports nothing of the application, and takes its limits upon itself before it
touches the file: whatever a hostile document does, it does to this process only. No JavaScript engine and no
form filling is loaded.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import zlib
from typing import Any

MEMORY = 512 * 1024 * 1024
SECONDS = 10
PAGES = 100
CHARACTERS = 300_000
"""More text than the longest honest invoice has; what lies beyond is not read, and said so."""

_SCRIPT = re.compile(rb"/(?:JavaScript|JS)\b")
_ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")
_PACKED = re.compile(rb"/ObjStm[^>]{0,200}>>\s*stream\r?\n")
_REFUSALS = {2: "missing", 3: "damaged", 4: "password", 5: "unsupported encryption", 6: "damaged"}
"""FPDF_GetLastError: file, format, password, security handler, page."""


def limit_self() -> None:
    """Cap memory, time and output of this process, as far as the system can."""
    if hasattr(signal, "alarm"):
        signal.alarm(SECONDS + 5)  # the parent may have been killed: then nobody else ends a hanging child
    try:
        import resource
    except ImportError:  # not on Windows: there the parent's time limit and the page limit remain
        return
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, SECONDS + 2),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def answer(**values: object) -> None:
    """Write the one answer and leave without running anything else."""
    sys.stdout.buffer.write(json.dumps(values, ensure_ascii=True).encode())
    sys.stdout.buffer.flush()
    os._exit(0)


def has_script(content: bytes) -> bool:
    """Whether the file's objects, plain or packed into object streams, name a JavaScript action."""
    if _names_script(content):
        return True
    left = 8_000_000
    for found in _PACKED.finditer(content):
        try:
            text = zlib.decompressobj().decompress(content[found.end() : found.end() + 2_000_000], max(left, 1))
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
    plain = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), content)
    return bool(_SCRIPT.search(plain))


def page_words(raw: Any, page: Any, budget: int) -> tuple[list[list[object]], int]:
    """The words of a page as [text, left, top, right, bottom], in points from the top left; and how many characters."""
    textpage = raw.FPDFText_LoadPage(page)
    height = raw.FPDF_GetPageHeightF(page)
    count = min(raw.FPDFText_CountChars(textpage), budget)
    edges = raw.FS_RECTF()
    words: list[list[object]] = []
    word = ""
    box = [0.0, 0.0, 0.0, 0.0]
    for index in range(count + 1):
        sign = chr(raw.FPDFText_GetUnicode(textpage, index)) if index < count else " "
        boxed = not sign.isspace() and sign.isprintable()
        if boxed:
            raw.FPDFText_GetLooseCharBox(textpage, index, edges)
            here = [edges.left, height - edges.top, edges.right, height - edges.bottom]
            gap = here[0] - box[2]
            if word and (abs(here[3] - box[3]) > 3 or gap > 0.25 * (box[3] - box[1]) or here[0] < box[0] - 1):
                words.append([word, *(round(edge, 1) for edge in box)])
                word = ""
            box = here if not word else [box[0], min(box[1], here[1]), here[2], max(box[3], here[3])]
            word += sign
        elif word:
            words.append([word, *(round(edge, 1) for edge in box)])
            word = ""
    raw.FPDFText_ClosePage(textpage)
    return words, count


def read(path: str) -> None:
    """Open the file, read the words of its pages and answer."""
    import pypdfium2_raw as raw

    with open(path, "rb") as file:
        content = file.read()
    raw.FPDF_InitLibrary()
    document = raw.FPDF_LoadMemDocument64(content, len(content), None)
    if not document:
        answer(error=_REFUSALS.get(raw.FPDF_GetLastError(), "damaged"))
    count = raw.FPDF_GetPageCount(document)
    if count > PAGES:
        answer(error="too many pages", pages=count)
    pages, left = [], CHARACTERS
    for number in range(count):
        page = raw.FPDF_LoadPage(document, number)
        if not page:
            pages.append({"number": number + 1, "damaged": True, "words": []})
            continue
        words, used = page_words(raw, page, left)
        pictures = sum(
            raw.FPDFPageObj_GetType(raw.FPDFPage_GetObject(page, index)) == raw.FPDF_PAGEOBJ_IMAGE
            for index in range(min(raw.FPDFPage_CountObjects(page), 1000))
        )
        size = [raw.FPDF_GetPageWidthF(page), raw.FPDF_GetPageHeightF(page)]
        pages.append({"number": number + 1, "size": size, "words": words, "pictures": pictures})
        raw.FPDF_ClosePage(page)
        left -= used
        if left <= 0:
            break
    files = raw.FPDFDoc_GetAttachmentCount(document)
    answer(pages=pages, count=count, cut=left <= 0, script=has_script(content), files=files)


if __name__ == "__main__":
    limit_self()
    try:
        read(sys.argv[1])
    except MemoryError:
        answer(error="too much memory")
