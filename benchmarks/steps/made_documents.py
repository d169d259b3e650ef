"""Makes the documents that tests and benchmarks read: invoices as PDF, scan and XML, office files, mails.

Nothing here is from a public set: each is drawn and written from the facts in `Facts`.
"""

from __future__ import annotations

import base64
import io
import random
import zipfile
from dataclasses import dataclass, field
from decimal import Decimal
from email.message import EmailMessage
from typing import Any


@dataclass(frozen=True)
class Facts:
    """What an invoice says."""

    number: str = "RE-2026-5192"
    issued: str = "2026-03-14"
    seller: str = "Brandt & Söhne Maschinenbau GmbH"
    vat_id: str = "DE136695976"
    buyer: str = "Nordkai Trading GmbH"
    iban: str = "DE89370400440532013000"
    order: str = "PO-045054"
    currency: str = "EUR"
    lines: tuple[tuple[str, Decimal, Decimal], ...] = (
        ("Bearing 6204-2RS", Decimal(22), Decimal("796.14")),
        ("Hex screw M8x40, zinc plated", Decimal(17), Decimal("111.06")),
        ("Proximity sensor M18", Decimal(3), Decimal("983.88")),
    )
    rate: Decimal = Decimal(19)
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def net(self) -> Decimal:
        return sum((quantity * price for _, quantity, price in self.lines), Decimal()).quantize(Decimal("0.01"))

    @property
    def tax(self) -> Decimal:
        return (self.net * self.rate / 100).quantize(Decimal("0.01"))

    @property
    def total(self) -> Decimal:
        return self.net + self.tax


def invoice_pdf(facts: Facts = Facts(), *, turned: int = 0, password: str = "", pages: int = 1) -> bytes:
    """An invoice with a text layer. turned: the /Rotate of its pages."""
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    lock = StandardEncryption(password) if password else None
    canvas = Canvas(buffer, pagesize=(595, 842), encrypt=lock, invariant=1)
    for _ in range(pages):
        _draw(canvas, facts)
        canvas.showPage()
    canvas.save()
    return _turned(buffer.getvalue(), turned) if turned else buffer.getvalue()


def _turned(pdf: bytes, turned: int) -> bytes:
    import pypdfium2

    document = pypdfium2.PdfDocument(pdf)
    for page in document:
        page.set_rotation(turned)
    buffer = io.BytesIO()
    document.save(buffer)
    document.close()
    return buffer.getvalue()


def _draw(canvas: Any, facts: Facts) -> None:
    def put(x: float, y: float, text: str, size: float = 10, right: bool = False) -> None:
        canvas.setFont("Helvetica", size)
        (canvas.drawRightString if right else canvas.drawString)(x, 842 - y, text)

    put(60, 60, facts.seller, 14)
    put(60, 120, facts.buyer)
    for row, (label, value) in enumerate(
        (("Invoice number", facts.number), ("Date", facts.issued), ("Your order", facts.order))
    ):
        put(360, 120 + 14 * row, label)
        put(540, 120 + 14 * row, value, right=True)
    put(60, 200, "Description")
    for x, head in ((360, "Quantity"), (450, "Price"), (540, "Amount")):
        put(x, 200, head, right=True)
    top = 220
    for name, quantity, price in facts.lines:
        put(60, top, name)
        for x, value in ((360, f"{quantity}"), (450, f"{price:,.2f}"), (540, f"{quantity * price:,.2f}")):
            put(x, top, value, right=True)
        top += 16
    for label, value in (("Net", facts.net), (f"VAT {facts.rate}%", facts.tax), ("Total", facts.total)):
        top += 18
        put(400, top, label)
        put(540, top, f"{value:,.2f} {facts.currency}", right=True)
    iban = " ".join(facts.iban[at : at + 4] for at in range(0, len(facts.iban), 4))
    put(60, 780, f"IBAN {iban}", 8)
    put(360, 780, f"VAT id {facts.vat_id}", 8)
    for at, (label, value) in enumerate(facts.extra.items()):
        put(60, 600 + 14 * at, f"{label} {value}")


def picture(
    pdf: bytes, *, dots: int = 200, turned: int = 0, skew: float = 0.0, noise: float = 0.0, seed: int = 1
) -> Any:
    """The first page of a PDF as a scanner sees it: a Pillow image."""
    import numpy as np
    import pypdfium2
    from PIL import Image

    document = pypdfium2.PdfDocument(pdf)
    image = document[0].render(scale=dots / 72).to_pil().convert("RGB")
    document.close()
    if skew:
        image = image.rotate(skew, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC)
    if turned:
        image = image.rotate(turned, expand=True)
    if noise:
        grain = np.random.default_rng(seed).normal(0, noise, (image.height, image.width, 1))
        image = Image.fromarray(np.clip(np.asarray(image).astype(float) + grain, 0, 255).astype("uint8"))
    return image


def scan(pdf: bytes, form: str = "PDF", **how: Any) -> bytes:
    """A scan as PDF, PNG, JPEG or TIFF."""
    buffer = io.BytesIO()
    dots = how.get("dots", 200)
    picture(pdf, **how).save(buffer, form, **({"resolution": dots} if form == "PDF" else {"dpi": (dots, dots)}))
    return buffer.getvalue()


def with_file(pdf: bytes, name: str, data: bytes) -> bytes:
    """A PDF with an embedded file."""
    import pypdfium2

    document = pypdfium2.PdfDocument(pdf)
    document.new_attachment(name).set_data(data)
    buffer = io.BytesIO()
    document.save(buffer)
    document.close()
    return buffer.getvalue()


def cii(facts: Facts = Facts(), **other: str) -> bytes:
    """Factur-X. other: what the XML says otherwise than the facts: number, total, iban."""
    said = {"number": facts.number, "total": str(facts.total), "iban": facts.iban} | other
    lines = "".join(
        f"""<ram:IncludedSupplyChainTradeLineItem>
        <ram:AssociatedDocumentLineDocument><ram:LineID>{number}</ram:LineID></ram:AssociatedDocumentLineDocument>
        <ram:SpecifiedTradeProduct><ram:Name>{_escaped(name)}</ram:Name></ram:SpecifiedTradeProduct>
        <ram:SpecifiedLineTradeAgreement><ram:NetPriceProductTradePrice><ram:ChargeAmount>{price}</ram:ChargeAmount>
        </ram:NetPriceProductTradePrice></ram:SpecifiedLineTradeAgreement>
        <ram:SpecifiedLineTradeDelivery><ram:BilledQuantity unitCode="C62">{quantity}</ram:BilledQuantity>
        </ram:SpecifiedLineTradeDelivery>
        <ram:SpecifiedLineTradeSettlement><ram:ApplicableTradeTax><ram:RateApplicablePercent>{facts.rate}
        </ram:RateApplicablePercent></ram:ApplicableTradeTax><ram:SpecifiedTradeSettlementLineMonetarySummation>
        <ram:LineTotalAmount>{quantity * price}</ram:LineTotalAmount></ram:SpecifiedTradeSettlementLineMonetarySummation>
        </ram:SpecifiedLineTradeSettlement></ram:IncludedSupplyChainTradeLineItem>"""
        for number, (name, quantity, price) in enumerate(facts.lines, 1)
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
    <rsm:CrossIndustryInvoice xmlns:rsm="urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100"
      xmlns:ram="urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100"
      xmlns:udt="urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100">
    <rsm:ExchangedDocumentContext><ram:GuidelineSpecifiedDocumentContextParameter><ram:ID>urn:cen.eu:en16931:2017</ram:ID>
    </ram:GuidelineSpecifiedDocumentContextParameter></rsm:ExchangedDocumentContext>
    <rsm:ExchangedDocument><ram:ID>{said["number"]}</ram:ID><ram:TypeCode>380</ram:TypeCode><ram:IssueDateTime>
    <udt:DateTimeString format="102">{facts.issued.replace("-", "")}</udt:DateTimeString></ram:IssueDateTime>
    </rsm:ExchangedDocument><rsm:SupplyChainTradeTransaction>{lines}
    <ram:ApplicableHeaderTradeAgreement><ram:SellerTradeParty><ram:Name>{_escaped(facts.seller)}</ram:Name>
    <ram:PostalTradeAddress><ram:CountryID>{facts.vat_id[:2]}</ram:CountryID></ram:PostalTradeAddress>
    <ram:SpecifiedTaxRegistration><ram:ID schemeID="VA">{facts.vat_id}</ram:ID></ram:SpecifiedTaxRegistration>
    </ram:SellerTradeParty><ram:BuyerTradeParty><ram:Name>{_escaped(facts.buyer)}</ram:Name></ram:BuyerTradeParty>
    <ram:BuyerOrderReferencedDocument><ram:IssuerAssignedID>{facts.order}</ram:IssuerAssignedID>
    </ram:BuyerOrderReferencedDocument></ram:ApplicableHeaderTradeAgreement><ram:ApplicableHeaderTradeSettlement>
    <ram:InvoiceCurrencyCode>{facts.currency}</ram:InvoiceCurrencyCode><ram:SpecifiedTradeSettlementPaymentMeans>
    <ram:PayeePartyCreditorFinancialAccount><ram:IBANID>{said["iban"]}</ram:IBANID></ram:PayeePartyCreditorFinancialAccount>
    </ram:SpecifiedTradeSettlementPaymentMeans><ram:ApplicableTradeTax><ram:CalculatedAmount>{facts.tax}
    </ram:CalculatedAmount><ram:BasisAmount>{facts.net}</ram:BasisAmount><ram:RateApplicablePercent>{facts.rate}
    </ram:RateApplicablePercent></ram:ApplicableTradeTax><ram:SpecifiedTradeSettlementHeaderMonetarySummation>
    <ram:TaxBasisTotalAmount>{facts.net}</ram:TaxBasisTotalAmount>
    <ram:TaxTotalAmount currencyID="{facts.currency}">{facts.tax}</ram:TaxTotalAmount>
    <ram:GrandTotalAmount>{said["total"]}</ram:GrandTotalAmount><ram:DuePayableAmount>{said["total"]}</ram:DuePayableAmount>
    </ram:SpecifiedTradeSettlementHeaderMonetarySummation></ram:ApplicableHeaderTradeSettlement>
    </rsm:SupplyChainTradeTransaction></rsm:CrossIndustryInvoice>""".strip().encode()


def ubl(facts: Facts = Facts(), *, credit: bool = False, print_: bytes = b"") -> bytes:
    """Peppol BIS: an invoice, or a credit note. print_: a PDF that lies in it."""
    root, item, quantity_name = ("CreditNote", "CreditNoteLine", "CreditedQuantity") if credit else ("Invoice", "InvoiceLine", "InvoicedQuantity")  # fmt: skip
    money = f'currencyID="{facts.currency}"'
    lines = "".join(
        f"""<cac:{item}><cbc:ID>{number}</cbc:ID><cbc:{quantity_name} unitCode="EA">{quantity}</cbc:{quantity_name}>
        <cbc:LineExtensionAmount {money}>{quantity * price}</cbc:LineExtensionAmount><cac:Item><cbc:Name>{_escaped(name)}</cbc:Name>
        <cac:ClassifiedTaxCategory><cbc:Percent>{facts.rate}</cbc:Percent></cac:ClassifiedTaxCategory></cac:Item>
        <cac:Price><cbc:PriceAmount {money}>{price}</cbc:PriceAmount></cac:Price></cac:{item}>"""
        for number, (name, quantity, price) in enumerate(facts.lines, 1)
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
    <{root} xmlns="urn:oasis:names:specification:ubl:schema:xsd:{root}-2"
     xmlns:cac="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
     xmlns:cbc="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2">
    <cbc:CustomizationID>urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0</cbc:CustomizationID>
    <cbc:ID>{facts.number}</cbc:ID><cbc:IssueDate>{facts.issued}</cbc:IssueDate>
    <cbc:{root}TypeCode>{381 if credit else 380}</cbc:{root}TypeCode>
    <cbc:DocumentCurrencyCode>{facts.currency}</cbc:DocumentCurrencyCode>
    {_in_ubl(print_)}<cac:OrderReference><cbc:ID>{facts.order}</cbc:ID></cac:OrderReference>
    <cac:AccountingSupplierParty><cac:Party><cac:PostalAddress><cac:Country><cbc:IdentificationCode>{facts.vat_id[:2]}
    </cbc:IdentificationCode></cac:Country></cac:PostalAddress><cac:PartyTaxScheme><cbc:CompanyID>{facts.vat_id}</cbc:CompanyID>
    <cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:PartyTaxScheme><cac:PartyLegalEntity>
    <cbc:RegistrationName>{_escaped(facts.seller)}</cbc:RegistrationName></cac:PartyLegalEntity></cac:Party>
    </cac:AccountingSupplierParty><cac:AccountingCustomerParty><cac:Party><cac:PartyName>
    <cbc:Name>{_escaped(facts.buyer)}</cbc:Name></cac:PartyName></cac:Party></cac:AccountingCustomerParty>
    <cac:PaymentMeans><cac:PayeeFinancialAccount><cbc:ID>{facts.iban}</cbc:ID></cac:PayeeFinancialAccount></cac:PaymentMeans>
    <cac:TaxTotal><cbc:TaxAmount currencyID="SEK">999</cbc:TaxAmount></cac:TaxTotal>
    <cac:TaxTotal><cbc:TaxAmount {money}>{facts.tax}</cbc:TaxAmount><cac:TaxSubtotal>
    <cbc:TaxableAmount {money}>{facts.net}</cbc:TaxableAmount><cbc:TaxAmount {money}>{facts.tax}</cbc:TaxAmount><cac:TaxCategory>
    <cbc:Percent>{facts.rate}</cbc:Percent></cac:TaxCategory></cac:TaxSubtotal></cac:TaxTotal><cac:LegalMonetaryTotal>
    <cbc:TaxExclusiveAmount {money}>{facts.net}</cbc:TaxExclusiveAmount><cbc:TaxInclusiveAmount {money}>{facts.total}
    </cbc:TaxInclusiveAmount><cbc:PayableAmount {money}>{facts.total}</cbc:PayableAmount></cac:LegalMonetaryTotal>{lines}
    </{root}>""".strip().encode()


def _in_ubl(pdf: bytes) -> str:
    if not pdf:
        return ""
    packed = base64.b64encode(pdf).decode()
    return (
        "<cac:AdditionalDocumentReference><cbc:ID>1</cbc:ID><cac:Attachment><cbc:EmbeddedDocumentBinaryObject "
        f'mimeCode="application/pdf" filename="print.pdf">{packed}</cbc:EmbeddedDocumentBinaryObject></cac:Attachment>'
        "</cac:AdditionalDocumentReference>"
    )


def fattura(facts: Facts = Facts()) -> bytes:
    """FatturaPA, in the letters that Italy used to write it in."""
    lines = "".join(
        f"""<DettaglioLinee><NumeroLinea>{number}</NumeroLinea><Descrizione>{_escaped(name)}</Descrizione>
        <Quantita>{quantity}</Quantita><PrezzoUnitario>{price}</PrezzoUnitario><PrezzoTotale>{quantity * price}</PrezzoTotale>
        <AliquotaIVA>{facts.rate}</AliquotaIVA></DettaglioLinee>"""
        for number, (name, quantity, price) in enumerate(facts.lines, 1)
    )
    return f"""<?xml version="1.0" encoding="windows-1252"?>
    <p:FatturaElettronica xmlns:p="http://ivaservizi.agenziaentrate.gov.it/docs/xsd/fatture/v1.2" versione="FPR12">
    <FatturaElettronicaHeader><CedentePrestatore><DatiAnagrafici><IdFiscaleIVA><IdPaese>{facts.vat_id[:2]}</IdPaese>
    <IdCodice>{facts.vat_id[2:]}</IdCodice></IdFiscaleIVA><Anagrafica><Denominazione>{_escaped(facts.seller)}</Denominazione>
    </Anagrafica></DatiAnagrafici><Sede><Nazione>{facts.vat_id[:2]}</Nazione></Sede></CedentePrestatore><CessionarioCommittente>
    <DatiAnagrafici><Anagrafica><Nome>Anna</Nome><Cognome>Colombo</Cognome></Anagrafica></DatiAnagrafici>
    </CessionarioCommittente></FatturaElettronicaHeader><FatturaElettronicaBody><DatiGenerali><DatiGeneraliDocumento>
    <TipoDocumento>TD01</TipoDocumento><Divisa>{facts.currency}</Divisa><Data>{facts.issued}</Data><Numero>{facts.number}</Numero>
    <ImportoTotaleDocumento>{facts.total}</ImportoTotaleDocumento></DatiGeneraliDocumento><DatiOrdineAcquisto>
    <IdDocumento>{facts.order}</IdDocumento></DatiOrdineAcquisto></DatiGenerali><DatiBeniServizi>{lines}<DatiRiepilogo>
    <AliquotaIVA>{facts.rate}</AliquotaIVA><ImponibileImporto>{facts.net}</ImponibileImporto><Imposta>{facts.tax}</Imposta>
    </DatiRiepilogo></DatiBeniServizi><DatiPagamento><DettaglioPagamento>
    <DataScadenzaPagamento>2026-04-13</DataScadenzaPagamento><ImportoPagamento>{facts.total}</ImportoPagamento>
    <IBAN>{facts.iban}</IBAN></DettaglioPagamento></DatiPagamento></FatturaElettronicaBody></p:FatturaElettronica>
    """.strip().encode("cp1252")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


# --- office and mail ---


def zipped(files: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def docx(body: str, **more: str | bytes) -> bytes:
    """A letter. body: the XML of its paragraphs, where `w` is the namespace."""
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    return zipped({"word/document.xml": f"<w:document {space}><w:body>{body}</w:body></w:document>", **more})


def mail(body: str = "Please find our invoice attached.", *files: tuple[str, bytes], **headers: str) -> EmailMessage:
    """A mail with attachments."""
    message = EmailMessage()
    for name, value in {
        "From": "Ann <ann@example.org>",
        "To": "ap@example.com",
        "Subject": "Rechnung für März",
        **headers,
    }.items():
        message[name] = value
    message.set_content(body)
    for name, data in files:
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message


def random_facts(seed: int) -> Facts:
    """Another invoice."""
    chance = random.Random(seed)
    lines = tuple(
        (
            f"Article {chance.randrange(1000, 9999)}",
            Decimal(chance.randrange(1, 40)),
            Decimal(chance.randrange(100, 99999)) / 100,
        )
        for _ in range(chance.randrange(2, 12))
    )
    return Facts(number=f"{chance.choice('ABR')}{chance.randrange(10**6)}", lines=lines)
