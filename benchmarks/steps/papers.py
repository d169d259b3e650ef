"""Papers that never were: what receipts and invoices say, and how that is set on a page, printed, photographed and read.

Used to fit the extractor and to measure it; the layouts and the senders of the two are apart. None of it is a public set.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from backstay.ai.documents.model import Document, Page, Word

CENT: Final = Decimal("0.01")


@dataclass
class Set:
    """A text on a page; x is its left edge, or its right one, or its middle."""

    x: float
    y: float
    text: str
    size: float = 9
    align: str = "left"
    bold: bool = False


@dataclass
class Paper:
    """A document with what it truly says."""

    width: float
    height: float
    texts: list[Set]
    truth: dict[str, Any]
    mono: bool = False
    name: str = "paper"


@dataclass
class Good:
    name: str
    quantity: int
    price: Decimal

    @property
    def amount(self) -> Decimal:
        return self.price * self.quantity


@dataclass
class Facts:
    """What a receipt or an invoice says."""

    vendor: str
    street: str
    town: str
    phone: str
    vat: str
    iban: str
    number: str
    issued: date
    goods: list[Good]
    rate: Decimal
    currency: str
    figures: str
    dates: str
    language: str = "en"
    extra: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def net(self) -> Decimal:
        return sum((good.amount for good in self.goods), Decimal(0))

    @property
    def tax(self) -> Decimal:
        return (self.net * self.rate).quantize(CENT, ROUND_HALF_UP)

    @property
    def total(self) -> Decimal:
        return self.net + self.tax


# --- writing figures ------------------------------------------------------------------------------------

FIGURES: Final = ("comma-point", "point-comma", "space-comma", "plain-point", "plain-comma")
_MONTHS: Final = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
}


def figure(value: Decimal, style: str) -> str:
    """An amount as it is written somewhere."""
    grouped = f"{value:,.2f}"
    match style:
        case "comma-point":
            return grouped
        case "point-comma":
            return grouped.translate(str.maketrans(",.", ".,"))
        case "space-comma":
            return grouped.replace(",", " ").replace(".", ",")
        case "plain-comma":
            return f"{value:.2f}".replace(".", ",")
        case _:
            return f"{value:.2f}"


DATES: Final = ("dmy/", "dmy-", "dmy.", "iso", "d mon y", "d month y", "mon d, y", "dmy/2", "dmy-2", "d-mon-y")


def day(value: date, style: str, language: str = "en") -> str:
    """A date as it is written somewhere."""
    month = _MONTHS.get(language, _MONTHS["en"]).split()[value.month - 1]
    match style:
        case "iso":
            return value.isoformat()
        case "d mon y":
            return f"{value.day:02} {month[:3].upper()} {value.year}"
        case "d-mon-y":
            return f"{value.day:02}-{month[:3].capitalize()}-{value.year}"
        case "d month y":
            return f"{value.day} {month} {value.year}"
        case "mon d, y":
            return f"{month[:3].capitalize()} {value.day}, {value.year}"
        case "mdy/":
            return f"{value.month:02}/{value.day:02}/{value.year}"
        case _:
            year = f"{value.year % 100:02}" if style.endswith("2") else f"{value.year}"
            return style[3].join((f"{value.day:02}", f"{value.month:02}", year))


def pattern(form: str, dice: random.Random, year: int) -> str:
    """A number by a pattern: # is a digit, A a letter, Y the year."""
    return "".join(
        str(dice.randint(0, 9)) if sign == "#" else dice.choice("ABCDEFGHKLMNPRST") if sign == "A" else str(year) if sign == "Y" else sign
        for sign in form
    )  # fmt: skip


def iban(dice: random.Random) -> str:
    """A German account that is nobody's, with right check digits."""
    account = "".join(str(dice.randint(0, 9)) for _ in range(18))
    return f"DE{98 - int(account + '131400') % 97:02}{account}"


def spaced(account: str) -> str:
    return " ".join(account[at : at + 4] for at in range(0, len(account), 4))


def any_day(dice: random.Random) -> date:
    return date(2015, 1, 1) + timedelta(days=dice.randint(0, 4200))


def goods(dice: random.Random, names: Sequence[str], most: int, dear: int) -> list[Good]:
    """Some goods, with prices up to `dear`."""
    picked = [dice.choice(names) for _ in range(dice.randint(1, most))]
    return [
        Good(name, dice.choice([1, 1, 1, 2, 3, 5, 10]), Decimal(dice.randint(50, dear * 100)) / 100) for name in picked
    ]


# --- a page as words, as a PDF, as a picture ------------------------------------------------------------


def width_of(text: str, size: float, mono: bool) -> float:
    """How wide a text is set, near enough."""
    if mono:
        return 0.6 * size * len(text)
    wide = {
        "i": 0.25,
        "l": 0.25,
        "j": 0.25,
        ".": 0.28,
        ",": 0.28,
        ":": 0.28,
        " ": 0.28,
        "t": 0.3,
        "f": 0.3,
        "m": 0.83,
        "w": 0.72,
        "M": 0.83,
        "W": 0.94,
    }
    return size * sum(wide.get(sign, 0.67 if sign.isupper() else 0.555) for sign in text)


def left_of(text: Set, mono: bool) -> float:
    wide = width_of(text.text, text.size, mono)
    return text.x - {"left": 0.0, "right": wide, "middle": wide / 2}[text.align]


def as_document(paper: Paper, dice: random.Random | None = None) -> Document:
    """The paper as a reader gives it: words with boxes. With dice, as one that recognises pictures does, with its mistakes."""
    words: list[Word] = []
    for text in paper.texts:
        x, gap = left_of(text, paper.mono), width_of(" ", text.size, paper.mono)
        parts: list[str] = []
        for part in text.text.split():
            if parts and dice is not None and dice.random() < 0.04:
                parts[-1] += part
            else:
                parts.append(part)
        for part in parts:
            wide = width_of(part, text.size, paper.mono)
            jitter = dice.uniform(-0.6, 0.6) if dice is not None else 0.0
            read = "".join(_misread(sign, dice) for sign in part) if dice is not None else part
            sure = 1.0 if dice is None else dice.uniform(0.86, 1.0) if read == part else dice.uniform(0.6, 0.97)
            words.append(
                Word(text=read, box=(x, text.y + jitter, x + wide, text.y + text.size * 1.05 + jitter), confidence=sure)
            )
            x += wide + gap
    page = Page(
        number=1, width=paper.width, height=paper.height, words=words, origin="ocr" if dice is not None else "text"
    )
    return Document(
        name=paper.name,
        media_type="application/pdf",
        digest="0" * 64,
        size=1,
        pages=[page],
        text="\n".join(text.text for text in paper.texts),
    )


_CONFUSED: Final = {
    "0": "O",
    "O": "0",
    "1": "l",
    "l": "1",
    "5": "S",
    "S": "5",
    "B": "8",
    "8": "B",
    "I": "l",
    "e": "c",
    "a": "o",
    "n": "m",
}


def _misread(sign: str, dice: random.Random) -> str:
    chance = dice.random()
    if chance < 0.0015:
        return _CONFUSED.get(sign, sign)
    return "" if chance < 0.004 and sign in ".,:-'" else sign


FONTS: Final = (
    "LiberationSans-Regular", "LiberationSerif-Regular", "LiberationMono-Regular", "DejaVuSans", "DejaVuSerif", "DejaVuSansMono",
    "LiberationSansNarrow-Regular", "DejaVuSansCondensed",
)  # fmt: skip
"""Fonts that many systems have; those that are missing are passed over."""


def as_picture(paper: Paper, dice: random.Random, *, scale: float = 2.0, font: str = "", noise: float = 1.0) -> bytes:
    """The paper as a scanner or a camera sees it: fonts, skew, uneven light, blur and compression, as PNG or JPEG."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFilter, ImageFont

    fonts = [each for each in FONTS if ("Mono" in each) == paper.mono and _has(each)]
    name = font or (dice.choice(fonts) if fonts else "")
    image = Image.new("L", (round(paper.width * scale), round(paper.height * scale)), 255)
    draw = ImageDraw.Draw(image)
    ink = dice.randint(0, 70)
    for text in paper.texts:
        face: Any = (
            ImageFont.truetype(f"{name}.ttf", round(text.size * scale))
            if name
            else ImageFont.load_default(text.size * scale)
        )
        anchor = {"left": "lt", "right": "rt", "middle": "mt"}[text.align]
        draw.text(
            (text.x * scale, text.y * scale),
            text.text,
            ink,
            font=face,
            anchor=anchor,
            stroke_width=1 if text.bold else 0,
        )
    image = image.rotate(dice.uniform(-1.2, 1.2) * noise, resample=Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    pixels = np.asarray(image, np.float32)
    down, across = np.mgrid[0 : pixels.shape[0], 0 : pixels.shape[1]]
    light = dice.uniform(0, 45) * noise * (across / pixels.shape[1] + down / pixels.shape[0]) / 2
    generator = np.random.default_rng(dice.randint(0, 2**32))
    pixels = pixels - light + generator.normal(0, dice.uniform(2, 12) * noise, pixels.shape)
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(dice.uniform(0, 0.9) * noise))
    out = io.BytesIO()
    if dice.random() < 0.5:
        image.save(out, "JPEG", quality=dice.randint(45, 90), dpi=(72 * scale, 72 * scale))
    else:
        image.save(out, "PNG", dpi=(72 * scale, 72 * scale))
    return out.getvalue()


def _has(font: str) -> bool:
    from PIL import ImageFont

    try:
        ImageFont.truetype(f"{font}.ttf", 10)
    except OSError:
        return False
    return True


def as_pdf(papers: Iterable[Paper]) -> bytes:
    """Papers as pages of a PDF with text."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.pdfgen.canvas import Canvas

    face = "Helvetica"
    if _has("DejaVuSans"):  # for letters beyond western Europe
        from PIL import ImageFont

        pdfmetrics.registerFont(TTFont("Wide", ImageFont.truetype("DejaVuSansCondensed.ttf", 10).path))
        face = "Wide"
    out = io.BytesIO()
    canvas = Canvas(out, invariant=1)
    for paper in papers:
        canvas.setPageSize((paper.width, paper.height))
        for text in paper.texts:
            canvas.setFont("Courier" if paper.mono else face, text.size)
            draw = {"left": canvas.drawString, "right": canvas.drawRightString, "middle": canvas.drawCentredString}[
                text.align
            ]
            draw(text.x, paper.height - text.y - text.size * 0.8, text.text)
        canvas.showPage()
    canvas.save()
    return out.getvalue()
