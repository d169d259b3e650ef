"""What the made invoices say: labels, goods, months and number formats of seven languages."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

LABELS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Invoice", "credit": "Credit note", "number": "Invoice number", "date": "Invoice date",
        "due": "Due date", "po": "PO number", "customer": "Customer no.", "bill_to": "Bill to", "from": "From",
        "item": "Item", "description": "Description", "quantity": "Qty", "price": "Unit price", "amount": "Amount",
        "net": "Subtotal", "tax": "VAT", "total": "Total due", "carried": "Carried forward",
        "brought": "Brought forward", "page": "Page", "of": "of", "vat_id": "VAT no.", "bank": "Bank details",
        "thanks": "Please quote the invoice number with your payment. Payment within 30 days.",
    },
    "de": {
        "title": "Rechnung", "credit": "Gutschrift", "number": "Rechnungsnummer", "date": "Rechnungsdatum",
        "due": "Fällig am", "po": "Ihre Bestellnummer", "customer": "Kundennummer", "bill_to": "Rechnung an",
        "from": "Lieferant", "item": "Artikel", "description": "Bezeichnung", "quantity": "Menge",
        "price": "Einzelpreis", "amount": "Betrag", "net": "Nettobetrag", "tax": "MwSt.", "total": "Gesamtbetrag",
        "carried": "Übertrag", "brought": "Übertrag von Vorseite", "page": "Seite", "of": "von",
        "vat_id": "USt-IdNr.", "bank": "Bankverbindung",
        "thanks": "Zahlbar innerhalb von 30 Tagen ohne Abzug. Vielen Dank für Ihren Auftrag.",
    },
    "fr": {
        "title": "Facture", "credit": "Avoir", "number": "Facture n°", "date": "Date de facture",
        "due": "Date d'échéance", "po": "N° de commande", "customer": "N° client", "bill_to": "Facturé à",
        "from": "Émetteur", "item": "Réf.", "description": "Désignation", "quantity": "Qté", "price": "Prix unitaire",
        "amount": "Montant", "net": "Total HT", "tax": "TVA", "total": "Total TTC", "carried": "À reporter",
        "brought": "Report", "page": "Page", "of": "sur", "vat_id": "N° TVA", "bank": "Coordonnées bancaires",
        "thanks": "Règlement à 30 jours par virement. Merci de votre confiance.",
    },
    "es": {
        "title": "Factura", "credit": "Factura rectificativa", "number": "Número de factura",
        "date": "Fecha de factura", "due": "Vencimiento", "po": "Nº de pedido", "customer": "Nº de cliente",
        "bill_to": "Facturar a", "from": "Proveedor", "item": "Código", "description": "Descripción",
        "quantity": "Cantidad", "price": "Precio", "amount": "Importe", "net": "Base imponible", "tax": "IVA",
        "total": "Total factura", "carried": "Suma y sigue", "brought": "Suma anterior", "page": "Página", "of": "de",
        "vat_id": "NIF", "bank": "Datos bancarios", "thanks": "Pago a 30 días por transferencia bancaria.",
    },
    "it": {
        "title": "Fattura", "credit": "Nota di credito", "number": "Fattura n.", "date": "Data fattura",
        "due": "Scadenza", "po": "Ordine n.", "customer": "Codice cliente", "bill_to": "Destinatario",
        "from": "Fornitore", "item": "Codice", "description": "Descrizione", "quantity": "Quantità",
        "price": "Prezzo unitario", "amount": "Importo", "net": "Imponibile", "tax": "IVA",
        "total": "Totale fattura", "carried": "A riportare", "brought": "Riporto", "page": "Pagina", "of": "di",
        "vat_id": "P. IVA", "bank": "Coordinate bancarie", "thanks": "Pagamento a 30 giorni con bonifico.",
    },
    "nl": {
        "title": "Factuur", "credit": "Creditnota", "number": "Factuurnummer", "date": "Factuurdatum",
        "due": "Vervaldatum", "po": "Uw ordernummer", "customer": "Klantnummer", "bill_to": "Factuuradres",
        "from": "Leverancier", "item": "Artikel", "description": "Omschrijving", "quantity": "Aantal",
        "price": "Prijs per stuk", "amount": "Bedrag", "net": "Subtotaal", "tax": "BTW", "total": "Te betalen",
        "carried": "Transporteren", "brought": "Transport", "page": "Pagina", "of": "van", "vat_id": "BTW-nr.",
        "bank": "Bankgegevens", "thanks": "Gelieve binnen 30 dagen te betalen onder vermelding van het factuurnummer.",
    },
    "sv": {
        "title": "Faktura", "credit": "Kreditfaktura", "number": "Fakturanummer", "date": "Fakturadatum",
        "due": "Förfallodatum", "po": "Ert ordernummer", "customer": "Kundnummer", "bill_to": "Faktureras",
        "from": "Leverantör", "item": "Artikelnr", "description": "Benämning", "quantity": "Antal",
        "price": "À-pris", "amount": "Belopp", "net": "Netto", "tax": "Moms", "total": "Att betala",
        "carried": "Transport", "brought": "Transport från föregående sida", "page": "Sida", "of": "av",
        "vat_id": "Momsreg.nr", "bank": "Bankuppgifter", "thanks": "Betalningsvillkor 30 dagar netto.",
    },
}

GOODS: dict[str, tuple[str, ...]] = {
    "en": ("Copy paper A4, 80 g", "Toner cartridge, black", "Desk lamp, LED", "Archive boxes, pack of 10",
           "Ergonomic chair, grey", "Network cable Cat 6, 5 m", "Whiteboard markers, set", "USB-C docking station",
           "Shipping cartons 40 x 30 cm", "Safety gloves, size 9"),
    "de": ("Kugellager 6204-2RS", "Hydraulikschlauch DN 12, 2 m", "Wellendichtring 35x52x7", "Zahnriemen HTD 5M",
           "Sechskantschraube M8x40, verzinkt", "Schaltschrank, 600 x 800", "Prüfprotokoll und Abnahme",
           "Präzisionsführung, 400 mm", "Getriebeöl CLP 220, 20 l", "Näherungsschalter M18"),
    "fr": ("Ramettes papier A4, 80 g", "Classeurs à levier, bleu", "Enveloppes à fenêtre, boîte de 500",
           "Étiquettes d'expédition", "Chaise de bureau réglable", "Stylos à bille, lot de 50",
           "Imprimés personnalisés, format A5", "Tableau blanc émaillé", "Agrafeuse de bureau", "Reliure, 40 pages"),
    "es": ("Guantes de protección, talla 9", "Cinta de embalar, caja", "Palés de madera, 120 x 80",
           "Film estirable, 500 mm", "Detergente industrial, 10 l", "Señalización de seguridad",
           "Estantería metálica, 5 baldas", "Carretilla plegable", "Cascos de obra, amarillo", "Botiquín completo"),
    "it": ("Viti a testa esagonale M10", "Trapano a colonna", "Punte per metallo, serie", "Morsa da banco 125 mm",
           "Chiavi combinate, set da 12", "Lubrificante spray, 400 ml", "Rondelle zincate, conf. da 500",
           "Lama per sega a nastro", "Scaffale per officina", "Carta abrasiva, grana 120"),
    "nl": ("Transport Rotterdam - Hamburg", "Opslag per palletplaats", "Laden en lossen", "Europallets, gebruikt",
           "Douaneafhandeling", "Koelopslag per week", "Verpakkingsmateriaal", "Spoedlevering binnen 24 uur",
           "Etiketteren per colli", "Wachturen chauffeur"),
    "sv": ("Skiftnyckel 12 tum", "Borrmaskin, batteridriven", "Skyddsglasögon", "Måttband 5 m",
           "Verktygslåda, stål", "Arbetshandskar, par", "Sågblad för trä", "Spännband 8 m", "Limtving 600 mm",
           "Hörselkåpor"),
    "data": ("Cloud storage, per TB and month", "Database support, gold", "Monitoring seats", "Backup retention, 90 days",
             "Data transfer, 1 TB", "Analytics workspace", "Single sign-on add-on", "Sandbox environment",
             "Onboarding workshop", "Audit log archive"),
    "precision": ("Ball bearing 6202ZZ", "Dial gauge 0-10 mm", "Linear guide SSR15", "Caliper, 150 mm",
                  "Ceramic bearing 608", "Spindle unit, 24k rpm", "Gauge block set", "Micrometer, 0-25 mm",
                  "Thrust washer AS2035", "Ball screw nut"),
    "packaging": ("Folding cartons 30 x 20 x 15", "Kraft paper, 50 m roll", "Bubble wrap, 1 x 100 m",
                  "Pallet covers", "Adhesive tape, brown", "Corner protectors", "Stretch film, black",
                  "Printed mailing boxes", "Void fill, 500 l", "Document pouches"),
    "facilities": ("Window cleaning, north wing", "Lift inspection", "Carpet cleaning, per room", "Boiler service",
                   "Night security, per shift", "Waste removal", "Plumbing repair", "Fire extinguisher check",
                   "Garden maintenance", "Reception cover"),
    "catering": ("Buffet lunch, per person", "Coffee and pastries", "Sandwich platters", "Mineral water, crate",
                 "Waiting staff, per hour", "Table linen", "Fruit baskets", "Dinner menu, three courses",
                 "Crockery hire", "Delivery and set-up"),
    "cleaning": ("Unterhaltsreinigung, monatlich", "Glasreinigung", "Grundreinigung Flur", "Teppichreinigung",
                 "Winterdienst", "Treppenhausreinigung", "Sonderreinigung Lager", "Fassadenreinigung",
                 "Hausmeisterdienst, Stunde", "Reinigungsmittel"),
}

MONTHS: dict[str, tuple[str, ...]] = {
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"),
    "de": ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober",
           "November", "Dezember"),
    "fr": ("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
           "novembre", "décembre"),
    "es": ("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre",
           "noviembre", "diciembre"),
    "it": ("gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio", "agosto", "settembre",
           "ottobre", "novembre", "dicembre"),
    "nl": ("januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober",
           "november", "december"),
    "sv": ("januari", "februari", "mars", "april", "maj", "juni", "juli", "augusti", "september", "oktober",
           "november", "december"),
}

_MARKS = {"comma-point": (",", "."), "point-comma": (".", ","), "space-comma": ("\u00a0", ","), "tick-point": ("'", ".")}


def figure(value: Decimal, style: str, decimals: int = 2) -> str:
    """Write an amount as its country does: "comma-point" 1,234.56, "tick-point" 1'234.56 and so on."""
    thousands, point = _MARKS[style]
    whole, _, fraction = f"{abs(value):.{decimals}f}".partition(".")
    groups = [whole[max(0, end - 3) : end] for end in range(len(whole), 0, -3)]
    text = thousands.join(reversed(groups)) + (point + fraction if fraction else "")
    return f"-{text}" if value < 0 else text


def day(value: date, style: str, language: str) -> str:
    """Write a date as its country does: "dots", "slashes", "us", "iso", or "long" with the month's name."""
    month = MONTHS[language][value.month - 1]
    match style:
        case "dots":
            return f"{value:%d.%m.%Y}"
        case "slashes":
            return f"{value:%d/%m/%Y}"
        case "us":
            return f"{month} {value.day}, {value.year}"
        case "iso":
            return value.isoformat()
        case "hyphens":
            return f"{value:%d-%m-%Y}"
        case _:
            return f"{value.day}{'.' if language == 'de' else ''} {month} {value.year}"
