"""Recognises the text of scanned pages and pictures. Runs in a child of its own, with more memory than a parser has."""

from __future__ import annotations

import ctypes
import io
import math
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

from backstay.ai.documents import kinds, pdf, recogniser
from backstay.ai.documents.errors import DocumentTooLarge, DocumentUnreadable, ReaderMissing
from backstay.ai.documents.found import DocumentLimits, Found
from backstay.ai.documents.layout import joined, ordered, tables
from backstay.ai.documents.model import Page, Word

DOTS: Final = 200
"""An inch, in which pages are drawn; a picture that does not say how large it is has as many."""
LEAST: Final = 0.3
"""Below this confidence a word is a stain."""
FORMATS: Final = ("PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP")
HINT: Final = (
    "is a picture of text, and nothing here recognises it: install the extra 'ocr' "
    "(`pip install 'backstay[ocr]'`), or tesseract, and start the worker again"
)

Picture: TypeAlias = Any
"""An array of rows, columns and three colours."""

_models: recogniser.Recogniser | None = None
_images: Any = None
_engine = ""


def engine() -> Literal["rapidocr", "tesseract", ""]:
    """What recognises text here: the extra, else `tesseract` where it is on the path, else nothing."""
    if recogniser.models() is not None:
        return "rapidocr"
    return "tesseract" if shutil.which("tesseract") else ""


def load() -> bool:
    """Load what recognises, as nothing can be opened any more afterwards; says whether that starts programs."""
    global _models, _images, _engine
    pdf.load()
    _engine = engine()
    if (folder := recogniser.models()) is not None:
        _models = recogniser.Recogniser(folder)
    try:
        import PIL.Image
    except ImportError:
        pass
    else:
        PIL.Image.init()
        _images = PIL.Image
    return _engine == "tesseract"


def read(data: bytes, asked: dict[str, Any], limits: DocumentLimits) -> Found:
    """The pages of a picture, or those of a PDF that are asked for; raises DocumentUnreadable."""
    if not _engine:
        raise ReaderMissing(HINT)
    found = Found()
    if asked["media_type"] == kinds.PDF:
        pictures = _drawn(data, list(asked["pages"]), limits)
    else:
        pictures = _frames(data, found, limits)
    for number, picture, dots in pictures:
        words, size = _recognised(picture, dots)
        words = ordered(joined(word for word in words if word.confidence >= LEAST))
        found.pages.append(
            Page(
                number=number, width=round(size[0], 1), height=round(size[1], 1), words=words, tables=tables(words),
                origin="ocr" if words else "none",
            )
        )  # fmt: skip
    return found


def _recognised(picture: Picture, dots: float) -> tuple[list[Word], tuple[float, float]]:
    """The words of a picture, upright, and its size then; in points."""
    if _models is None:
        return _by_tesseract(picture, dots)
    picture, spots = _models.upright(picture)
    scale = 72 / dots
    words = list[Word]()
    for spot, pieces in zip(spots, _models.read([_models.cut(picture, spot) for spot in spots]), strict=True):
        half = spot.height * 0.36  # lines are found with a margin around the writing
        left, top, bottom = spot.x - spot.width / 2, spot.y - half, spot.y + half
        for piece in pieces:
            edges = (left + piece.start * spot.width, top, left + piece.end * spot.width, bottom)
            x0, y0, x1, y1 = (round(edge * scale, 1) for edge in edges)
            words.append(Word(text=piece.text, box=(x0, y0, x1, y1), confidence=piece.confidence))
    high, wide = picture.shape[:2]
    return words, (wide * scale, high * scale)


# --- pictures ---


def _drawn(data: bytes, numbers: list[int], limits: DocumentLimits) -> Iterator[tuple[int, Picture, float]]:
    """Pages of a PDF as a printer would draw them, with their dots an inch."""
    with pdf.opened(data, limits) as (document, _):
        for number in numbers:
            page = pdf.raw.FPDF_LoadPage(document, number - 1)
            if not page:
                continue
            try:
                yield number, *_draw(page, limits)
            finally:
                pdf.raw.FPDF_ClosePage(page)


def _draw(page: Any, limits: DocumentLimits) -> tuple[Picture, float]:
    import numpy as np

    raw = pdf.raw
    width, height = raw.FPDF_GetPageWidthF(page), raw.FPDF_GetPageHeightF(page)
    dots = min(DOTS, 72 * math.sqrt(limits.pixels / max(width * height, 1)), 72 * 4000 / max(width, height, 1))
    wide, high = max(1, int(width * dots / 72)), max(1, int(height * dots / 72))
    bitmap = raw.FPDFBitmap_CreateEx(wide, high, raw.FPDFBitmap_BGR, None, 0)
    if not bitmap:
        raise MemoryError
    try:
        raw.FPDFBitmap_FillRect(bitmap, 0, 0, wide, high, 0xFFFFFFFF)
        raw.FPDF_RenderPageBitmap(bitmap, page, 0, 0, wide, high, 0, raw.FPDF_ANNOT | raw.FPDF_REVERSE_BYTE_ORDER)
        stride = raw.FPDFBitmap_GetStride(bitmap)
        buffer = ctypes.string_at(raw.FPDFBitmap_GetBuffer(bitmap), stride * high)
    finally:
        raw.FPDFBitmap_Destroy(bitmap)
    lines = np.frombuffer(buffer, np.uint8).reshape(high, stride)
    return np.ascontiguousarray(lines[:, : wide * 3].reshape(high, wide, 3)), dots


def _frames(data: bytes, found: Found, limits: DocumentLimits) -> Iterator[tuple[int, Picture, float]]:
    """The frames of a picture file, turned as its camera says."""
    if _images is None:
        raise ReaderMissing(
            "is a picture, and Pillow is not installed: install the extra 'ocr' and start the worker again"
        )
    import numpy as np

    _images.MAX_IMAGE_PIXELS = limits.pixels
    try:
        image = _images.open(io.BytesIO(data), formats=FORMATS)
        frames = getattr(image, "n_frames", 1)
    except _images.DecompressionBombError:
        raise DocumentTooLarge(f"has more pixels than are read: at most {limits.pixels:,}") from None
    except (OSError, ValueError, SyntaxError, TypeError) as error:
        raise DocumentUnreadable(f"is a picture that cannot be read ({type(error).__name__})") from None
    if frames > limits.ocr_pages:
        found.problems.append(f"only the first {limits.ocr_pages} of {frames} pictures were read")
    for number in range(min(frames, limits.ocr_pages)):
        try:
            image.seek(number)
            if image.width * image.height > limits.pixels:
                raise DocumentTooLarge(
                    f"has {image.width * image.height:,} pixels, and at most {limits.pixels:,} are read"
                )
            dots = _dots(image)
            upright = _upright(image)
            yield number + 1, np.asarray(upright), dots
        except (OSError, ValueError, SyntaxError, TypeError, EOFError, ZeroDivisionError) as error:
            raise DocumentUnreadable(f"is a picture that cannot be read ({type(error).__name__})") from None


def _upright(image: Any) -> Any:
    """A frame on white, as its camera was held."""
    turns = {3: 180, 6: 270, 8: 90}
    turn = turns.get(image.getexif().get(0x0112, 1), 0)
    if "A" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        white = _images.new("RGBA", image.size, "white")
        image = _images.alpha_composite(white, image)
    image = image.convert("RGB")
    return image.rotate(turn, expand=True) if turn else image


def _dots(image: Any) -> float:
    """Dots an inch as the file says, if that gives a page that somebody may hold in their hands."""
    try:
        said = float(image.info.get("dpi", (0, 0))[0])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        said = 0.0
    return said if 90 <= said <= 1200 else float(DOTS)


# --- tesseract ---


def _by_tesseract(picture: Picture, dots: float) -> tuple[list[Word], tuple[float, float]]:
    """What the program tesseract reads in a picture."""
    high, wide = picture.shape[:2]
    drawn = b"P6\n%d %d\n255\n" % (wide, high) + picture.tobytes()
    command = ["tesseract", "stdin", "stdout", "--dpi", str(round(dots)), *_languages(), "tsv"]
    told = subprocess.run(command, input=drawn, capture_output=True, check=False)
    if told.returncode != 0:
        raise DocumentUnreadable(f"cannot be recognised: tesseract ended with {told.returncode}")
    return list(_told(told.stdout.decode("utf-8", "replace"), 72 / dots)), (wide * 72 / dots, high * 72 / dots)


def _languages() -> list[str]:
    told = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, check=False).stdout
    known = [line.strip() for line in told.splitlines()[1:] if line.strip().isalpha() and line.strip() != "osd"]
    return ["-l", "+".join(known)] if known else []


def _told(text: str, scale: float) -> Iterator[Word]:
    """Words from a table of tesseract: level, four numbers of where, left, top, width, height, confidence, text."""
    for line in text.splitlines()[1:]:
        cells = line.split("\t")
        if len(cells) < 12 or cells[0] != "5" or not cells[11].strip():
            continue
        left, top, width, height = (float(cell) for cell in cells[6:10])
        x0, y0, x1, y1 = (round(edge * scale, 1) for edge in (left, top, left + width, top + height))
        yield Word(text=cells[11].strip(), box=(x0, y0, x1, y1), confidence=round(max(0.0, float(cells[10]) / 100), 4))
