"""The same invoices in other forms: as an e-invoice, with one inside the PDF, as a picture from a scanner."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from xml.sax.saxutils import escape

import pypdfium2
from PIL import Image, ImageFilter

from examples.accounts_payable.making.catalogue import Case, Item
from examples.accounts_payable.making.hostile import updated, with_script
from examples.accounts_payable.making.layouts import print_invoice
from examples.accounts_payable.making.sellers import BUYER, BUYER_VAT, iban

_ITEM = """
  <ram:IncludedSupplyChainTradeLineItem>
   <ram:AssociatedDocumentLineDocument><ram:LineID>{line}</ram:LineID></ram:AssociatedDocumentLineDocument>
   <ram:SpecifiedTradeProduct><ram:Name>{name}</ram:Name></ram:SpecifiedTradeProduct>
   <ram:SpecifiedLineTradeAgreement><ram:NetPriceProductTradePrice><ram:ChargeAmount>{price}</ram:ChargeAmount></ram:NetPriceProductTradePrice></ram:SpecifiedLineTradeAgreement>
   <ram:SpecifiedLineTradeDelivery><ram:BilledQuantity unitCode="C62">{quantity}</ram:BilledQuantity></ram:SpecifiedLineTradeDelivery>
   <ram:SpecifiedLineTradeSettlement><ram:SpecifiedTradeSettlementLineMonetarySummation><ram:LineTotalAmount>{amount}</ram:LineTotalAmount></ram:SpecifiedTradeSettlementLineMonetarySummation></ram:SpecifiedLineTradeSettlement>
  </ram:IncludedSupplyChainTradeLineItem>"""

_INVOICE = """<?xml version="1.0" encoding="UTF-8"?>
<rsm:CrossIndustryInvoice xmlns:rsm="urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100" xmlns:ram="urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100" xmlns:udt="urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100">
 <rsm:ExchangedDocumentContext><ram:GuidelineSpecifiedDocumentContextParameter><ram:ID>urn:cen.eu:en16931:2017</ram:ID></ram:GuidelineSpecifiedDocumentContextParameter></rsm:ExchangedDocumentContext>
 <rsm:ExchangedDocument><ram:ID>{number}</ram:ID><ram:TypeCode>380</ram:TypeCode><ram:IssueDateTime><udt:DateTimeString format="102">{issued}</udt:DateTimeString></ram:IssueDateTime></rsm:ExchangedDocument>
 <rsm:SupplyChainTradeTransaction>{items}
  <ram:ApplicableHeaderTradeAgreement>
   <ram:SellerTradeParty><ram:Name>{seller}</ram:Name><ram:SpecifiedTaxRegistration><ram:ID schemeID="VA">{seller_vat}</ram:ID></ram:SpecifiedTaxRegistration></ram:SellerTradeParty>
   <ram:BuyerTradeParty><ram:Name>{buyer}</ram:Name><ram:SpecifiedTaxRegistration><ram:ID schemeID="VA">{buyer_vat}</ram:ID></ram:SpecifiedTaxRegistration></ram:BuyerTradeParty>
   <ram:BuyerOrderReferencedDocument><ram:IssuerAssignedID>{order}</ram:IssuerAssignedID></ram:BuyerOrderReferencedDocument>
  </ram:ApplicableHeaderTradeAgreement>
  <ram:ApplicableHeaderTradeDelivery/>
  <ram:ApplicableHeaderTradeSettlement>
   <ram:InvoiceCurrencyCode>{currency}</ram:InvoiceCurrencyCode>
   <ram:SpecifiedTradeSettlementPaymentMeans><ram:TypeCode>58</ram:TypeCode><ram:PayeePartyCreditorFinancialAccount><ram:IBANID>{iban}</ram:IBANID></ram:PayeePartyCreditorFinancialAccount></ram:SpecifiedTradeSettlementPaymentMeans>
   <ram:ApplicableTradeTax><ram:CalculatedAmount>{tax}</ram:CalculatedAmount><ram:TypeCode>VAT</ram:TypeCode><ram:BasisAmount>{net}</ram:BasisAmount><ram:CategoryCode>S</ram:CategoryCode><ram:RateApplicablePercent>{rate}</ram:RateApplicablePercent></ram:ApplicableTradeTax>
   <ram:SpecifiedTradeSettlementHeaderMonetarySummation><ram:LineTotalAmount>{net}</ram:LineTotalAmount><ram:TaxBasisTotalAmount>{net}</ram:TaxBasisTotalAmount><ram:TaxTotalAmount currencyID="{currency}">{tax}</ram:TaxTotalAmount><ram:GrandTotalAmount>{total}</ram:GrandTotalAmount><ram:DuePayableAmount>{total}</ram:DuePayableAmount></ram:SpecifiedTradeSettlementHeaderMonetarySummation>
  </ram:ApplicableHeaderTradeSettlement>
 </rsm:SupplyChainTradeTransaction>
</rsm:CrossIndustryInvoice>
"""


def written(case: Case) -> bytes:
    """The file of a case, in the form that its name says."""
    printed = print_invoice(case)
    if case.file.endswith(".xml"):
        return einvoice(case)
    if case.file.endswith(".png"):
        return scanned_page(printed)
    if "zugferd" in case.file:
        stranger = replace(case.seller, iban=iban("DE", "100500000190048217"))
        said = replace(case, seller=stranger) if case.story == "xml-differs" else case
        return with_einvoice(printed, einvoice(said))
    return with_script(printed) if case.script else printed


def einvoice(case: Case) -> bytes:
    """Cross Industry Invoice, the syntax of ZUGFeRD, Factur-X and one of the two of XRechnung."""
    seller = case.seller
    values = {
        "number": case.number, "issued": f"{case.issued:%Y%m%d}", "seller": seller.name, "seller_vat": seller.vat,
        "buyer": BUYER[0], "buyer_vat": BUYER_VAT, "order": case.order, "currency": seller.currency,
        "iban": seller.iban, "net": str(case.net), "tax": str(case.tax), "total": str(case.total),
        "rate": f"{seller.tax * 100:.2f}",
    }  # fmt: skip
    items = "".join(_item(place, item) for place, item in enumerate(case.items, 1))
    return _INVOICE.format(items=items, **{name: escape(value) for name, value in values.items()}).encode()


def _item(place: int, item: Item) -> str:
    return _ITEM.format(
        line=place, name=escape(item.description), price=item.price, quantity=item.quantity, amount=item.amount
    )


def with_einvoice(document: bytes, xml: bytes) -> bytes:
    """The same PDF with the XML embedded, as an incremental update of the file."""
    return updated(document, lambda first: (
        b"/Names << /EmbeddedFiles << /Names [(factur-x.xml) %d 0 R] >> >>" % first,
        b"<< /Type /Filespec /F (factur-x.xml) /UF (factur-x.xml) /AFRelationship /Alternative /EF << /F %d 0 R >> >>" % (first + 1),
        b"<< /Type /EmbeddedFile /Subtype /text#2Fxml /Length %d >>\nstream\n%s\nendstream" % (len(xml), xml),
    ))  # fmt: skip


def scanned_page(document: bytes, *, blur: float = 0.0) -> bytes:
    """The first page as a PNG from a scanner with 200 dots an inch, a little askew."""
    opened = pypdfium2.PdfDocument(document)
    page = opened[0].render(scale=200 / 72, grayscale=True).to_pil()
    opened.close()
    page = page.rotate(0.4, fillcolor=255, resample=Image.Resampling.BILINEAR).filter(ImageFilter.GaussianBlur(blur))
    out = BytesIO()
    page.point([shade // 32 * 36 for shade in range(256)]).save(out, "PNG", optimize=True, dpi=(200, 200))
    return out.getvalue()
