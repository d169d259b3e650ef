"""An odd layout is read wrongly, is corrected once, and is read right the next time: for that vendor, and for no other."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from backstay import App, task, workflow
from backstay.ai.documents.model import Document
from backstay.ai.extraction import Extraction, Extractor, Learned
from backstay.ai.extraction.extractor import UNRECOGNISED
from backstay.ai.extraction.fits import refit
from backstay.ai.extraction.learning import ENOUGH, Lesson, posterior
from backstay.ai.extraction.scoring import shipped
from backstay.store.steps import STEPS_FILE, StepFile
from backstay.testing import Harness, harness
from backstay.types import Sensitive


class Invoice(BaseModel):
    vendor: str
    number: str
    issued: date
    total: Decimal


invoice = Extractor("odd", Invoice)
extract_odd, learn_odd = invoice.extract, invoice.learn

ODD = """{vendor}
12 Canal Street, Bristol BS1 4AP

Dispatch key       {key}
Invoice ref        Aisle-17
Printed            {issued}

Hydraulic hose 2 m            {total}

To be settled                 {total}
"""


def paper(number: str, day: date, total: str, vendor: str = "Quillfeather Supplies Ltd", page: str = ODD) -> Document:
    text = page.format(vendor=vendor, key=number, issued=day.strftime("%d/%m/%Y"), total=total)
    return Document(
        name=f"{number}.txt", media_type="text/plain", digest=f"{abs(int(number)):064x}", size=len(text), text=text
    )


@workflow
async def read_odd(document: dict):
    return await extract_odd(document)


@workflow
async def correct_odd(document: dict):
    return await learn_odd(document, await task("review", form=Invoice))


@workflow
async def mend_odd(document: dict, right: Invoice):
    """A person says the number alone; the rest is somebody else's word."""
    said = await task("review", form=Number)
    return await learn_odd(document, right.model_copy(update={"number": said.number}))


@workflow
async def invent_odd(document: dict, right: Invoice):
    """Nobody was asked, and yet it teaches."""
    return await learn_odd(document, right)


class Number(BaseModel):
    number: str


class Trader(BaseModel):
    vendor: Sensitive["pii"]
    number: str


trader = Extractor("trader", Trader)
learn_trader = trader.learn


@workflow
async def correct_trader(document: dict):
    return await learn_trader(document, await task("review", form=Trader))


app = App("odd", workflows=[read_odd, correct_odd, mend_odd, invent_odd, correct_trader], suppliers=[invoice, trader])


async def read(it: Harness, document: Document) -> Extraction[Invoice]:
    run = await it.start(read_odd, document=document.model_dump(mode="json"))
    return Extraction[Invoice].model_validate(await it.result(run))


async def correct(it: Harness, document: Document, right: Invoice) -> Learned:
    run = await it.start(correct_odd, document=document.model_dump(mode="json"))
    await it.complete(run, right.model_dump(mode="json"), by="maria")
    return Learned.model_validate(await it.result(run))


FIRST = paper("700123", date(2026, 3, 2), "120.00")
RIGHT = Invoice(vendor="Quillfeather Supplies Ltd", number="700123", issued=date(2026, 3, 2), total=Decimal("120.00"))


async def test_an_odd_layout_is_wrong_at_first_is_corrected_once_and_right_the_next_time() -> None:
    async with harness(app) as it:
        first = await read(it, FIRST)
        assert first.fields["number"].value == "Aisle-17"

        learned = await correct(it, FIRST, RIGHT)
        assert (learned.vendor, learned.absent) == ("Quillfeather Supplies Ltd", [])
        assert "number" in learned.places

        second = await read(it, paper("700456", date(2026, 4, 9), "88.50"))
        assert second.fields["number"].value == "700456"
        assert second.vendor == "Quillfeather Supplies Ltd"
        assert "earlier papers" in second.fields["number"].why
        assert second.value == Invoice(
            vendor="Quillfeather Supplies Ltd", number="700456", issued=date(2026, 4, 9), total=Decimal("88.50")
        )


async def test_what_was_learned_of_one_vendor_says_nothing_of_another() -> None:
    async with harness(app) as it:
        await correct(it, FIRST, RIGHT)
        other = await read(it, paper("700789", date(2026, 4, 9), "88.50", vendor="Marrowby Traders Ltd"))
        assert other.vendor == ""
        assert other.fields["number"].value == "Aisle-17"


async def test_a_correction_survives_a_restart_and_is_kept_once() -> None:
    async with harness(app) as it:
        await correct(it, FIRST, RIGHT)
        await it.restart()
        second = await read(it, paper("700456", date(2026, 4, 9), "88.50"))
        assert second.fields["number"].value == "700456"
        file = StepFile(Path(it.home))
        try:
            (kept,) = file.examples("odd", "person")
            assert (kept.label, kept.by) == ("Quillfeather Supplies Ltd", "maria")
        finally:
            file.close()


async def test_what_is_kept_of_a_paper_are_labels_and_places_not_its_values() -> None:
    async with harness(app) as it:
        await correct(it, FIRST, RIGHT)
        assert b"700123" not in b"".join(each.read_bytes() for each in Path(it.home).glob(f"{STEPS_FILE}*"))


async def test_nothing_is_learned_that_no_person_said_in_the_case() -> None:
    async with harness(app) as it:
        told = {"document": FIRST.model_dump(mode="json"), "right": RIGHT.model_dump(mode="json")}
        run = await it.start(invent_odd, **told)
        assert it.status(run) == "failed"
        assert it.events(run, "call_failed")[0].fault.type == "NotObserved"
        run = await it.start(mend_odd, **told)
        await it.complete(run, {"number": "700123"}, by="maria")
        learned = Learned.model_validate(await it.result(run))
        assert (learned.vendor, learned.places, learned.why) == ("", [], UNRECOGNISED)
        assert (await read(it, paper("700456", date(2026, 4, 9), "88.50"))).vendor == ""


async def test_a_private_sender_is_not_kept() -> None:
    async with harness(app) as it:
        run = await it.start(correct_trader, document=FIRST.model_dump(mode="json"))
        await it.complete(run, {"vendor": "Quillfeather Supplies Ltd", "number": "700123"}, by="maria")
        assert Learned.model_validate(await it.result(run)).vendor == ""
        kept = b"".join(each.read_bytes() for each in Path(it.home).glob(f"{STEPS_FILE}*")).lower()
        assert b"quillfeather" not in kept


def test_a_few_papers_move_weights_a_little_and_many_move_them_far() -> None:
    prior = {"bias": 0.0, "own": 1.0}
    rows = [({"own": 1.0}, False), ({"odd": 1.0}, True)]
    few, many = posterior(prior, rows * 2), posterior(prior, rows * 400)
    assert prior["own"] > few["own"] > many["own"]
    assert 0 < few["odd"] < many["odd"]


def test_a_lesson_is_json() -> None:
    told = Lesson(document="0" * 64, vendor="Acme")
    assert Lesson.model_validate_json(told.model_dump_json()) == told


async def test_another_fit_answers_once_somebody_accepts_it() -> None:
    async with harness(app) as it:
        for number in range(ENOUGH):
            digits = str(710_000 + number)
            right = Invoice(
                vendor="Quillfeather Supplies Ltd", number=digits, issued=date(2026, 3, 2), total=Decimal("120.00")
            )
            await correct(it, paper(digits, date(2026, 3, 2), "120.00"), right)
        file = StepFile(Path(it.home))
        try:
            made = refit(file, "odd", by="ann", at="2026-11-20T00:00:00Z")
            before: Any = made.report["before"]
            assert (made.report["examples"], made.accepted_by) == (ENOUGH, None)
            assert float(str(made.report["accuracy"])) >= before["accuracy"]
            stranger = paper("700789", date(2026, 4, 9), "88.50", vendor="Marrowby Traders Ltd")
            assert (await read(it, stranger)).by.endswith(shipped().version)
            file.accept("odd", made.version, at="2026-11-20T00:00:01Z", by="ann")
            assert not (await read(it, stranger)).by.endswith(shipped().version)
        finally:
            file.close()
