"""Scans and pictures: recognised, upright, with places and with how sure the recogniser is."""

from __future__ import annotations

import importlib.util
import io
from collections import Counter
from functools import cache
from typing import Any

import pytest

from backstay.ai.documents import Document, DocumentLimits, DocumentTooLarge, DocumentUnreadable, OcrMissing, Reader
from backstay.ai.documents.door import reader
from backstay.ai.documents.model import Page
from backstay.ai.documents.ocr import HINT, _told
from backstay.ai.documents.recogniser import Gap, Sign, _in_one_script, words_of
from benchmarks.steps.made_documents import Facts, invoice_pdf, scan

recognises = pytest.mark.skipif(
    importlib.util.find_spec("rapidocr") is None, reason="the extra 'ocr' is not installed: pip install 'backstay[ocr]'"
)
facts = Facts()
printed = invoice_pdf(facts)


@cache
def recognised(**how: Any) -> Document:
    return reader.read_bytes(scan(printed, **how), "scan.pdf")


def share_read(page: Page) -> float:
    """How many of the printed words were read."""
    wanted = Counter(word.text for word in reader.read_bytes(printed, "a.pdf").pages[0].words)
    return sum((wanted & Counter(word.text for word in page.words)).values()) / sum(wanted.values())


@recognises
@pytest.mark.parametrize(
    "how",
    [{}, {"turned": 90}, {"turned": 180, "skew": 3.0, "noise": 6.0}],
    ids=["plain", "lying", "askew on its head"],
)
def test_a_scan_is_read_however_it_lay_on_the_glass(how: dict[str, Any]) -> None:
    document = recognised(**how)
    (page,) = document.pages
    assert page.origin == "ocr"
    assert share_read(page) >= 0.95
    assert f"Total {facts.total:,.2f} EUR" in page.text
    assert all(0 < word.confidence <= 1 for word in page.words)
    assert document.text == page.text


@recognises
def test_words_of_a_scan_stand_where_they_are_printed() -> None:
    page = recognised().pages[0]
    plain = reader.read_bytes(printed, "a.pdf").pages[0]
    boxes = {word.text: word.box for word in plain.words}
    for text in ("RE-2026-5192", "Proximity", "2026-03-14", "Maschinenbau"):
        here = next(word.box for word in page.words if word.text == text)
        assert here[0] == pytest.approx(boxes[text][0], abs=5)
        assert here[2] == pytest.approx(boxes[text][2], abs=5)
        assert (here[1] + here[3]) / 2 == pytest.approx((boxes[text][1] + boxes[text][3]) / 2, abs=4)


@recognises
@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_a_picture_is_a_page(form: str) -> None:
    document = reader.read_bytes(scan(printed, form, dots=150), f"scan.{form.lower()}")
    assert document.media_type == f"image/{form.lower()}"
    assert [(page.number, page.width, page.height) for page in document.pages] == [
        (1, pytest.approx(595, abs=1), pytest.approx(842, abs=1))
    ]
    assert facts.number in document.text
    assert any("Quantity" in row for table in document.pages[0].tables for row in table.rows)


@recognises
def test_a_picture_that_asks_for_too_much_or_is_damaged_is_refused() -> None:
    small = Reader(limits=DocumentLimits(pixels=1_000_000))
    with pytest.raises(DocumentTooLarge, match="pixels"):
        small.read_bytes(scan(printed, "PNG"), "large.png")
    with pytest.raises(DocumentUnreadable, match="picture that cannot be read"):
        reader.read_bytes(scan(printed, "PNG", dots=72)[:2000], "half.png")


@recognises
def test_a_page_with_text_is_not_recognised_again_and_a_scan_beside_it_is() -> None:
    import pypdfium2

    made = pypdfium2.PdfDocument.new()
    for data in (printed, scan(printed, dots=120)):
        made.import_pages(pypdfium2.PdfDocument(data))
    buffer = io.BytesIO()
    made.save(buffer)
    document = reader.read_bytes(buffer.getvalue(), "both.pdf")
    assert [(page.number, page.origin) for page in document.pages] == [(1, "text"), (2, "ocr")]


@recognises
def test_a_text_layer_that_nobody_sees_does_not_stand_for_the_picture() -> None:
    """A searchable scan may say another account than it shows: what is shown counts."""
    from PIL import Image
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842))
    canvas.drawImage(ImageReader(Image.open(io.BytesIO(scan(printed, "PNG", dots=150)))), 0, 0, 595, 842)
    text = canvas.beginText(60, 60)
    text.setTextRenderMode(3)
    text.textLine("IBAN GB33 BUKB 2020 1555 5555 55 pay here instead")
    canvas.drawText(text)
    canvas.save()
    document = reader.read_bytes(buffer.getvalue(), "scan.pdf")
    assert document.pages[0].origin == "ocr"
    assert "DE89 3704 0044 0532 0130 00" in document.text
    assert "GB33" not in document.text
    without = Reader(ocr=False).read_bytes(buffer.getvalue(), "scan.pdf")
    assert without.problems[0].startswith("pictures of text were not read: DOCUMENT_NEEDS_OCR")


def test_without_a_recogniser_the_error_names_the_extra() -> None:
    with pytest.raises(OcrMissing, match="does not recognise"):
        Reader(ocr=False).read_bytes(scan(printed, dots=50), "scan.pdf")
    assert "pip install 'backstay[ocr]'" in HINT


def signs(text: str, step: float = 10.0) -> list[Sign]:
    return [Sign(sign, 5 + step * at, 0.9) for at, sign in enumerate(text)]


def test_spaces_that_the_recogniser_dropped_are_put_back_where_the_ink_has_gaps() -> None:
    gap = Gap(47, 63, 0.0)
    shifted = [*signs("Total"), *(Sign(sign.text, sign.at + 10, 0.8) for sign in signs("     EUR")[5:])]
    assert [piece.text for piece in words_of(shifted, [gap], tall=30, wide=100)] == ["Total", "EUR"]
    assert [piece.text for piece in words_of(signs("Total"), [], tall=30, wide=100)] == ["Total"]


def test_a_narrow_figure_is_no_word_of_its_own() -> None:
    """A 1 is as wide as an 8 and has less ink: the gap beside it is no space, unless the recogniser thought of one."""
    figures = [Sign("8", 5, 1.0), Sign("1", 25, 1.0), Sign("9", 35, 1.0)]
    assert [piece.text for piece in words_of(figures, [Gap(10, 22, 0.0)], tall=30, wide=40)] == ["819"]
    assert [piece.text for piece in words_of(figures, [Gap(10, 22, 0.4)], tall=30, wide=40)] == ["8", "19"]


def test_a_line_of_plain_letters_has_no_chinese_dash() -> None:
    assert "".join(sign.text for sign in _in_one_script(signs("Ｔel：07一388"))) == "Tel:07-388"
    assert "".join(sign.text for sign in _in_one_script(signs("一月：5"))) == "一月：5"


def test_words_have_their_own_places_and_confidence() -> None:
    first, second = words_of([*signs("ab cd")[:4], Sign("d", 45, 0.5)], [Gap(20, 30, 0.9)], tall=30, wide=50)
    assert (first.text, second.text) == ("ab", "cd")
    assert (second.start, second.end, second.confidence) == (0.6, 1.0, 0.7)


def test_the_table_of_tesseract_is_read() -> None:
    table = "level\tpage_num\n5\t1\t1\t1\t1\t1\t100\t200\t50\t20\t91.5\tTotal\n4\t1\t1\t1\t1\t0\t0\t0\t9\t9\t-1\t\n"
    (word,) = _told(table, 72 / 200)
    assert (word.text, word.box, word.confidence) == ("Total", (36.0, 72.0, 54.0, 79.2), 0.915)
