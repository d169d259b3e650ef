"""Reads the XML of e-invoices into `EInvoice`: one table of paths a syntax. Runs in the child."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final

from backstay.ai.documents import xml_tree
from backstay.ai.documents.einvoice import EInvoice, InvoiceLine, Party, TaxGroup
from backstay.ai.documents.errors import DocumentUnreadable
from backstay.ai.documents.found import DocumentLimits, Found, Piece
from backstay.ai.documents.xml_tree import Node

_FILES: Final = ("EmbeddedDocumentBinaryObject", "AttachmentBinaryObject", "Attachment")
"""Elements that hold a file in base 64."""


def read(data: bytes, limits: DocumentLimits) -> Found:
    """An XML file: an e-invoice where it is one, else its text."""
    root = xml_tree.parse(data)
    invoice = normalised(root)
    words = (text for node in root.walk() if node.name not in _FILES for text in (node.text.strip(), node.tail.strip()))
    found = Found(text=" ".join(filter(None, words))[: limits.characters])
    if invoice is None:
        return found
    found.data = invoice.model_dump(mode="json")
    found.pieces = list(_attached(root, limits))
    found.problems = [f"the e-invoice contradicts itself: {each}" for each in invoice.contradictions()]
    if len(root.all("FatturaElettronicaBody")) > 1:
        found.problems.append("the file holds several invoices, of which the first was read")
    return found


def signed(data: bytes, limits: DocumentLimits) -> Found:
    """The XML within a signed envelope (.p7m); its signature is not checked."""
    packed = b"".join(_octets(data, 0))
    start = packed.find(b"<")
    end = packed.rfind(b">")
    if start < 0 or end < start:
        raise DocumentUnreadable("is a signed file without XML in it")
    found = read(packed[start : end + 1], limits)
    found.problems.append("its signature was not checked")
    return found


def _attached(root: Node, limits: DocumentLimits) -> Iterable[Piece]:
    """Files within the XML, of which one may be the print: UBL, CII and FatturaPA hold them in base 64."""
    for node in [node for node in root.walk() if node.name in _FILES and node.text.strip()][: limits.parts]:
        with suppress(ValueError):
            name = node.attributes.get("filename") or f"attachment {node.attributes.get('mimeCode', '')}".strip()
            yield Piece(name, base64.b64decode("".join(node.text.split()), validate=True))


def normalised(root: Node) -> EInvoice | None:
    """What an e-invoice says; None for another XML file."""
    match root.name:
        case "CrossIndustryInvoice" | "CrossIndustryDocument":
            return _cii(root)
        case "Invoice" | "CreditNote" if root.one("AccountingSupplierParty"):
            return _ubl(root)
        case "FatturaElettronica":
            return _fattura(root)
        case _:
            return None


# --- Cross Industry Invoice: Factur-X, ZUGFeRD 1 and 2, XRechnung ---


def _cii(root: Node) -> EInvoice:
    head = root.one("ExchangedDocument") or root.one("HeaderExchangedDocument") or root
    deal = root.one("SupplyChainTradeTransaction") or root.one("SpecifiedSupplyChainTradeTransaction") or root
    agreed = deal.one("ApplicableHeaderTradeAgreement") or deal.one("ApplicableSupplyChainTradeAgreement") or deal
    settled = deal.one("ApplicableHeaderTradeSettlement") or deal.one("ApplicableSupplyChainTradeSettlement") or deal
    name = "SpecifiedTradeSettlement{}MonetarySummation"
    sums = settled.one(name.format("Header")) or settled.one(name.format("")) or settled
    context = root.one("ExchangedDocumentContext") or root.one("SpecifiedExchangedDocumentContext") or root
    account = "SpecifiedTradeSettlementPaymentMeans/PayeePartyCreditorFinancialAccount/IBANID"
    due = "SpecifiedTradePaymentTerms/DueDateDateTime/DateTimeString"
    return EInvoice(
        syntax="CII", profile=context.said("GuidelineSpecifiedDocumentContextParameter/ID"),
        kind="credit note" if head.said("TypeCode") in ("381", "261", "296", "396") else "invoice",
        number=head.said("ID"), issued=_date(head.said("IssueDateTime/DateTimeString")), due=_date(settled.said(due)),
        currency=settled.said("InvoiceCurrencyCode"),
        order=agreed.said("BuyerOrderReferencedDocument/IssuerAssignedID", "BuyerOrderReferencedDocument/ID"),
        buyer_reference=agreed.said("BuyerReference"), seller=_cii_party(agreed.one("SellerTradeParty")),
        buyer=_cii_party(agreed.one("BuyerTradeParty")),
        lines=[_cii_line(line) for line in deal.all("IncludedSupplyChainTradeLineItem")],
        taxes=[
            TaxGroup(
                rate=_number(tax.said("RateApplicablePercent", "ApplicablePercent")), basis=_number(tax.said("BasisAmount")),
                tax=_number(tax.said("CalculatedAmount")),
            )
            for tax in settled.all("ApplicableTradeTax")
        ],
        net=_number(sums.said("TaxBasisTotalAmount")), tax=_tax_in(sums, settled.said("InvoiceCurrencyCode")),
        total=_number(sums.said("GrandTotalAmount")), payable=_number(sums.said("DuePayableAmount")),
        ibans=_unique(node.text for node in settled.all(account)),
    )  # fmt: skip


def _tax_in(sums: Node, currency: str) -> Decimal | None:
    """The tax may be said twice: in the currency of the invoice, and in that of the tax office."""
    said = sums.all("TaxTotalAmount")
    fit = [node for node in said if node.attributes.get("currencyID", currency) == currency]
    return _number((fit or said)[0].text) if said else None


def _cii_party(node: Node | None) -> Party:
    if node is None:
        return Party()
    ids = {each.attributes.get("schemeID", ""): each.text.strip() for each in node.all("SpecifiedTaxRegistration/ID")}
    address = node.one("PostalTradeAddress")
    parts = ("LineOne", "LineTwo", "LineThree", "PostcodeCode", "CityName")
    return Party(
        name=node.said("Name"), vat_id=ids.get("VA", ""), tax_number=ids.get("FC", ""),
        country=address.said("CountryID") if address else "", address=_joined(address, parts),
    )  # fmt: skip


def _cii_line(node: Node) -> InvoiceLine:
    line, old = "SpecifiedLineTrade", "SpecifiedSupplyChainTrade"
    quantity = node.one(f"{line}Delivery/BilledQuantity") or node.one(f"{old}Delivery/BilledQuantity")
    price = "Agreement/NetPriceProductTradePrice/ChargeAmount"
    net = "SpecifiedTradeSettlementLineMonetarySummation/LineTotalAmount"
    rate = "Settlement/ApplicableTradeTax/RateApplicablePercent"
    return InvoiceLine(
        number=node.said("AssociatedDocumentLineDocument/LineID"), name=node.said("SpecifiedTradeProduct/Name"),
        quantity=_number(quantity.text) if quantity else None,
        unit=quantity.attributes.get("unitCode", "") if quantity else "",
        unit_price=_number(node.said(f"{line}{price}", f"{old}{price}")),
        net=_number(node.said(f"{line}Settlement/{net}", f"{old}Settlement/SpecifiedTradeSettlementMonetarySummation/LineTotalAmount")),
        vat_rate=_number(node.said(f"{line}{rate}", f"{old}Settlement/ApplicableTradeTax/ApplicablePercent")),
    )  # fmt: skip


# --- Universal Business Language: Peppol BIS, XRechnung ---


def _ubl(root: Node) -> EInvoice:
    currency, sums = root.said("DocumentCurrencyCode"), root.one("LegalMonetaryTotal") or root
    totals = root.all("TaxTotal")
    tax = [node for node in totals for each in node.all("TaxAmount") if each.attributes.get("currencyID") == currency]
    tax_total = next(iter(tax or totals), None)
    code = root.said("InvoiceTypeCode", "CreditNoteTypeCode")
    return EInvoice(
        syntax="UBL", profile=root.said("CustomizationID"),
        kind="credit note" if root.name == "CreditNote" or code == "381" else "invoice", number=root.said("ID"),
        issued=_date(root.said("IssueDate")), due=_date(root.said("DueDate", "PaymentMeans/PaymentDueDate")),
        currency=currency, order=root.said("OrderReference/ID"), buyer_reference=root.said("BuyerReference"),
        seller=_ubl_party(root.one("AccountingSupplierParty/Party")),
        buyer=_ubl_party(root.one("AccountingCustomerParty/Party")),
        lines=[_ubl_line(line) for line in (*root.all("InvoiceLine"), *root.all("CreditNoteLine"))],
        taxes=[
            TaxGroup(
                rate=_number(group.said("TaxCategory/Percent", "Percent")), basis=_number(group.said("TaxableAmount")),
                tax=_number(group.said("TaxAmount")),
            )
            for group in (tax_total.all("TaxSubtotal") if tax_total else [])
        ],
        net=_number(sums.said("TaxExclusiveAmount")), tax=_number(tax_total.said("TaxAmount")) if tax_total else None,
        total=_number(sums.said("TaxInclusiveAmount")), payable=_number(sums.said("PayableAmount")),
        ibans=_unique(node.text for node in root.all("PaymentMeans/PayeeFinancialAccount/ID")),
    )  # fmt: skip


def _ubl_party(node: Node | None) -> Party:
    if node is None:
        return Party()
    vat = tax = ""
    for scheme in node.all("PartyTaxScheme"):
        if scheme.said("TaxScheme/ID").upper() in ("VAT", ""):
            vat = vat or scheme.said("CompanyID")
        else:
            tax = tax or scheme.said("CompanyID")
    parts = ("StreetName", "AdditionalStreetName", "PostalZone", "CityName")
    return Party(
        name=node.said("PartyLegalEntity/RegistrationName", "PartyName/Name"), vat_id=vat, tax_number=tax,
        country=node.said("PostalAddress/Country/IdentificationCode"), address=_joined(node.one("PostalAddress"), parts),
    )  # fmt: skip


def _ubl_line(node: Node) -> InvoiceLine:
    quantity = node.one("InvoicedQuantity") or node.one("CreditedQuantity")
    price = _number(node.said("Price/PriceAmount"))
    base = _number(node.said("Price/BaseQuantity"))
    return InvoiceLine(
        number=node.said("ID"), name=node.said("Item/Name", "Item/Description"),
        quantity=_number(quantity.text) if quantity else None,
        unit=quantity.attributes.get("unitCode", "") if quantity else "",
        unit_price=price / base if price is not None and base else price, net=_number(node.said("LineExtensionAmount")),
        vat_rate=_number(node.said("Item/ClassifiedTaxCategory/Percent")),
    )  # fmt: skip


# --- FatturaPA ---


def _fattura(root: Node) -> EInvoice:
    head, body = root.one("FatturaElettronicaHeader") or root, root.one("FatturaElettronicaBody") or root
    general = body.one("DatiGenerali/DatiGeneraliDocumento") or body
    paid = body.all("DatiPagamento/DettaglioPagamento")
    groups = [
        TaxGroup(rate=_number(g.said("AliquotaIVA")), basis=_number(g.said("ImponibileImporto")), tax=_number(g.said("Imposta")))
        for g in body.all("DatiBeniServizi/DatiRiepilogo")
    ]  # fmt: skip
    net, tax = (sum(filter(None, values), Decimal()) for values in zip(*((g.basis, g.tax) for g in groups), strict=True)) if groups else (None, None)  # fmt: skip
    total = _number(general.said("ImportoTotaleDocumento"))
    return EInvoice(
        syntax="FatturaPA", profile=root.attributes.get("versione", ""),
        kind="credit note" if general.said("TipoDocumento") in ("TD04", "TD08") else "invoice",
        number=general.said("Numero"), issued=_date(general.said("Data")),
        due=_date(next((each.said("DataScadenzaPagamento") for each in paid), "")), currency=general.said("Divisa"),
        order=body.said("DatiGenerali/DatiOrdineAcquisto/IdDocumento"),
        seller=_fattura_party(head.one("CedentePrestatore")), buyer=_fattura_party(head.one("CessionarioCommittente")),
        lines=[
            InvoiceLine(
                number=line.said("NumeroLinea"), name=line.said("Descrizione"), quantity=_number(line.said("Quantita")),
                unit=line.said("UnitaMisura"), unit_price=_number(line.said("PrezzoUnitario")),
                net=_number(line.said("PrezzoTotale")), vat_rate=_number(line.said("AliquotaIVA")),
            )
            for line in body.all("DatiBeniServizi/DettaglioLinee")
        ],
        taxes=groups, net=net, tax=tax,
        total=total if total is not None or net is None or tax is None else net + tax,
        payable=sum(filter(None, (_number(each.said("ImportoPagamento")) for each in paid)), Decimal()) if paid else None,
        ibans=_unique(each.said("IBAN") for each in paid),
    )  # fmt: skip


def _fattura_party(node: Node | None) -> Party:
    if node is None:
        return Party()
    person = node.one("DatiAnagrafici") or node
    names = (person.said("Anagrafica/Nome"), person.said("Anagrafica/Cognome"))
    vat = person.said("IdFiscaleIVA/IdPaese") + person.said("IdFiscaleIVA/IdCodice")
    return Party(
        name=person.said("Anagrafica/Denominazione") or " ".join(filter(None, names)), vat_id=vat,
        tax_number=person.said("CodiceFiscale"), country=node.said("Sede/Nazione"),
        address=_joined(node.one("Sede"), ("Indirizzo", "NumeroCivico", "CAP", "Comune")),
    )  # fmt: skip


# --- values ---


def _number(text: str) -> Decimal | None:
    """A decimal as XML writes it; None for what is none."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value) < 10**15 else None


def _date(text: str) -> date | None:
    """ISO 8601, or CII's "20260314"."""
    match = re.match(r"(\d{4})-?(\d{2})-?(\d{2})", text.strip())
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def _joined(node: Node | None, names: Iterable[str]) -> str:
    return ", ".join(text for name in names if node is not None and (text := node.said(name)))


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys("".join(text.split()) for text in texts if text.strip()))


def _octets(data: bytes, depth: int) -> Iterable[bytes]:
    """The octet strings of a BER structure, in order: long contents are cut into several."""
    at = 0
    while at + 2 <= len(data):
        tag, at = data[at], at + 1
        length, at = data[at], at + 1
        if length == 0x80:
            size = len(data) - at
        elif length & 0x80:
            count = length & 0x7F
            size, at = int.from_bytes(data[at : at + count], "big"), at + count
        else:
            size = length
        inside = data[at : at + size]
        if tag == 0x04:
            yield inside
        elif tag & 0x20 and depth < 12:
            yield from _octets(inside, depth + 1)
        at += size
