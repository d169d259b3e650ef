"""E-invoices, normalised: Factur-X and ZUGFeRD (CII), UBL and Peppol, FatturaPA; and whether the print says the same.

The XML of an e-invoice is what a program books, and its print what a person approves: where they differ, one of the two is
deceived. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Final, Literal

from pydantic import BaseModel

from backstay.ai.documents import kinds
from backstay.ai.documents.model import Document

CENT: Final = Decimal("0.01")


class Party(BaseModel):
    """A seller or a buyer."""

    name: str = ""
    vat_id: str = ""
    tax_number: str = ""
    """Of the state where it is, where it has no VAT id, or beside it."""
    country: str = ""
    """ISO 3166, two letters."""
    address: str = ""


class InvoiceLine(BaseModel):
    number: str = ""
    name: str = ""
    quantity: Decimal | None = None
    unit: str = ""
    unit_price: Decimal | None = None
    net: Decimal | None = None
    vat_rate: Decimal | None = None
    """In percent."""


class TaxGroup(BaseModel):
    """What is taxed at one rate."""

    rate: Decimal | None = None
    """In percent."""
    basis: Decimal | None = None
    tax: Decimal | None = None


class EInvoice(BaseModel):
    """What an e-invoice says, whichever syntax it has. Amounts are in `currency`."""

    syntax: Literal["CII", "UBL", "FatturaPA"]
    profile: str = ""
    kind: Literal["invoice", "credit note"] = "invoice"
    number: str = ""
    issued: date | None = None
    due: date | None = None
    currency: str = ""
    order: str = ""
    """The buyer's order."""
    buyer_reference: str = ""
    seller: Party = Party()
    buyer: Party = Party()
    lines: list[InvoiceLine] = []
    taxes: list[TaxGroup] = []
    net: Decimal | None = None
    tax: Decimal | None = None
    total: Decimal | None = None
    """With tax."""
    payable: Decimal | None = None
    """What is left to pay."""
    ibans: list[str] = []

    def contradictions(self) -> list[str]:
        """Where its own figures do not add up, each a sentence."""
        found = list[str]()
        nets = [line.net for line in self.lines if line.net is not None]
        made = None if self.net is None or self.tax is None else self.net + self.tax
        if made is not None and self.total is not None and abs(made - self.total) > CENT:
            found.append(f"net {self.net} and tax {self.tax} do not make the total {self.total}")
        taxes = [group.tax for group in self.taxes if group.tax is not None]
        if taxes and self.tax is not None and abs(sum(taxes) - self.tax) > CENT * len(taxes):
            found.append(f"the taxes by rate make {sum(taxes)}, and the tax is {self.tax}")
        bases = [group.basis for group in self.taxes if group.basis is not None]
        if bases and self.net is not None and abs(sum(bases) - self.net) > CENT * len(bases):
            found.append(f"what is taxed makes {sum(bases)}, and the net amount is {self.net}")
        for line in self.lines:
            if line.quantity is not None and line.unit_price is not None and line.net is not None:
                made = line.quantity * line.unit_price
                if nets and abs(made - line.net) > max(CENT, abs(line.net) / 2):
                    found.append(f"line {line.number}: {line.quantity} times {line.unit_price} is not {line.net}")
        return found


class Mismatch(BaseModel):
    """Something that an e-invoice says and its print does not."""

    field: Literal["number", "total", "iban", "vat_id", "currency"]
    data: str
    """What the XML says."""
    printed: list[str]
    """What the print says in its place; empty where it says nothing."""

    def __str__(self) -> str:
        there = f"the print says {', '.join(self.printed[:3])}" if self.printed else "the print does not say so"
        return f"the e-invoice has {_NAMES[self.field]} {self.data!r:.60}, and {there}"


_NAMES: Final = {
    "number": "the number", "total": "the total", "iban": "the account", "vat_id": "the seller's VAT id",
    "currency": "the currency",
}  # fmt: skip
_AMOUNT: Final = re.compile(
    r"(?<![\w.,])\d{1,3}(?:[ .,'’\u00a0\u202f]\d{3}){1,5}(?:[.,]\d{1,4})?(?![\d])|(?<![\d.,])\d{1,15}(?:[.,]\d{1,4})?(?![\d])"
)
_IBAN: Final = re.compile(r"(?<![A-Z0-9])[A-Z]{2}\d{2}(?:[ \u00a0]?[A-Z0-9]){11,30}")
_VAT: Final = re.compile(r"(?<![A-Z0-9])(?:[A-Z]{2})[ \u00a0]?[A-Z0-9][A-Z0-9 .\u00a0]{6,14}[A-Z0-9](?![A-Z0-9])")
_SIGNS: Final = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"}


def compare(document: Document) -> list[Mismatch]:
    """Where an e-invoice and its print differ: the pages around the XML, or a print within it. Nothing where one is missing."""
    prints = [each for each in (document, *document.parts) if each.pages and each.text.strip()]
    if document.data is None or not prints:
        return []
    said, text = EInvoice.model_validate(document.data), prints[0].text
    return [
        *_number(said, text),
        *_total(said, text),
        *_ibans(said, text),
        *_vat_id(said, text),
        *_currency(said, text),
    ]


def adopted(document: Document) -> None:
    """Take the e-invoice that lies in a PDF as its data, and say where an e-invoice and its print differ."""
    brought = [part for part in document.parts if part.data is not None]
    if document.media_type == kinds.PDF and brought:
        document.data = brought[0].data
        if len(brought) > 1:
            document.problems.append(f"it brings {len(brought)} e-invoices, of which {brought[0].name!r:.80} was taken")
    document.problems += [f"{mismatch}: this may be fraud" for mismatch in compare(document)]


def _number(said: EInvoice, text: str) -> Iterator[Mismatch]:
    if said.number and _plain(said.number) not in _plain(text):
        yield Mismatch(field="number", data=said.number, printed=[])


def _total(said: EInvoice, text: str) -> Iterator[Mismatch]:
    wanted = said.total if said.total is not None else said.payable
    if wanted is None:
        return
    found = _AMOUNT.findall(text)
    if not any(abs(wanted) in amounts(each) for each in found):
        exact = {amount for each in found if each[-3:-2] in (".", ",") for amount in amounts(each)}
        yield Mismatch(
            field="total", data=f"{wanted:.2f}", printed=[f"{each:.2f}" for each in sorted(exact, reverse=True)[:3]]
        )


def _ibans(said: EInvoice, text: str) -> Iterator[Mismatch]:
    wanted = [_plain(iban) for iban in said.ibans if is_iban(_plain(iban))]
    printed = ibans(text)
    packed = _plain(text)
    for iban in wanted:
        if iban not in packed:
            yield Mismatch(field="iban", data=iban, printed=[other for other in printed if other not in wanted])
    if (
        wanted
        and all(iban in packed for iban in wanted)
        and (others := [iban for iban in printed if iban not in wanted])
    ):
        yield Mismatch(field="iban", data=", ".join(wanted), printed=others)


def _vat_id(said: EInvoice, text: str) -> Iterator[Mismatch]:
    wanted = _plain(said.seller.vat_id)
    if len(wanted) < 6 or wanted in _plain(text) or wanted[2:] in _plain(text):
        return
    buyer = _plain(said.buyer.vat_id)
    printed = {_plain(found) for found in _VAT.findall(text)}
    alike = [each for each in printed if each[:2] == wanted[:2] and len(each) == len(wanted) and each != buyer]
    if alike:
        yield Mismatch(field="vat_id", data=wanted, printed=sorted(alike))


def _currency(said: EInvoice, text: str) -> Iterator[Mismatch]:
    known = set(re.findall(r"\b(EUR|USD|GBP|CHF|JPY|SEK|NOK|DKK|PLN|CZK|HUF|RON|BGN)\b", text))
    known |= {name for name, sign in _SIGNS.items() if sign in text}
    if said.currency and known and said.currency not in known and said.currency not in text:
        yield Mismatch(field="currency", data=said.currency, printed=sorted(known))


def amounts(text: str) -> set[Decimal]:
    """What a printed number may mean: "1.234,50", "1,234.50", "1 234,5" are plain; "1.234" is both 1234 and 1.234."""
    plain = re.sub(r"[ '’\u00a0\u202f]", "", text)
    last = max(plain.rfind("."), plain.rfind(","))
    if last < 0:
        return {Decimal(plain)}
    whole, rest = re.sub(r"[.,]", "", plain[:last]), plain[last + 1 :]
    made = {Decimal(f"{whole}.{rest}")}
    if len(rest) == 3:
        made.add(Decimal(whole + rest))
    return made


def ibans(text: str) -> list[str]:
    """Accounts in a text whose check digits are right (ISO 13616), without spaces."""
    found = list[str]()
    for match in _IBAN.findall(text):
        plain = _plain(match)
        for length in range(len(plain), 14, -1):
            if is_iban(plain[:length]):
                if plain[:length] not in found:
                    found.append(plain[:length])
                break
    return found


def is_iban(text: str) -> bool:
    """Whether the check digits are right: ISO 7064, modulo 97."""
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", text):
        return False
    turned = text[4:] + text[:4]
    return int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1


def _plain(text: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", text.upper())
