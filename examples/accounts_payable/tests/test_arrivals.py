"""Which invoice came first is decided by the order of arrival, in whatever order the runs get their turn."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.accounts_payable.arrivals import PATIENCE, EarlierNotRead, claim, enter
from examples.accounts_payable.erp import Erp, seed
from examples.accounts_payable.models import Document


@pytest.fixture
def erp(tmp_path: Path) -> Erp:
    return seed(tmp_path / "erp.db")


def arrived(place: int, name: str = "") -> Document:
    name = name or f"{place}.pdf"
    return Document(
        digest=f"digest of {name}", name=name, path="-", size=1, media_type="application/pdf", arrival=place
    )


def test_the_second_arrival_of_a_number_sees_the_first_even_when_its_run_is_faster(erp: Erp) -> None:
    first, second = arrived(1), arrived(2)
    enter(erp, second, "V-1001", "F-7")
    with pytest.raises(EarlierNotRead, match=r"'2\.pdf' waits for arrival 1"):
        claim(erp, second, "V-1001", "F-7")
    enter(erp, first, "V-1001", "f 7")
    assert claim(erp, first, "V-1001", "f 7") == []
    assert [seen.source for seen in claim(erp, second, "V-1001", "F-7")] == ["1.pdf"]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_order_of_turns_and_repetitions_gives_the_same_verdicts(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    erp = seed(tmp_path_factory.mktemp("erp") / "erp.db")
    numbers = ["A", "B", "A", None, "A", "B"]
    documents = [arrived(place) for place in range(1, 7)]
    turns = data.draw(st.lists(st.integers(0, 5), max_size=40)) + data.draw(st.permutations(range(6))) + list(range(6))
    verdicts: dict[str, list[str]] = {}
    for turn in turns:
        document, number = documents[turn], numbers[turn]
        enter(erp, document, "V-1001" if number else None, number or "")
        if number:
            try:
                seen = [found.source for found in claim(erp, document, "V-1001", number, patient=True)]
            except EarlierNotRead:
                continue
            assert verdicts.setdefault(document.name, seen) == seen
    assert verdicts == {
        "1.pdf": [],
        "2.pdf": [],
        "3.pdf": ["1.pdf"],
        "5.pdf": ["1.pdf", "3.pdf"],
        "6.pdf": ["2.pdf"],
    }


def test_a_correction_by_a_person_goes_to_the_end(erp: Erp) -> None:
    unclear, clear = arrived(1), arrived(2)
    enter(erp, unclear, None, "")
    enter(erp, clear, "V-1001", "F-7")
    assert claim(erp, clear, "V-1001", "F-7") == []
    assert [seen.source for seen in claim(erp, unclear, "V-1001", "F-7")] == ["2.pdf"]
    assert [seen.source for seen in claim(erp, unclear, "V-1001", "F-7")] == ["2.pdf"]
    assert claim(erp, clear, "V-1001", "F-7") == []


def test_a_document_that_came_another_way_is_last(erp: Erp) -> None:
    enter(erp, arrived(1), "V-1001", "F-7")
    enter(erp, arrived(0, "upload.pdf"), "V-1001", "F-7")
    assert [seen.source for seen in claim(erp, arrived(0, "upload.pdf"), "V-1001", "F-7")] == ["1.pdf"]
    enter(erp, arrived(2), "V-1001", "F-8")
    assert claim(erp, arrived(2), "V-1001", "F-8") == []


def test_what_the_books_held_before_counts_as_seen(erp: Erp) -> None:
    enter(erp, arrived(1), "V-1010", "744917")
    old = next(row for row in erp.posted() if not row["document"])
    seen = claim(erp, arrived(1), old["vendor_id"], old["number"])
    assert [found.source for found in seen] == ["books"]


def test_an_arrival_that_is_never_read_holds_the_others_up_for_a_while_and_is_passed_over(erp: Erp) -> None:
    enter(erp, arrived(2), "V-1001", "F-7")
    for _ in range(PATIENCE):
        with pytest.raises(EarlierNotRead):
            claim(erp, arrived(2), "V-1001", "F-7")
    assert claim(erp, arrived(2), "V-1001", "F-7") == []
    enter(erp, arrived(1), "V-1001", "F-7")
    assert [seen.source for seen in claim(erp, arrived(1), "V-1001", "F-7")] == ["2.pdf"]
