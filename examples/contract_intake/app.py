"""The application: its workflows, the queues of those who review, approve and sign, and how an offer arrives."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final

from backstay import App, Client, Queue
from backstay.governance.calendars import Calendar
from backstay.governance.queues import Escalation
from examples.contract_intake import actions
from examples.contract_intake.arrivals import received
from examples.contract_intake.process import clear_contract, intake_contract, review_contract
from examples.contract_intake.registry import Registry

OFFERS: Final = Path(__file__).parent / "contracts"
"""The example's own offers: metadata and text side by side."""

OFFICE: Final = Calendar(
    "vienna",
    zone="Europe/Vienna",
    hours={"mon-thu": "09:00-17:00", "fri": "09:00-14:00"},
    holidays={
        date(2026, 1, 1): "Neujahr",
        date(2026, 1, 6): "Heilige Drei Könige",
        date(2026, 4, 6): "Ostermontag",
        date(2026, 5, 1): "Staatsfeiertag",
        date(2026, 5, 14): "Christi Himmelfahrt",
        date(2026, 5, 25): "Pfingstmontag",
        date(2026, 6, 4): "Fronleichnam",
        date(2026, 8, 15): "Mariä Himmelfahrt",
        date(2026, 10, 26): "Nationalfeiertag",
        date(2026, 11, 1): "Allerheiligen",
        date(2026, 12, 8): "Mariä Empfängnis",
        date(2026, 12, 25): "Christtag",
        date(2026, 12, 26): "Stefanitag",
    },
)

REASONS: Final = ("too-dear", "too-risky", "not-needed")

QUEUES = (
    Queue(
        name="legal", owner="lotte", about="What the law says", members=("lotte", "leo"), calendar=OFFICE,
        within="3bd", remind=("2bd",), escalate=(Escalation(after="5bd", to="head-of-legal"),), lease="1d",
    ),
    Queue(name="head-of-legal", owner="hedwig", about="What legal left undone", members=("hedwig",), calendar=OFFICE),
    Queue(
        name="security", owner="sam", about="Where data go, and who sees them", members=("sam", "sara"),
        calendar=OFFICE, within="3bd", remind=("2bd",),
    ),
    Queue(
        name="architecture", owner="anna", about="Whether it fits what there is", members=("anna", "sam"),
        calendar=OFFICE, within="3bd", remind=("2bd",),
    ),
    Queue(
        name="head-of-purchasing", owner="paul", about="Contracts of low and medium risk", members=("paul", "petra"),
        calendar=OFFICE, within="2bd", remind=("1bd",), reasons=REASONS,
    ),
    Queue(
        name="board", owner="chair", about="Contracts of high risk", members=("bea", "bruno", "birgit"),
        calendar=OFFICE, within="5bd", remind=("2bd", "4bd"), priority=5, reasons=REASONS,
    ),
    Queue(
        name="signatories", owner="bea", about="Signatures, which cannot be taken back", members=("bea", "sigrid"),
        calendar=OFFICE, after_hours="decline", priority=9, reasons=REASONS,
    ),
    Queue(name="contract-desk", owner="doris", about="Contracts that were cleared and not signed", calendar=OFFICE),
    Queue(name="manual-backlog", owner="it-service", about="What the registry did not take"),
    Queue(name="operators", owner="it-service", about="Cases that cannot go on until something is mended"),
)  # fmt: skip

app = App("contract-intake", workflows=[intake_contract, clear_contract, review_contract], queues=QUEUES)


def set_up(home: Path) -> Registry:
    """Point the actions at the registry in `home`, which is made if there is none. Safe to repeat."""
    actions.use(home)
    return actions.registry()


async def arrive(client: Client, metadata: Path) -> str:
    """Start the case of an offer: a JSON file, and the text beside it; the same reference twice is one case."""
    offer = received(metadata)
    return await client.start(
        intake_contract, {"offer": offer}, key=offer.reference, by=offer.requester, trigger=f"file {metadata.name}"
    )
