"""Reads amounts, dates, currencies, IBANs and tax numbers from text, whatever country wrote them. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from functools import lru_cache

_GROUPED = r"\d{1,3}(?:[.,'’ \u00a0\u202f]\d{3})+(?:[.,]\d{1,4})?"
_AMOUNT = re.compile(rf"(?P<minus>[-−–(]\s?)?(?P<body>{_GROUPED}|\d{{1,12}}(?:[.,]\d{{1,4}})?)(?P<after>-|\))?")
_DECIMAL = re.compile(r"\d([.,])\d{2}\)?-?$")
_SYMBOLS = {
    "€": "EUR",
    "£": "GBP",
    "¥": "JPY",
    "US$": "USD",
    "$": "USD",
    "zł": "PLN",
    "SFr.": "CHF",
    "Fr.": "CHF",
    "kr": "SEK",
}
CURRENCIES = frozenset(["EUR", "USD", "GBP", "CHF", "JPY", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "CAD", "AUD"])
_CURRENCY = re.compile(r"(?<![A-Za-z])([A-Z]{3})(?![A-Za-z])|(€|£|¥|US\$|\$|zł|SFr\.|Fr\.|\bkr\b)")


def plain(text: str) -> str:
    """Lower case without accents and outer punctuation: how labels are compared."""
    folded = unicodedata.normalize("NFKD", text.replace("°", "o").replace("ß", "ss").replace("ł", "l"))
    bare = "".join(sign for sign in folded if not unicodedata.combining(sign)).casefold().replace("’", "'")
    return bare.strip(".:,;()*…")


def decimal_mark(words: Iterable[str]) -> str:
    """Which sign this document writes before cents; empty when it writes none (yen)."""
    votes = Counter(found[1] for word in words if (found := _DECIMAL.search(word)))
    return max(votes, key=lambda mark: votes[mark]) if votes else ""


def amount(text: str, mark: str) -> Decimal | None:
    """The amount that this whole text is, with or without a currency; None when it is something else."""
    bare = _CURRENCY.sub(lambda found: "" if currency(found[0]) else found[0], text).strip()
    found = _AMOUNT.fullmatch(bare)
    if not found:
        return None
    value = _value(found["body"], mark)
    return -value if found["minus"] or found["after"] else value


def _value(body: str, mark: str) -> Decimal:
    body = re.sub(r"['’ \u00a0\u202f]", "", body)
    last = max(body.rfind("."), body.rfind(","))
    if last < 0:
        return Decimal(body)
    sign, fraction = body[last], body[last + 1 :]
    grouped = body.count(sign) > 1 or (len(fraction) == 3 and sign != mark)
    if grouped:
        return Decimal(re.sub(r"[.,]", "", body))
    return Decimal(re.sub(r"[.,]", "", body[:last]) + "." + fraction)


def currency(text: str) -> str:
    """The ISO code of the first currency that the text names; empty when it names none."""
    for found in _CURRENCY.finditer(text):
        if found[1] in CURRENCIES:
            return str(found[1])
        if found[2]:
            return _SYMBOLS[found[2]]
    return ""


# --- dates ----------------------------------------------------------------------------------------------

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar janvier enero gennaio januari",
            "february feb februar fevrier febrero febbraio februari",
            "march mar marz maerz mars marzo maart mrz",
            "april apr avril abril aprile avr",
            "may mai mayo maggio mei maj",
            "june jun juni juin junio giugno",
            "july jul juli juillet julio luglio",
            "august aug aout agosto augustus augusti",
            "september sep sept septembre septiembre settembre",
            "october oct okt oktober octobre octubre ottobre",
            "november nov novembre noviembre",
            "december dec dez dezember decembre diciembre dicembre desember",
        ),
        start=1,
    )
    for name in names.split()
}
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_DAY_FIRST = re.compile(r"(\d{1,2})[-/.]\s?(\d{1,2})[-/.]\s?(\d{4}|\d{2})(?!\d)")
_DAY_MONTH = re.compile(r"(\d{1,2})(?:st|nd|rd|th|er|º|\.)?\s+(?:de\s+)?([^\W\d_]{3,12})\.?,?\s+(?:de\s+)?(\d{4})")
_MONTH_DAY = re.compile(r"([^\W\d_]{3,12})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})")


def first_date(text: str, *, month_first: bool = False) -> tuple[date, float, int] | None:
    """The date that the text begins with, how sure it is, and where it ends; None when it does not begin with one."""
    start = len(text) - len(text.lstrip())
    if found := _ISO.match(text, start):
        return _checked(found, int(found[1]), int(found[2]), int(found[3]), 1.0)
    if found := _DAY_FIRST.match(text, start):
        one, two, year = int(found[1]), int(found[2]), int(found[3])
        year += 2000 if year < 100 else 0
        slashed = "/" in found[0]
        if two > 12 or (month_first and slashed and one <= 12):
            return _checked(found, year, one, two, 0.95 if two > 12 else 0.8)
        return _checked(found, year, two, one, 1.0)
    if (found := _DAY_MONTH.match(text, start)) and (month := _MONTHS.get(plain(found[2]))):
        return _checked(found, int(found[3]), month, int(found[1]), 1.0)
    if (found := _MONTH_DAY.match(text, start)) and (month := _MONTHS.get(plain(found[1]))):
        return _checked(found, int(found[3]), month, int(found[2]), 1.0)
    return None


def _checked(found: re.Match[str], year: int, month: int, day: int, sure: float) -> tuple[date, float, int] | None:
    try:
        value = date(year, month, day)
    except ValueError:
        return None
    return (value, sure, found.end()) if 2000 <= year <= 2100 else None


# --- numbers that identify ------------------------------------------------------------------------------

_IBAN = re.compile(r"\b([A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?)\b")
_VAT = re.compile(
    r"\b(DE ?\d{9}|GB ?\d{9}|FR ?[A-Z0-9]{2} ?\d{9}|ES ?[A-Z]\d{7}[A-Z0-9]|IT ?\d{11}|NL ?\d{9}B\d{2}"
    r"|SE ?\d{12}|PL ?\d{10}|CHE[- ]?\d{3}\.?\d{3}\.?\d{3}|ATU ?\d{8}|BE ?[01]\d{9}|IE ?\d{7}[A-Z]{1,2}"
    r"|DK ?\d{8}|PT ?\d{9}|LU ?\d{8}|FI ?\d{8}"
    r"|CZ ?\d{8,10}|NO ?\d{9}|T\d{13})\b"
)


@lru_cache(maxsize=1024)
def iban_is_right(text: str) -> bool:
    """Whether the check digits of an IBAN are right (ISO 13616: mod 97 is 1)."""
    return 15 <= len(text) <= 34 and int("".join(str(int(sign, 36)) for sign in text[4:] + text[:4])) % 97 == 1


def ibans(text: str) -> list[str]:
    """Every IBAN with right check digits in the text, without spaces."""
    return [bare for found in _IBAN.finditer(text) if (bare := found[1].replace(" ", "")) and iban_is_right(bare)]


def masked(iban: str) -> str:
    """An IBAN as people may be shown it: enough to recognise one, too little to use it."""
    return f"{iban[:4]} … {iban[-4:]}" if iban else ""


def vat_numbers(text: str) -> list[str]:
    """Every text that has the form of a tax number, without spaces."""
    return [found[1].replace(" ", "") for found in _VAT.finditer(text)]


def key(text: str) -> str:
    """What remains of a number or name when case, accents, spaces and punctuation are taken away."""
    return "".join(sign for sign in plain(text) if sign.isalnum())
