"""What invoices call things, in seven languages, with how much each name is worth (1 is unmistakable).

The longest phrase that fits wins, so "invoice date" is never half of a date and half of a number. Phrases are
written as `figures.plain` leaves them: lower case, no accents, no outer punctuation.
"""

from __future__ import annotations

Phrase = tuple[str, ...]

_LABELS: dict[str, dict[str, float]] = {
    "number": {
        "invoice number": 1, "invoice no": 1, "invoice #": 1, "invoice id": 1, "inv no": 0.9, "invoice ref": 0.9,
        "tax invoice no": 1, "document number": 0.8, "bill number": 0.9, "bill no": 0.9, "rechnungsnummer": 1,
        "rechnungsnr": 1, "rechnung nr": 1, "rechnungs-nr": 1, "rechnung-nr": 1, "belegnummer": 0.8, "beleg-nr": 0.8,
        "gutschrift nr": 1, "facture no": 1, "facture numero": 1, "numero de facture": 1, "no de facture": 1,
        "no facture": 1, "facture #": 1, "avoir no": 1, "factura no": 1, "numero de factura": 1, "no de factura": 1,
        "no factura": 1, "factura num": 1, "fattura n": 1, "fattura no": 1, "numero fattura": 1, "n fattura": 1,
        "fattura nr": 1, "nota di credito n": 1, "factuurnummer": 1, "factuur nr": 1, "factuurnr": 1,
        "fakturanummer": 1,
        "fakturanr": 1, "faktura nr": 1, "credit note number": 1, "credit note no": 1,
        "invoice": 0.55, "tax invoice": 0.55, "rechnung": 0.55, "facture": 0.55, "factura": 0.55, "fattura": 0.55,
        "factuur": 0.55, "faktura": 0.55, "factura rectificativa": 0.5, "credit note": 0.5, "gutschrift": 0.5,
        "avoir": 0.5, "nota di credito": 0.5, "creditnota": 0.5, "kreditfaktura": 0.5,
    },
    "issued": {
        "invoice date": 1, "date of invoice": 1, "date of issue": 1, "issue date": 1, "issued on": 0.9, "issued": 0.8,
        "tax point": 0.7, "rechnungsdatum": 1, "datum der rechnung": 1, "belegdatum": 0.9, "ausstellungsdatum": 1,
        "date de facture": 1, "date de la facture": 1, "date facture": 1, "date d'emission": 1, "facture du": 0.8,
        "fecha de factura": 1, "fecha factura": 1, "fecha de emision": 1, "fecha": 0.75, "data fattura": 1,
        "data emissione": 1, "data di emissione": 1, "data documento": 0.9, "data": 0.7, "factuurdatum": 1,
        "fakturadatum": 1, "utstallningsdatum": 0.9, "date": 0.75, "datum": 0.75, "dated": 0.7,
    },
    "po_number": {
        "po number": 1, "po no": 1, "p.o. number": 1, "p.o. no": 1, "po #": 1, "po": 0.75, "purchase order": 1,
        "purchase order number": 1, "purchase order no": 1, "your order": 0.9, "your order no": 1,
        "your order number": 1, "order no": 0.85, "order number": 0.85, "customer po": 1, "your reference": 0.6,
        "your ref": 0.6, "bestellnummer": 1, "ihre bestellnummer": 1, "bestell-nr": 1, "ihre bestellung": 0.9,
        "bestellung nr": 0.95, "bestellung": 0.8, "auftragsnummer": 0.6, "no de commande": 1, "no commande": 1,
        "numero de commande": 1, "bon de commande": 0.95, "bon de commande no": 1, "votre commande": 0.9,
        "commande no": 1, "no de pedido": 1, "numero de pedido": 1, "pedido no": 1, "su pedido": 0.9, "pedido": 0.8,
        "ordine n": 1, "numero ordine": 1, "vs ordine": 0.9, "rif ordine": 0.9, "ordine": 0.75,
        "ordine d'acquisto": 0.95, "uw ordernummer": 1, "ordernummer": 0.85, "inkooporder": 1, "uw bestelling": 0.9,
        "bestelnummer": 1, "uw referentie": 0.6, "ert ordernummer": 1, "ert ordernr": 1, "inkopsorder": 1,
        "er referens": 0.5, "bestallningsnummer": 1,
    },
    "total": {
        "total due": 1, "amount due": 1, "total amount due": 1, "balance due": 0.95, "grand total": 1,
        "invoice total": 1, "total amount": 0.9, "total to pay": 1, "total payable": 1, "amount payable": 1,
        "total incl vat": 1, "total including vat": 1, "gross total": 1, "gross amount": 0.95, "total": 0.7,
        "gesamtbetrag": 1, "rechnungsbetrag": 1, "zahlbetrag": 1, "gesamtsumme": 0.95, "endbetrag": 1,
        "bruttobetrag": 1, "zu zahlen": 1, "zu zahlender betrag": 1, "gesamt brutto": 1, "gesamt": 0.7, "summe": 0.6,
        "total ttc": 1, "montant ttc": 1, "net a payer": 1, "montant total": 0.85, "total a payer": 1,
        "total general": 0.9, "total factura": 1, "importe total": 0.95, "total a pagar": 1, "totale fattura": 1,
        "totale documento": 1, "totale da pagare": 1, "netto a pagare": 1, "totale": 0.7, "te betalen": 1,
        "totaal te betalen": 1, "totaal incl btw": 1, "totaalbedrag": 0.95, "totaal": 0.7, "att betala": 1,
        "summa att betala": 1, "totalt": 0.75, "totalbelopp": 0.9,
    },
    "net": {
        "subtotal": 1, "sub-total": 1, "sub total": 1, "net total": 1, "net amount": 1, "total net": 1, "net": 0.8,
        "total excl vat": 1, "total excluding vat": 1, "nettobetrag": 1, "netto": 0.9, "summe netto": 1,
        "nettosumme": 1, "zwischensumme": 0.9, "gesamt netto": 1, "warenwert": 0.8, "total ht": 1, "montant ht": 1,
        "sous-total": 0.9, "total hors taxes": 1, "base imponible": 1, "subtotal sin iva": 1, "imponibile": 1,
        "totale imponibile": 1, "subtotale": 0.9, "subtotaal": 1, "totaal excl btw": 1, "summa exkl moms": 1,
        "delsumma": 0.9,
    },
    "tax": {
        "vat": 1, "vat amount": 1, "sales tax": 1, "consumption tax": 1, "tax": 0.8, "gst": 0.9, "mwst": 1, "ust": 1,
        "umsatzsteuer": 1, "mehrwertsteuer": 1, "tva": 1, "montant tva": 1, "iva": 1, "cuota iva": 1, "imposta": 0.9,
        "btw": 1, "moms": 1, "zzgl mwst": 1, "plus vat": 1, "total tax": 1,
    },
    # names that look like the above and are not
    "due": dict.fromkeys((
        "due date", "date due", "payment due", "due", "pay by", "faellig am", "fallig am", "faelligkeit",
        "falligkeit",
        "zahlbar bis", "falligkeitsdatum", "date d'echeance", "echeance", "vencimiento", "fecha de vencimiento",
        "scadenza", "data scadenza", "vervaldatum", "te betalen voor", "forfallodatum", "forfaller", "please pay by",
    ), 1.0),
    "other date": dict.fromkeys((
        "delivery date", "order date", "ship date", "lieferdatum", "leistungsdatum", "bestelldatum",
        "date de livraison",
        "date de commande", "fecha de entrega", "fecha de pedido", "data consegna", "data ordine", "leverdatum",
        "orderdatum", "leveransdatum", "service period", "leistungszeitraum", "print date", "druckdatum",
    ), 1.0),
    "other number": dict.fromkeys((
        "customer no", "customer number", "customer id", "account no", "account number", "client no", "kundennummer",
        "kunden-nr", "kundennr", "no client", "code client", "no de cliente", "codice cliente", "klantnummer",
        "kundnummer", "delivery note", "delivery note no", "lieferschein", "lieferschein-nr", "lieferscheinnummer",
        "bon de livraison", "albaran", "ddt n", "pakbon", "foljesedel", "tax number", "steuernummer", "steuernr",
        "siret",
        "siren", "page", "seite", "pagina", "sida", "our reference", "our ref", "unser zeichen", "telephone",
        "tel", "fax",
        "phone", "sort code", "bic", "swift", "konto", "registered no", "company no", "company number", "hrb", "kvk",
        "org nr", "invoice address", "quote no", "angebot nr", "contract no", "vertragsnummer",
        "please quote the invoice number",
    ), 1.0),
    "vat id": dict.fromkeys((
        "vat no", "vat number", "vat id", "vat reg no", "vat registration no", "ust-idnr", "ust-id-nr", "ust-id",
        "ustid",
        "ust id", "mwst-nr", "no tva", "numero de tva", "tva intracom", "tva intracommunautaire", "nif", "cif",
        "p iva", "partita iva", "btw-nr", "btw nr", "btw-nummer", "btw nummer", "momsreg.nr", "momsreg nr", "nip",
        "tax id", "ein", "uid", "your vat no", "your vat id",
    ), 1.0),
    "buyer": dict.fromkeys((
        "bill to", "billed to", "invoice to", "sold to", "ship to", "deliver to", "rechnung an", "rechnungsempfanger",
        "kunde", "lieferadresse", "rechnungsadresse", "facture a", "adresse de facturation", "adresse de livraison",
        "client", "destinataire", "facturar a", "cliente", "destinatario", "spett.le", "fatturato a", "factuuradres",
        "afleveradres", "aan", "faktureras", "fakturaadress", "leveransadress", "to", "customer",
    ), 1.0),
    "seller": dict.fromkeys((
        "from", "supplier", "vendor", "seller", "lieferant", "emetteur", "fournisseur", "vendeur", "proveedor",
        "emisor", "fornitore", "leverancier", "leverantor", "sold by",
    ), 1.0),
    "carried": dict.fromkeys((
        "carried forward", "brought forward", "balance carried forward", "ubertrag", "ubertrag von vorseite",
        "zwischensumme seite", "a reporter", "report", "suma y sigue", "suma anterior", "suma y sigue anterior",
        "a riportare", "riporto", "transporteren", "transport", "transport fran foregaende sida", "page total",
        "transport van vorige pagina",
    ), 1.0),
}  # fmt: skip

_COLUMNS: dict[str, str] = {
    "item": "item|item no|item code|code|sku|article|artikel|artikel-nr|artikelnr|art-nr|art nr|ref|reference"
    "|codigo|codice|part no|product code|mat-nr|artikelnummer",
    "position": "#|pos|position|no|nr|line|ln|lfd nr|rij",
    "description": "description|details|product|service|services|bezeichnung|beschreibung|leistung|artikelbezeichnung"
    "|designation|libelle|descripcion|concepto|descrizione|omschrijving|benamning|beskrivning|item description",
    "quantity": "qty|quantity|hours|units|menge|anzahl|stuck|qte|quantite|cantidad|cant|uds|quantita|qta|aantal|antal",
    "price": "unit price|price|rate|unit cost|einzelpreis|e-preis|ep|stuckpreis|preis|prix unitaire|pu ht|p.u|prix"
    "|precio|precio unitario|prezzo|prezzo unitario|prijs|prijs per stuk|stukprijs|a-pris|pris|styckpris",
    "amount": "amount|line total|total|net amount|extended|betrag|gesamtpreis|gesamt|summe|g-preis|montant|montant ht"
    "|total ht|importe|importo|totale|bedrag|totaal|belopp|summa|ext price",
    "rate": "vat|vat %|tax|tax %|mwst|mwst %|tva|tva %|iva|iva %|btw|btw %|moms|moms %|ust %",
    "unit": "unit|einheit|unite|unidad|um|u.m|eenheid|enhet|uom",
    "discount": "discount|disc|disc %|rabatt|remise|descuento|sconto|korting",
}

LABELS: dict[Phrase, tuple[str, float]] = {
    tuple(phrase.split()): (name, worth) for name, phrases in _LABELS.items() for phrase, worth in phrases.items()
}
COLUMNS: dict[Phrase, tuple[str, float]] = {
    tuple(phrase.split()): (name, 1.0) for name, phrases in _COLUMNS.items() for phrase in phrases.split("|")
}
CREDIT = frozenset(
    ("credit note", "gutschrift", "stornorechnung", "avoir", "factura rectificativa", "nota di credito", "creditnota",
     "creditfactuur", "kreditfaktura", "credit memo")
)  # fmt: skip
LEGAL_FORMS = (
    r"GmbH(?: & Co\.? KG)?|mbH|AG|KG|OHG|UG|e\.K\.|SE|Ltd\.?|Limited|LLP|plc|Inc\.?|LLC|Corp\.?|Co\."
    r"|S\.?A\.?R\.?L\.?|SAS|S\.A\.S\.?|S\.?A\.?|EURL|S\.L\.U?\.?|SL|S\.?r\.?l\.?|S\.p\.A\.?|SpA|B\.V\.|BV|N\.V\.|NV"
    r"|AB|A/S|ApS|AS|Oy|Sp\. ?z ?o\. ?o\.|S\.A|K\.K\.|Pty"
)
