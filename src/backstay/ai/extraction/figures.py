"""Reads amounts, dates, currencies and numbers with check digits from text, whoever wrote them. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final, Generic, TypeVar

T = TypeVar("T")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Figure(Generic[T]):
    """A value that was found in a text."""

    value: T
    span: Span
    """Its first character and the one after its last."""
    sure: float = 1.0
    """How sure its form alone is."""
    note: str = ""
    """What else its form says: the currency of an amount, the order of a date."""


@lru_cache(maxsize=65536)
def plain(text: str) -> str:
    """Lower case without accents and outer punctuation: how labels are compared."""
    folded = unicodedata.normalize("NFKD", text.replace("°", "o").replace("ß", "ss").replace("ł", "l"))
    bare = "".join(sign for sign in folded if not unicodedata.combining(sign)).casefold().replace("’", "'")
    return bare.strip(".:,;()*…")


def key(text: str) -> str:
    """What remains of a number or name when case, accents, spaces and punctuation are taken away."""
    return "".join(sign for sign in plain(text) if sign.isalnum())


# --- amounts and currencies -----------------------------------------------------------------------------

SYMBOLS: Final = {
    "€": "EUR", "£": "GBP", "¥": "JPY", "US$": "USD", "C$": "CAD", "CA$": "CAD", "A$": "AUD", "AU$": "AUD", "S$": "SGD",
    "HK$": "HKD", "NZ$": "NZD", "R$": "BRL", "$": "USD", "zł": "PLN", "ZŁ": "PLN", "SFr.": "CHF", "SFr": "CHF", "Fr.": "CHF",
    "kr": "SEK", "kr.": "SEK", "Kč": "CZK", "Ft": "HUF", "RM": "MYR", "Rp": "IDR", "Rp.": "IDR", "Rs": "INR", "Rs.": "INR",
    "₹": "INR", "₩": "KRW", "₫": "VND", "₱": "PHP", "฿": "THB", "₺": "TRY", "₽": "RUB", "₴": "UAH", "lei": "RON", "EURO": "EUR",
    "Euro": "EUR",
}  # fmt: skip
CODES: Final = frozenset(
    "EUR USD GBP CHF JPY SEK NOK DKK PLN CZK HUF CAD AUD NZD SGD HKD MYR IDR INR CNY KRW THB PHP VND TRY RON BGN BRL MXN "
    "ZAR AED SAR ILS RUB UAH".split()
)
_SIGNS: Final = "|".join(re.escape(sign) for sign in sorted({*SYMBOLS, *CODES}, key=len, reverse=True))
_CURRENCY: Final = re.compile(rf"(?<![A-Za-z])(?:{_SIGNS})(?![a-z])")
_GROUPED: Final = r"\d{1,3}(?:[.,'’ \u00a0\u202f]\d{3})+(?:\s?[.,]\s?\d{1,2})?(?!\d)"
_BODY: Final = rf"{_GROUPED}|\d{{1,12}}(?:\s?[.,]\s?\d{{1,4}})?(?!\d)"
_AMOUNT: Final = re.compile(
    rf"(?<![\w.,/#:@-])(?P<minus>[-−–(]\s?)?(?P<before>(?:{_SIGNS})\s?:?\s?)?(?P<minus2>[-−–]\s?)?"
    rf"(?P<body>{_BODY})(?P<after>\s?(?:{_SIGNS})(?![A-Za-z]))?(?P<end>-(?!\w)|\))?(?![\w/:%@#]|[.,-]\d|\s?%)"
)
_DECIMAL: Final = re.compile(r"\d([.,])\d{2}\)?[-*A-Z]?$")
_DIGITS: Final = str.maketrans("OoQlI|!S", "00011115")
_BENT_AMOUNT: Final = re.compile(
    r"^([^\w(-]*(?:RM|US|[A-Z])?\$?€?£?[-(]?)([\dOoQlI|!S]{1,7}(?:[.,][\dOoQlI|!S]{3})*[.,][\dOoQlI|!S]{2})(\)?[-*]?)$"
)
_BENT_DATE: Final = re.compile(r"^()([\dOoQlI|!S]{1,4}([/.-])[\dOoQlI|!S]{1,2}\3[\dOoQlI|!S]{2,4})()$")


def mended(word: str) -> str:
    """A word that was recognised as an amount or a date with letters in it, as the figure: `1O.5O` is 10.50."""
    found = _BENT_AMOUNT.match(word) or _BENT_DATE.match(word)
    if found is None or sum(sign.isdigit() for sign in found[2]) * 2 < sum(sign.isalnum() for sign in found[2]):
        return word
    return found[1] + found[2].translate(_DIGITS) + word[found.end(2) :]


def decimal_mark(words: Iterable[str]) -> str:
    """Which sign this document writes before cents; empty when it writes none (yen)."""
    votes = Counter(found[1] for word in words if (found := _DECIMAL.search(word)))
    return max(votes, key=lambda mark: votes[mark]) if votes else ""


def amounts(text: str, mark: str) -> Iterator[Figure[Decimal]]:
    """Every amount in a text; the note is its currency, if it names one."""
    for found in _AMOUNT.finditer(text):
        if " " in found["body"].strip() and not re.search(r"\d{3}\s?[.,]|[.,]\s?\d{2}$|\d \d{3}$", found["body"]):
            continue
        value = _value(found["body"], mark)
        negative = found["minus"] or found["minus2"] or (found["end"] == "-")
        cents = bool(re.search(r"[.,]\s?\d{2}$", found["body"]))
        sign = (found["before"] or found["after"] or "").strip(" :")
        sure = 1.0 if cents and (not mark or mark in found["body"]) else 0.6 if sign else 0.3
        yield Figure(-value if negative else value, found.span(), sure, SYMBOLS.get(sign, sign))


def amount(text: str, mark: str) -> Decimal | None:
    """The amount that this whole text is, with or without a currency; None when it is something else."""
    found = next(amounts(text.strip(), mark), None)
    return found.value if found and found.span == (0, len(text.strip())) else None


def _value(body: str, mark: str) -> Decimal:
    body = re.sub(r"['’\s]", "", body)
    last = max(body.rfind("."), body.rfind(","))
    if last < 0:
        return Decimal(body)
    sign, fraction = body[last], body[last + 1 :]
    if body.count(sign) > 1 or (len(fraction) == 3 and sign != mark):
        return Decimal(re.sub(r"[.,]", "", body))
    return Decimal(re.sub(r"[.,]", "", body[:last]) + "." + fraction)


def currencies(text: str) -> Iterator[Figure[str]]:
    """Every currency that a text names, as its ISO code."""
    for found in _CURRENCY.finditer(text):
        yield Figure(SYMBOLS.get(found[0], found[0]), found.span(), 1.0 if found[0] in CODES else 0.9)


# --- dates ----------------------------------------------------------------------------------------------

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar janvier janv enero ene gennaio gen januari stycznia styczen sty janeiro leden ledna januára",
            "february feb februar fevrier fevr fev febrero febbraio februari lutego luty lut fevereiro",
            "march mar marz maerz mars marzo maart mrz mrt marca marzec marco",
            "april apr avril avr abril abr aprile kwietnia kwiecien kwi",
            "may mai mayo maggio mag mei maj maja maio",
            "june jun juni juin junio giugno giu czerwca czerwiec cze junho",
            "july jul juli juillet juil julio luglio lug lipca lipiec lip julho",
            "august aug aout agosto ago augustus augusti sierpnia sierpien sie",
            "september sep sept septembre septiembre settembre set wrzesnia wrzesien wrz setembro",
            "october oct okt oktober octobre octubre ottobre ott pazdziernika pazdziernik paz outubro",
            "november nov novembre noviembre listopada listopad lis novembro",
            "december dec dez dezember decembre diciembre dic dicembre desember grudnia grudzien gru dezembro",
        ),
        start=1,
    )
    for name in names.split()
}
_NUMERIC: Final = re.compile(
    r"(?<![\d.,])(\d{1,4})\s?([-/.,\\])\s?(\d{1,2})\s?[-/.,\\]\s?(\d{4}|\d{2})(?![,.]?\d{3,})(?!\d[/.-])"
)
_DAY_MONTH: Final = re.compile(
    r"(?<!\d)(\d{1,2})\s?(?:(?:st|nd|rd|th|er)(?![^\W\d_])|º|°|\.)?[\s/.-]*(?:de\s+|of\s+)?([^\W\d_]{3,12})[\s/.,'’-]*(?:de\s+|del\s+)?(\d{4}|\d{2})(?!\d)"
)
_MONTH_DAY: Final = re.compile(
    r"([^\W\d_]{3,12})[\s.-]*(\d{1,2})(?:st|nd|rd|th)?(?:,\s?|\s+|\.|-)(\d{4}|'?\d{2})(?![\d:])"
)
_YEAR_MONTH_DAY: Final = re.compile(
    r"(?<!\d)(\d{4})\s?(?:年|[\s/.-])\s?(\d{1,2}|[^\W\d_]{3,12})\s?(?:月|[\s/.-])\s?(\d{1,2})(?!\d)"
)
_BARE: Final = re.compile(r"(?<!\d)(20[0-4]\d)(0[1-9]|1[0-2])([0-2]\d|3[01])(?!\d)")
YEARS: Final = (1990, 2099)


def dates(text: str, *, month_first: bool = False) -> list[Figure[date]]:
    """Every date in a text, first come first; a numeric one that can be read in two orders is there twice.

    The note says how it was read: `ymd`, `dmy`, `mdy`; `sure` is lower for the order that is less likely here.
    """
    found: list[Figure[date]] = []
    for match in _YEAR_MONTH_DAY.finditer(text):
        _add(found, match.span(), match[1], match[2], match[3], "ymd", 1.0)
    for match in _NUMERIC.finditer(text):
        _numeric(found, match, month_first)
    for match in _DAY_MONTH.finditer(text):
        _add(found, match.span(), match[3], match[2], match[1], "dmy", 1.0 if len(match[3]) == 4 else 0.9)
    for match in _MONTH_DAY.finditer(text):
        _add(found, match.span(), match[3].lstrip("'"), match[1], match[2], "mdy", 1.0)
    for match in _BARE.finditer(text):
        _add(found, match.span(), match[1], match[2], match[3], "ymd", 0.4)
    return sorted(found, key=lambda figure: (figure.span[0], -figure.sure))


def _numeric(found: list[Figure[date]], match: re.Match[str], month_first: bool) -> None:
    one, two, three = match[1], match[3], match[4]
    if len(one) == 4:
        return _add(found, match.span(), one, two, three, "ymd", 1.0)
    if len(one) > 2:
        return None
    sure = (1.0 if len(three) == 4 else 0.85) * (0.6 if match[2] == "," else 1.0)
    slashed = match[2] in "/-\\"
    american = month_first and slashed
    _add(found, match.span(), three, two, one, "dmy", sure * (0.3 if american and int(one) < 13 else 1.0))
    if one != two and (slashed or int(two) > 12):
        _add(found, match.span(), three, one, two, "mdy", sure * (1.0 if american or int(two) > 12 else 0.3))
    if len(three) == 2 and int(one) > 12:
        _add(found, match.span(), one, two, three, "ymd", sure * (0.5 if int(three) < 32 else 0.1))
    return None


def _add(found: list[Figure[date]], span: Span, year: str, month: str, day: str, order: str, sure: float) -> None:
    number = int(month) if month.isdigit() else _MONTHS.get(plain(month))
    full = int(year) + 2000 if len(year) == 2 else int(year)
    if number is None or not YEARS[0] <= full <= YEARS[1]:
        return
    if any(_overlap(each.span, span) and each.span != span and each.sure >= 1 for each in found):
        return
    try:
        value = date(full, number, int(day))
    except ValueError:
        return
    if all(each.value != value or each.span != span for each in found):
        found.append(Figure(value, span, sure, order))


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


# --- numbers that identify ------------------------------------------------------------------------------

_IBAN: Final = re.compile(
    r"(?<![A-Za-z0-9])([A-Z]{2}\s?\d{2}(?:[ .-]?[A-Z0-9]{2,4}){2,8}(?:[ .-]?[A-Z0-9]{1,4})?)(?![A-Za-z0-9])"
)
_VAT: Final = re.compile(
    r"(?<![A-Za-z0-9])(DE ?\d{3} ?\d{3} ?\d{3}|GB ?\d{3} ?\d{4} ?\d{2}|FR ?[A-Z0-9]{2} ?\d{3} ?\d{3} ?\d{3}|ES ?[A-Z]-?\d{7}[A-Z0-9]"
    r"|IT ?\d{11}|NL ?\d{9} ?B ?\d{2}|SE ?\d{12}|PL ?\d{10}|CHE[- ]?\d{3}\.?\d{3}\.?\d{3}|AT ?U ?\d{8}|BE ?[01]\d{3}\.?\d{3}\.?\d{3}"
    r"|IE ?\d{7}[A-Z]{1,2}|DK ?\d{8}|PT ?\d{9}|LU ?\d{8}|FI ?\d{8}|CZ ?\d{8,10}|NO ?\d{9}|T\d{13})(?![A-Za-z0-9])"
)  # fmt: skip
_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE: Final = re.compile(r"(?<![\w/.-])(?:\+|00)?\(?\d[\d()./ -]{6,18}\d(?![\w/])")
_WEB: Final = re.compile(r"(?:https?://|www\.)[^\s,;]+", re.IGNORECASE)
_BIC: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?(?![A-Za-z0-9])")
_LENGTHS: Final = {
    "DE": 22, "AT": 20, "CH": 21, "FR": 27, "IT": 27, "ES": 24, "NL": 18, "PL": 28, "BE": 16, "GB": 22, "SE": 24, "DK": 18,
    "NO": 15, "FI": 18, "PT": 25, "IE": 22, "LU": 20, "CZ": 24, "HU": 28,
}  # fmt: skip


@lru_cache(maxsize=4096)
def iban_is_right(text: str) -> bool:
    """Whether length and check digits of an IBAN are right (ISO 13616: mod 97 is 1)."""
    if not 15 <= len(text) <= 34 or len(text) != _LENGTHS.get(text[:2], len(text)):
        return False
    return int("".join(str(int(sign, 36)) for sign in text[4:] + text[:4])) % 97 == 1


def ibans(text: str) -> Iterator[Figure[str]]:
    """Every IBAN with right check digits in the text, without spaces."""
    for found in _IBAN.finditer(text):
        bare = re.sub(r"[^A-Z0-9]", "", found[1])
        for length in dict.fromkeys((_LENGTHS.get(bare[:2], len(bare)), len(bare))):
            if iban_is_right(bare[:length]):
                yield Figure(bare[:length], found.span(1))
                break


def vat_numbers(text: str) -> Iterator[Figure[str]]:
    """Every text that has the form of a tax number, without spaces; surest where its check digit is right."""
    for found in _VAT.finditer(text):
        bare = re.sub(r"[ .-]", "", found[1])
        yield Figure(bare, found.span(1), 1.0 if vat_is_right(bare) else 0.7)


def vat_is_right(number: str) -> bool:
    """Whether the check digit of a VAT number is right, for the countries whose rule is public and simple.

    DE and AT use ISO 7064 and Luhn-like sums, PL, IT, BE, NL their own; others only have a form.
    """
    country, digits = number[:2], re.sub(r"\D", "", number[2:])
    match country:
        case "DE":
            product = 10
            for digit in digits[:8]:
                total = (int(digit) + product) % 10 or 10
                product = total * 2 % 11
            return len(digits) == 9 and (11 - product) % 10 == int(digits[8])
        case "PL":
            weights = (6, 5, 7, 2, 3, 4, 5, 6, 7)
            return len(digits) == 10 and sum(w * int(d) for w, d in zip(weights, digits, strict=False)) % 11 == int(
                digits[9]
            )
        case "IT":
            doubled = [int(d) if at % 2 == 0 else sum(divmod(2 * int(d), 10)) for at, d in enumerate(digits)]
            return len(digits) == 11 and sum(doubled) % 10 == 0
        case "BE":
            return len(digits) == 10 and 97 - int(digits[:8]) % 97 == int(digits[8:])
        case _:
            return False


def emails(text: str) -> Iterator[Figure[str]]:
    """Every mail address."""
    return (Figure(found[0].rstrip("."), found.span()) for found in _EMAIL.finditer(text))


def websites(text: str) -> Iterator[Figure[str]]:
    """Every address of a page."""
    return (Figure(found[0].rstrip("."), found.span()) for found in _WEB.finditer(text))


def bics(text: str) -> Iterator[Figure[str]]:
    """Every text that has the form of a BIC."""
    return (
        Figure(found[0], found.span(), 0.9 if any(s.isdigit() for s in found[0]) else 0.7)
        for found in _BIC.finditer(text)
    )


def phones(text: str) -> Iterator[Figure[str]]:
    """Every text that has the form of a telephone number; surest with a country's code."""
    for found in _PHONE.finditer(text):
        digits = sum(sign.isdigit() for sign in found[0])
        if 7 <= digits <= 15 and not dates(found[0]):
            yield Figure(" ".join(found[0].split()), found.span(), 1.0 if found[0].startswith("+") else 0.7)
