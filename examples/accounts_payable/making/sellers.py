"""Who sends the invoices: vendors as they print themselves and as the master data know them, and two strangers."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

BUYER = ("Nordkai Trading GmbH", "Speicherstraße 12", "20457 Hamburg", "Germany")
BUYER_VAT = "DE811907980"


@dataclass(frozen=True, kw_only=True)
class Seller:
    """A vendor as it prints itself, and as the master data know it (`id` is empty for strangers)."""

    id: str
    name: str
    street: str
    town: str
    country: str
    vat: str
    iban: str
    language: str
    currency: str
    numbers: str
    dates: str
    tax: Decimal
    layout: str
    pattern: str
    """How its invoice numbers look: `#` is a digit, `Y` the year in two digits."""
    colour: str = "#1f3a5f"
    aliases: tuple[str, ...] = ()
    cost_centre: str = "4000"
    status: Literal["active", "blocked"] = "active"
    labels: dict[str, str] = field(default_factory=dict)
    goods: str = ""
    """What it sells, where that is not the usual of its language."""


def iban(country: str, account: str) -> str:
    """Make an IBAN with right check digits (ISO 13616, mod 97)."""
    digits = "".join(str(int(sign, 36)) for sign in f"{account}{country}00")
    return f"{country}{98 - int(digits) % 97:02d}{account}"


def _seller(id: str, name: str, street: str, town: str, country: str, vat: str, account: str, **rest: object) -> Seller:
    bank = iban(country, account) if account[:1] != "!" else account[1:]
    return Seller(id=id, name=name, street=street, town=town, country=country, vat=vat, iban=bank, **rest)  # type: ignore[arg-type]


D = Decimal
SELLERS: dict[str, Seller] = {
    "brandt": _seller(
        "V-1001",
        "Brandt & Söhne Maschinenbau GmbH",
        "Industriestraße 48",
        "70565 Stuttgart",
        "DE",
        "DE136695976",
        "370400440532013000",
        language="de",
        currency="EUR",
        numbers="point-comma",
        dates="dots",
        tax=D("0.19"),
        layout="window",
        pattern="RE-20Y-####",
        aliases=("Brandt und Soehne",),
        cost_centre="4100",
    ),
    "hawthorne": _seller(
        "V-1002",
        "Hawthorne Office Supplies Ltd",
        "27 Tanner Street",
        "London SE1 3LD",
        "GB",
        "GB980780684",
        "NWBK60161331926819",
        language="en",
        currency="GBP",
        numbers="comma-point",
        dates="long",
        tax=D("0.20"),
        layout="left",
        pattern="HOS-######",
        colour="#7a1f2b",
        cost_centre="4200",
    ),
    "lumiere": _seller(
        "V-1003",
        "Papeterie Lumière SARL",
        "14 rue des Archives",
        "75004 Paris",
        "FR",
        "FR40303265045",
        "20041010050500013M02606",
        language="fr",
        currency="EUR",
        numbers="space-comma",
        dates="slashes",
        tax=D("0.20"),
        layout="band",
        pattern="FA20Y/####",
        colour="#0b6e4f",
        cost_centre="4200",
    ),
    "iberica": _seller(
        "V-1004",
        "Suministros Ibérica S.L.",
        "Calle de Alcalá 115",
        "28009 Madrid",
        "ES",
        "ESB58378431",
        "21000418450200051332",
        language="es",
        currency="EUR",
        numbers="point-comma",
        dates="slashes",
        tax=D("0.21"),
        layout="grid",
        pattern="F-Y-#####",
        colour="#8a4b08",
        cost_centre="4300",
    ),
    "colombo": _seller(
        "V-1005",
        "Ferramenta Colombo S.r.l.",
        "Via Torino 61",
        "20123 Milano",
        "IT",
        "IT00743110157",
        "X0542811101000000123456",
        language="it",
        currency="EUR",
        numbers="point-comma",
        dates="slashes",
        tax=D("0.22"),
        layout="band",
        pattern="###/20Y",
        colour="#5b2a86",
        cost_centre="4100",
    ),
    "vandermeer": _seller(
        "V-1006",
        "Van der Meer Logistiek B.V.",
        "Waalhaven Oostzijde 5",
        "3087 BM Rotterdam",
        "NL",
        "NL004495445B01",
        "ABNA0417164300",
        language="nl",
        currency="EUR",
        numbers="point-comma",
        dates="hyphens",
        tax=D("0.21"),
        layout="modern",
        pattern="Y######",
        colour="#c2410c",
        cost_centre="4500",
    ),
    "alpenblick": _seller(
        "V-1007",
        "Alpenblick Präzision AG",
        "Bahnhofstrasse 9",
        "6300 Zug",
        "CH",
        "CHE-116.281.710",
        "00762011623852957",
        language="de",
        currency="CHF",
        numbers="tick-point",
        dates="long",
        tax=D("0.081"),
        layout="left",
        pattern="AP#####",
        colour="#9f1239",
        cost_centre="4100",
    ),
    "cascade": _seller(
        "V-1008",
        "Cascade Data Services Inc.",
        "410 Pike Street, Suite 900",
        "Seattle, WA 98101",
        "US",
        "",
        "!",
        language="en",
        currency="USD",
        numbers="comma-point",
        dates="us",
        tax=D(0),
        layout="modern",
        pattern="INV-####-Y",
        goods="data",
        colour="#0e7490",
        cost_centre="4600",
        labels={"number": "Invoice #", "net": "Sub-total", "total": "Amount due", "po": "Purchase order"},
    ),
    "kansai": _seller(
        "V-1009",
        "Kansai Seimitsu K.K.",
        "2-4-9 Umeda, Kita-ku",
        "Osaka 530-0001",
        "JP",
        "T8010401050387",
        "!",
        language="en",
        currency="JPY",
        numbers="comma-point",
        dates="iso",
        tax=D("0.10"),
        layout="grid",
        pattern="KS-Y##-###",
        goods="precision",
        cost_centre="4100",
        labels={"tax": "Consumption tax", "total": "Grand total", "po": "Your order no."},
    ),
    "norrland": _seller(
        "V-1010",
        "Norrland Verktyg AB",
        "Storgatan 31",
        "903 26 Umeå",
        "SE",
        "SE556703748501",
        "50000000058398257466",
        language="sv",
        currency="SEK",
        numbers="space-comma",
        dates="iso",
        tax=D("0.25"),
        layout="plain",
        pattern="######",
        cost_centre="4100",
    ),
    "wisla": _seller(
        "V-1011",
        "Wisła Opakowania Sp. z o.o.",
        "ul. Dolna 7",
        "30-527 Kraków",
        "PL",
        "PL6762484560",
        "109010140000071219812874",
        language="en",
        currency="PLN",
        numbers="space-comma",
        dates="dots",
        tax=D("0.23"),
        layout="strip",
        pattern="FV/##/20Y",
        goods="packaging",
        cost_centre="4300",
        labels={"total": "Total to pay", "net": "Net total", "po": "Order no."},
    ),
    "romand": _seller(
        "V-1012",
        "Atelier Romand SA",
        "Rue du Rhône 42",
        "1204 Genève",
        "CH",
        "CHE-107.787.577",
        "04835012345678009",
        language="fr",
        currency="CHF",
        numbers="tick-point",
        dates="dots",
        tax=D("0.081"),
        layout="strip",
        pattern="AR-####",
        colour="#334155",
        cost_centre="4200",
    ),
    "meridian": _seller(
        "V-1013",
        "Meridian Facilities plc",
        "1 Harbour Exchange",
        "Dublin D02 X285",
        "IE",
        "IE6388047V",
        "AIBK93115212345678",
        language="en",
        currency="EUR",
        numbers="comma-point",
        dates="slashes",
        tax=D("0.23"),
        layout="plain",
        pattern="MF#######",
        goods="facilities",
        cost_centre="4700",
        labels={"total": "Invoice total"},
    ),
    "tyrol": _seller(
        "V-1014",
        "Tiroler Hebetechnik GmbH",
        "Innrain 22",
        "6020 Innsbruck",
        "AT",
        "ATU33864707",
        "2050302101023600",
        language="de",
        currency="EUR",
        numbers="point-comma",
        dates="dots",
        tax=D("0.20"),
        layout="window",
        pattern="TH##-####",
        cost_centre="4100",
        status="blocked",
    ),
    "quayside": _seller(
        "",
        "Quayside Catering Ltd",
        "8 Albert Dock",
        "Liverpool L3 4AA",
        "GB",
        "GB123456782",
        "BARC20000055779911",
        language="en",
        currency="GBP",
        numbers="comma-point",
        dates="long",
        tax=D("0.20"),
        layout="strip",
        pattern="QC-####",
        goods="catering",
    ),
    "blitz": _seller(
        "",
        "Blitz Gebäudereinigung GmbH",
        "Am Wehrhahn 90",
        "40211 Düsseldorf",
        "DE",
        "DE287654321",
        "300209000106531065",
        language="de",
        currency="EUR",
        numbers="point-comma",
        dates="dots",
        tax=D("0.19"),
        layout="left",
        pattern="20Y####",
        goods="cleaning",
    ),
}
