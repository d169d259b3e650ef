"""The sites: where people work, when, and on which public holidays they do not.

One table for both that need it: the queues' calendars, and the HR system that counts days of leave. It ends with 2027.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from backstay.governance.calendars import Calendar

HAMBURG: Final = Calendar(
    "hamburg",
    zone="Europe/Berlin",
    hours={"mon-thu": "09:00-17:00", "fri": "09:00-15:00"},
    holidays={
        date(2026, 1, 1): "Neujahr",
        date(2026, 4, 3): "Karfreitag",
        date(2026, 4, 6): "Ostermontag",
        date(2026, 5, 1): "Tag der Arbeit",
        date(2026, 5, 14): "Christi Himmelfahrt",
        date(2026, 5, 25): "Pfingstmontag",
        date(2026, 10, 3): "Tag der Deutschen Einheit",
        date(2026, 10, 31): "Reformationstag",
        date(2026, 12, 25): "Erster Weihnachtstag",
        date(2026, 12, 26): "Zweiter Weihnachtstag",
        date(2027, 1, 1): "Neujahr",
        date(2027, 3, 26): "Karfreitag",
        date(2027, 3, 29): "Ostermontag",
        date(2027, 5, 1): "Tag der Arbeit",
        date(2027, 5, 6): "Christi Himmelfahrt",
        date(2027, 5, 17): "Pfingstmontag",
        date(2027, 10, 3): "Tag der Deutschen Einheit",
        date(2027, 10, 31): "Reformationstag",
        date(2027, 12, 25): "Erster Weihnachtstag",
        date(2027, 12, 26): "Zweiter Weihnachtstag",
    },
)

KRAKOW: Final = Calendar(
    "krakow",
    zone="Europe/Warsaw",
    hours={"mon-fri": "08:00-16:00"},
    holidays={
        date(2026, 1, 1): "Nowy Rok",
        date(2026, 1, 6): "Święto Trzech Króli",
        date(2026, 4, 5): "Wielkanoc",
        date(2026, 4, 6): "Poniedziałek Wielkanocny",
        date(2026, 5, 1): "Święto Pracy",
        date(2026, 5, 3): "Święto Narodowe Trzeciego Maja",
        date(2026, 5, 24): "Zielone Świątki",
        date(2026, 6, 4): "Boże Ciało",
        date(2026, 8, 15): "Wniebowzięcie Najświętszej Maryi Panny",
        date(2026, 11, 1): "Wszystkich Świętych",
        date(2026, 11, 11): "Narodowe Święto Niepodległości",
        date(2026, 12, 24): "Wigilia Bożego Narodzenia",
        date(2026, 12, 25): "Boże Narodzenie",
        date(2026, 12, 26): "Drugi dzień Bożego Narodzenia",
        date(2027, 1, 1): "Nowy Rok",
        date(2027, 1, 6): "Święto Trzech Króli",
        date(2027, 3, 28): "Wielkanoc",
        date(2027, 3, 29): "Poniedziałek Wielkanocny",
        date(2027, 5, 1): "Święto Pracy",
        date(2027, 5, 3): "Święto Narodowe Trzeciego Maja",
        date(2027, 5, 16): "Zielone Świątki",
        date(2027, 5, 27): "Boże Ciało",
        date(2027, 8, 15): "Wniebowzięcie Najświętszej Maryi Panny",
        date(2027, 11, 1): "Wszystkich Świętych",
        date(2027, 11, 11): "Narodowe Święto Niepodległości",
        date(2027, 12, 24): "Wigilia Bożego Narodzenia",
        date(2027, 12, 25): "Boże Narodzenie",
        date(2027, 12, 26): "Drugi dzień Bożego Narodzenia",
    },
)

SITES: Final = {site.name: site for site in (HAMBURG, KRAKOW)}
