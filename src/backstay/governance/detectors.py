"""Detectors: find card numbers, credentials, accounts, addresses and national ids in text that nobody tagged.

Pure, and linear in the length of the text. A number counts only when its checksum, its length and its issuer or country
fit; a credential only when it has the shape that its maker documents. Numbers without a checksum (a US social security
number, a phone number, a date of birth) are not detected at all: guessing would seal order numbers.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, TypeAlias

DataClass: TypeAlias = Literal["card", "secret", "iban", "email", "national-id"]
"""card: a payment card. secret: a key, token or private key. The others are ordinary business data in many processes."""

DEFAULT: Final[frozenset[DataClass]] = frozenset({"card", "secret"})
"""What no journal should hold in clear, whatever the process is about."""


@dataclass(frozen=True, slots=True)
class Found:
    """One detected value: its class, and where it stands in the text as given."""

    name: DataClass
    start: int
    end: int


Spans: TypeAlias = Iterable[tuple[int, int]]


class Detector:
    """Finds the values of some classes in a text. `suspects` is the cheap question that comes first."""

    def __init__(self, classes: Iterable[DataClass] = DEFAULT) -> None:
        self.classes = frozenset(classes)
        unknown = self.classes - FINDERS.keys()
        if unknown:
            raise ValueError(f"no detector for {', '.join(sorted(unknown))}; there are {', '.join(sorted(FINDERS))}")
        self._shortest = min((SHORTEST[name] for name in self.classes), default=2**63)
        self._hints = [HINTS[name] for name in sorted(self.classes)]

    def suspects(self, written: str) -> bool:
        """Whether a value, written as JSON, may hold anything to be detected; True costs a closer look."""
        if len(written) < self._shortest:
            return False
        for hint in self._hints:
            if hint(written):
                return True
        return "\\u00" in written or (not written.isascii() and _ODD.search(written) is not None)

    def find(self, text: str) -> list[Found]:
        """Everything detected in a text, in its order; where two overlap, the first of the longest."""
        if len(text) < self._shortest:
            return []
        plain, places = normalised(text)
        found = [
            Found(name, places[start], places[end - 1] + 1) if places else Found(name, start, end)
            for name, finder in FINDERS.items() if name in self.classes
            for start, end in finder(plain)
        ]  # fmt: skip
        return _without_overlaps(found)


def _without_overlaps(found: list[Found]) -> list[Found]:
    kept: list[Found] = []
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept


# --- one spelling -------------------------------------------------------------------------------------


_ODD: Final = re.compile(r"[^\x00-\x9f\u00a1-\u00ac\u00ae-\u024f]")
"""Characters outside Latin letters: only among these are other digits, wide letters, dashes, spaces and invisible ones."""


def normalised(text: str) -> tuple[str, list[int]]:
    """The text with every digit, letter, dash and space in its plain form and nothing invisible in between.

    With it, for each character, its place in the text as given; no places when nothing was changed.
    """
    if text.isascii() or _ODD.search(text) is None:
        return text, []
    letters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        for plain in character if character.isascii() else _plain(character):
            letters.append(plain)
            places.append(place)
    return "".join(letters), places


def _plain(character: str) -> str:
    """A character outside ASCII: nothing when it is invisible, else its compatibility form (NFKC)."""
    category = unicodedata.category(character)
    if category in ("Cf", "Mn", "Me"):
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    return {"Pd": "-", "Zs": " "}.get(category) or unicodedata.normalize("NFKC", character)


# --- payment cards --------------------------------------------------------------------------------------

_CARD: Final = re.compile(
    r"(?<![\w.,+-])(?:\d{14,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|\d{4}([ -])\d{6}\2\d{4,5})(?![\w-]|[.,]\d)"
)
"""In one piece, or in the groups in which cards are embossed; not a part of a hash, a UUID, an amount or a phone number."""

ISSUERS: Final[tuple[tuple[str, range, range], ...]] = (
    ("Visa", range(4, 5), range(16, 20, 3)),
    ("Mastercard", range(51, 56), range(16, 17)),
    ("Mastercard", range(2221, 2721), range(16, 17)),
    ("American Express", range(34, 38, 3), range(15, 16)),
    ("Diners Club", range(300, 306), range(14, 17, 2)),
    ("Diners Club", range(36, 37), range(14, 17, 2)),
    ("Diners Club", range(38, 40), range(14, 17, 2)),
    ("Discover", range(6011, 6012), range(16, 17)),
    ("Discover", range(644, 660), range(16, 17)),
    ("JCB", range(3528, 3590), range(16, 17)),
    ("UnionPay", range(62, 63), range(16, 20)),
    ("Maestro", range(6759, 6760), range(16, 20)),
    ("Maestro", range(6761, 6764), range(16, 20)),
    ("Mir", range(2200, 2205), range(16, 17)),
)
"""(issuer, beginnings, lengths). A beginning is compared with as many digits as it has itself."""


def cards(text: str) -> Spans:
    return [found.span() for found in _CARD.finditer(text) if is_card(_digits(found[0]))]


def is_card(digits: str) -> bool:
    """Whether an issuer gives out numbers like this one, and its check digit is right (ISO/IEC 7812, Luhn)."""
    fits = any(len(digits) in lengths and int(digits[: len(str(begin[0]))]) in begin for _, begin, lengths in ISSUERS)
    return fits and len(set(digits)) > 1 and luhn(digits)


def luhn(digits: str) -> bool:
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _digits(text: str) -> str:
    return text.replace(" ", "").replace("-", "")


# --- credentials ----------------------------------------------------------------------------------------

SECRETS: Final[tuple[tuple[str, str], ...]] = (
    ("AWS access key", r"A[KS]IA[A-Z2-7]{16}(?![A-Za-z0-9])"),
    ("GitHub token", r"gh[pousr]_[A-Za-z0-9]{36,251}"),
    ("GitHub fine-grained token", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    ("GitLab token", r"glpat-[A-Za-z0-9_-]{20,64}"),
    ("Google API key", r"AIza[A-Za-z0-9_-]{35}"),
    ("npm token", r"npm_[A-Za-z0-9]{36}"),
    ("Slack token", r"xox[abeoprs]-[A-Za-z0-9-]{10,250}"),
    ("Slack app token", r"xapp-\d-[A-Za-z0-9-]{10,250}"),
    ("Stripe key", r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,250}"),
    ("Stripe webhook secret", r"whsec_[A-Za-z0-9+/]{24,250}"),
    ("model provider's key", r"sk-(?=[A-Za-z_-]{0,250}\d)[A-Za-z0-9_-]{20,250}"),
    ("JSON web token", r"eyJ[A-Za-z0-9_-]{10,8000}\.eyJ[A-Za-z0-9_-]{4,16000}\.[A-Za-z0-9_-]{16,1400}"),
)
"""(whose, shape): prefixes that their makers chose so that they can be found."""

_SECRET: Final = re.compile(rf"(?<![A-Za-z0-9_-])(?:{'|'.join(shape for _, shape in SECRETS)})")
_PRIVATE_KEY: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")


def secrets(text: str) -> Spans:
    for found in _SECRET.finditer(text):
        if not found[0].startswith("eyJ") or _is_token(found[0]):
            yield found.span()
    for found in _PRIVATE_KEY.finditer(text):
        end = text.find("-----END ", found.end())
        close = text.find("-----", end + 9) if end >= 0 else -1
        yield found.start(), close + 5 if close >= 0 else len(text)
        if close < 0:
            return


def _is_token(text: str) -> bool:
    """Whether the first part of what looks like a JSON web token is its header (RFC 7515)."""
    head = text.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


# --- bank accounts --------------------------------------------------------------------------------------

IBAN_LENGTHS: Final[dict[str, int]] = {
    country: int(length)
    for length, countries in (
        line.split(": ")
        for line in """
15: NO
16: BE
18: DK FI FK FO GL NL SD
19: MK SI
20: AT BA EE KZ LT LU MN XK
21: CH HR LI LV
22: BG BH CR DE GB GE IE ME RS VA
23: AE GI IL IQ OM SO TL
24: AD CZ ES MD PK RO SA SE SK TN VG
25: LY PT ST
26: IS TR
27: BI DJ FR GR IT MC MR SM
28: AL AZ BY CY DO GT HU LB NI PL SV
29: BR EG PS QA UA
30: JO KW MU YE
31: LC MT SC
33: RU
""".strip().splitlines()
    )
    for country in countries.split()
}
"""Characters per country, from the IBAN registry (ISO 13616)."""

_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,29}")


def ibans(text: str) -> Spans:
    for found in _IBAN.finditer(text):
        length = IBAN_LENGTHS.get(found[0][:2].upper(), 0)
        places = [place for place, letter in enumerate(found[0]) if letter.isalnum()][:length]
        if not length or len(places) < length:
            continue
        end = found.start() + places[-1] + 1
        if not text[end : end + 1].isalnum() and is_iban(_digits(text[found.start() : end])):
            yield found.start(), end


def is_iban(text: str) -> bool:
    """Whether the check digits are right (ISO 7064, mod 97-10)."""
    turned = text[4:] + text[:4]
    return int("".join(str(int(letter, 36)) for letter in turned)) % 97 == 1


# --- addresses and national ids ---------------------------------------------------------------------------

_EMAIL: Final = re.compile(
    r"(?<![\w.%+-])[\w%+-](?:[\w.%+-]{0,62}[\w%+-])?@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])"
)


def emails(text: str) -> Spans:
    return [found.span() for found in _EMAIL.finditer(text)]


def german_tax_id(text: str) -> bool:
    """Identifikationsnummer: one digit of the first ten comes twice or thrice; ISO 7064, mod 11,10."""
    counts = sorted(text[:10].count(digit) for digit in set(text[:10]))
    if text[0] == "0" or not (counts[-1] in (2, 3) and (len(counts) == 1 or counts[-2] == 1)):
        return False
    product = 10
    for digit in text[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(text[10])


def spanish_id(text: str) -> bool:
    """DNI, or NIE of a foreigner: the letter is the number modulo 23."""
    number = text[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == text[-1]


def french_id(text: str) -> bool:
    """NIR: sex, month and the key, 97 less the number modulo 97; Corsica's letters stand for 19 and 18."""
    number = text[:13].replace("2A", "19").replace("2B", "18")
    return 97 - int(number) % 97 == int(text[13:])


def polish_id(text: str) -> bool:
    """PESEL: a birthday whose month tells the century, and a weighted check digit."""
    century, month = divmod(int(text[2:4]), 20)
    try:
        date((1900, 2000, 2100, 2200, 1800)[century] + int(text[:2]), month, int(text[4:6]))
    except ValueError:
        return False
    return sum(weight * int(digit) for weight, digit in zip((1, 3, 7, 9) * 2 + (1, 3, 1), text, strict=True)) % 10 == 0


NATIONAL_IDS: Final[tuple[tuple[str, str, Callable[[str], bool]], ...]] = (
    ("German tax id", r"[1-9]\d(?: ?\d{3}){3}", german_tax_id),
    ("Spanish DNI or NIE", r"[0-9XYZ]\d{7}-?[A-HJ-NP-TV-Z]", spanish_id),
    ("French NIR", r"[1-478] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d", french_id),
    ("Polish PESEL", r"\d{11}", polish_id),
)
"""(what, shape, whether its checksum is right)."""

_NATIONAL_IDS: Final = [
    (re.compile(rf"(?<![\w.,+-]){shape}(?![\w-]|[.,]\d)"), is_valid) for _, shape, is_valid in NATIONAL_IDS
]


def national_ids(text: str) -> Spans:
    for pattern, is_valid in _NATIONAL_IDS:
        yield from (found.span() for found in pattern.finditer(text) if is_valid(_digits(found[0])))


FINDERS: Final[dict[DataClass, Callable[[str], Spans]]] = {
    "card": cards,
    "secret": secrets,
    "iban": ibans,
    "email": emails,
    "national-id": national_ids,
}
"""How each class is found, in plain text."""

SHORTEST: Final[dict[DataClass, int]] = {"card": 14, "secret": 15, "iban": 15, "email": 6, "national-id": 9}
"""Characters below which a class has no values."""


_AFTER_UNDERSCORE: Final = re.compile(r"_[A-Za-z0-9+/]{16}").search


def _like_secret(text: str) -> bool:
    """A chain of `in` is several times quicker than one pattern of alternatives."""
    return (
        "IA" in text or "AIza" in text or "eyJ" in text
        or ("_" in text and _AFTER_UNDERSCORE(text) is not None)
        or ("-" in text and ("sk-" in text or "xox" in text or "xapp-" in text or "glpat-" in text or "--BEG" in text))
    )  # fmt: skip


def _like_email(text: str) -> bool:
    return "@" in text


HINTS: Final[dict[DataClass, Callable[[str], object]]] = {
    "card": re.compile(r"[2-6](?:(?<![\w.,+-].)|(?<=\\[bfnrt].))\d{3}[ -]?\d{4}[ -]?\d{2}").search,
    "secret": _like_secret,
    "iban": re.compile(r"[A-Za-z]{2}\d{2}[ -]?[A-Za-z0-9]{2}").search,
    "email": _like_email,
    "national-id": re.compile(r"\d{3} ?\d{3}").search,
}
"""What must stand in plain JSON for a closer look; chosen to be quick, not to be exact."""
