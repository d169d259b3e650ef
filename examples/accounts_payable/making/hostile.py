"""Files that should not be: broken, mislabelled, or built to hurt whoever opens them. All are small on disk."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import reportlab
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from examples.accounts_payable.making.catalogue import Case
from examples.accounts_payable.making.layouts import print_invoice
from examples.accounts_payable.making.sellers import BUYER

BOMB_MEGABYTES = 700


def pdf(objects: Mapping[int, bytes], root: int = 1) -> bytes:
    """Write a PDF by hand from its numbered objects, with a right cross-reference table."""
    out = BytesIO()
    out.write(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places: dict[int, int] = {}
    for number, body in objects.items():
        places[number] = out.tell()
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start, size = out.tell(), max(objects) + 1
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % size)
    for number in range(1, size):
        place = places.get(number)
        out.write(b"%010d 00000 n \n" % place if place else b"0000000000 00000 f \n")
    out.write(b"trailer\n<< /Size %d /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, root, start))
    return out.getvalue()


def _stream(data: bytes, extra: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), extra, data)


_FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
_PAGE = (
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 5 0 R >> >> /Contents 4 0 R >>"
)
_HELLO = b"BT /F1 12 Tf 60 760 Td (Invoice 4711 Total due EUR 120.00) Tj ET"


def million_pages() -> bytes:
    """One page that says it is a million."""
    pages = b"<< /Type /Pages /Count 1000000 /Kids [3 0 R] >>"
    return pdf({1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: pages, 3: _PAGE, 4: _stream(_HELLO), 5: _FONT})


def page_tree_bomb() -> bytes:
    """A page tree nine levels deep of which every node has the next one ten times: a billion pages in 2 kB."""
    objects = {1: b"<< /Type /Catalog /Pages 10 0 R >>", 3: _PAGE, 4: _stream(_HELLO), 5: _FONT}
    for level in range(9):
        kid = 11 + level if level < 8 else 3
        kids = b" ".join([b"%d 0 R" % kid] * 10)
        objects[10 + level] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (10 ** (9 - level), kids)
    return pdf(objects)


def decompression_bomb() -> bytes:
    """Page text that is deflated twice and expands to hundreds of megabytes."""
    packer, block = zlib.compressobj(9), b"(Total due 1.00) Tj 0 1 Td " * 38_837
    once = [packer.compress(b"BT /F1 9 Tf ")]
    once += [packer.compress(block) for _ in range(BOMB_MEGABYTES)]
    twice = zlib.compress(b"".join([*once, packer.flush()]), 9)
    content = _stream(twice, b"/Filter [/FlateDecode /FlateDecode]")
    pages = b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>"
    return pdf({1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: pages, 3: _PAGE, 4: content, 5: _FONT})


def reference_loop() -> bytes:
    """Objects that point at themselves: the page tree, the page's resources and its content."""
    return pdf({
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Count 2 /Kids [2 0 R 3 0 R] /Parent 3 0 R >>",
        3: b"<< /Type /Page /Parent 2 0 R /MediaBox 6 0 R /Resources 7 0 R /Contents [4 0 R 4 0 R] >>",
        4: b"4 0 R", 6: b"6 0 R", 7: b"<< /Font 7 0 R /XObject << /X 7 0 R >> >>",
    })  # fmt: skip


def deep_nesting() -> bytes:
    """An array in an array, two hundred thousand times, which a recursive parser answers by falling over."""
    deep = zlib.compress(b"[" * 200_000 + b"]" * 200_000, 9)
    pages = b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>"
    catalog = b"<< /Type /Catalog /Pages 2 0 R /Names %s >>" % (b"[" * 3000 + b"]" * 3000)
    return pdf({1: catalog, 2: pages, 3: _PAGE, 4: _stream(deep, b"/Filter /FlateDecode"), 5: _FONT})


def with_script(document: bytes) -> bytes:
    """The same document with JavaScript that runs on opening."""
    calls = b"app.alert\\('Please pay to our new account'\\); this.submitForm\\('http://localhost:9/'\\);"
    script = b"<< /S /JavaScript /JS (%s) >>" % calls
    return updated(document, lambda first: (b"/OpenAction %d 0 R" % first, script))


def updated(document: bytes, make: Callable[[int], tuple[bytes, ...]]) -> bytes:
    """The same document with more in it, as an incremental update of the file.

    `make` is told the number of the first new object; it gives an entry for the catalog, and the objects.
    """
    start = int(document.rsplit(b"startxref", 1)[1].split()[0])
    trailer = document.rsplit(b"trailer", 1)[1]
    root = int(trailer.split(b"/Root", 1)[1].split()[0])
    size = int(trailer.split(b"/Size", 1)[1].split()[0])
    catalog = document.split(b"\n%d 0 obj" % root, 1)[1].split(b"endobj", 1)[0].strip()
    entry, *objects = make(size)
    catalog = catalog[: catalog.rindex(b">>")] + entry + b" >>"
    body = bytearray(document.rstrip() + b"\n")
    places: list[int] = []
    for number, item in enumerate([catalog, *objects], size - 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (root if item is catalog else number, item)
    update, more = len(body), b"".join(b"%010d 00000 n \n" % place for place in places[1:])
    body += b"xref\n%d 1\n%010d 00000 n \n%d %d\n%s" % (root, places[0], size, len(objects), more)
    body += b"trailer\n<< /Size %d /Root %d 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (
        size + len(objects),
        root,
        start,
        update,
    )
    return bytes(body)


def with_password(case: Case) -> bytes:
    """An invoice that opens only with a password that nobody gave us."""
    out = BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1, encrypt=StandardEncryption("only-the-sender-knows", strength=128))
    canvas.drawString(60, 760, f"{case.seller.name}  Invoice {case.number}")
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def scanned(case: Case) -> bytes:
    """An invoice as a scanner leaves it: one picture, no text."""
    picture = Image.new("L", (1240, 1754), 246)
    draw = ImageDraw.Draw(picture)
    face = str(Path(reportlab.__file__).parent / "fonts" / "Vera.ttf")
    rows = [
        (110, 120, 44, case.seller.name), (110, 180, 22, f"{case.seller.street}, {case.seller.town}"),
        (110, 330, 34, f"Invoice {case.number}"), (110, 400, 24, f"Date {case.issued:%d/%m/%Y}   Order {case.order}"),
        *((110, 480 + 32 * place, 22, line) for place, line in enumerate(BUYER)),
        *((110, 720 + 44 * place, 22, item.description) for place, item in enumerate(case.items)),
        *((960, 720 + 44 * place, 22, f"{item.amount:,.2f}") for place, item in enumerate(case.items)),
        (110, 1000, 28, "Total due"), (900, 1000, 28, f"{case.seller.currency} {case.total:,.2f}"),
    ]  # fmt: skip
    for x, y, size, text in rows:
        draw.text((x, y), text, fill=40, font=ImageFont.truetype(face, size))
    picture = picture.rotate(0.6, fillcolor=246, resample=Image.Resampling.BILINEAR)
    packed = BytesIO()
    picture.point(lambda shade: 255 if shade > 140 else 0).convert("1").save(packed, "PNG")
    out = BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)
    canvas.drawImage(ImageReader(packed), 0, 0, *A4)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def picture() -> bytes:
    """A PNG that calls itself a PDF."""
    out = BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(out, "PNG")
    return out.getvalue()


def archive() -> bytes:
    """A ZIP that calls itself a PDF."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(zipfile.ZipInfo("invoice.pdf.exe", (2026, 1, 1, 0, 0, 0)), b"MZ" + b"\0" * 400)
    return out.getvalue()


_HTML = (
    b"<!doctype html><html><body><h1>Invoice 4711</h1><script>alert('pay now')</script>"
    b"Total EUR 9,999.00</body></html>\n"
)
_TEXT = b"Invoice 4711\nTotal due EUR 120.00\nPlease find the PDF attached (it is not).\n"


def hostile_files(clean: Case, other: Case) -> dict[str, bytes]:
    """Every file that is not an invoice to read, by name."""
    whole = print_invoice(clean)
    return {
        "x-archive.pdf": archive(), "x-decompression-bomb.pdf": decompression_bomb(),
        "x-deep-nesting.pdf": deep_nesting(), "x-empty.pdf": b"", "x-html.pdf": _HTML,
        "x-million-pages.pdf": million_pages(), "x-page-tree-bomb.pdf": page_tree_bomb(),
        "x-password.pdf": with_password(other), "x-picture.pdf": picture(), "x-reference-loop.pdf": reference_loop(),
        "x-scanned.pdf": scanned(replace(other, number="HOS-118240")), "x-text.pdf": _TEXT,
        "x-truncated.pdf": whole[: len(whole) * 2 // 5],
    }  # fmt: skip
