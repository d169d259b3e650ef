"""What does not fit an AI step is said at once, and names the field; what comes from outside stops nothing but itself."""

from __future__ import annotations

import csv
import mailbox
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from intent_examples import EXAMPLES
from pydantic import BaseModel

from backstay.ai.anomalies import AnomalyStep, StreamDetector
from backstay.ai.anomalies.records import RecordDetector
from backstay.ai.classifying import Classifier
from backstay.ai.documents.model import Document
from backstay.ai.drafts import Template
from backstay.ai.extraction import Extractor
from backstay.ai.extraction.layout import IN_A_ROW
from backstay.ai.extraction.reading import prepare
from backstay.ai.knowledge import Folder, KnowledgeBase, Mailbox, Table
from backstay.ai.steps import Learning
from backstay.errors import AuthorError, InvalidInput, NotRetryable
from backstay.operations.step_examples import imported
from backstay.store.steps import Step


class Letter(BaseModel):
    name: str
    amount: int = 1


class Endless(BaseModel):
    total: int
    inner: Endless | None = None


LETTER = Extractor("letter", Letter)


def classifier(**given: Any) -> Classifier:
    every: dict[str, Any] = {"labels": ["a", "b"], "embeddings": None, **given}
    return Classifier("x", **every)


WRONG: list[tuple[str, Callable[[], Any]]] = [
    ("labels", lambda: classifier(labels="ab")),
    ("labels: 'a' is there twice", lambda: classifier(labels=["a", "a", "b"])),
    ("labels", lambda: classifier(labels=["", "b"])),
    ("labels", lambda: classifier(labels=[1, 2])),
    ("target", lambda: classifier(target=math.nan)),
    ("review", lambda: classifier(review=math.nan)),
    ("examples", lambda: classifier(examples="hello")),
    ("examples", lambda: classifier(examples=[("one", "a", "more")])),
    ("examples", lambda: classifier(examples=[(None, "a")])),
    ("examples: 'a' needs a list", lambda: classifier(examples={"a": "hello"})),
    ("embeddings", lambda: classifier(embeddings="minilm")),
    ("examples: one of 'a' has no text", lambda: classifier(examples={"a": ["one", " "]})),
    ("target: a number", lambda: classifier(target="0.9")),
    ("review: a number", lambda: classifier(review=None)),
    ("alarms", lambda: AnomalyStep("x", fields={"i": "id", "k": "key"}, alarms=0.5)),  # pyright: ignore[reportArgumentType]
    ("model", lambda: Extractor("x", dict)),  # pyright: ignore[reportArgumentType]
    ("nested deeper", lambda: Extractor("x", Endless)),
    ("labels", lambda: Extractor("x", Letter, labels={"name": "Name"})),
    ("ours", lambda: Extractor("x", Letter, ours="Ours Ltd")),
    ("sources", lambda: KnowledgeBase("x", sources="folder")),  # pyright: ignore[reportArgumentType]
    ("sources", lambda: KnowledgeBase("x", sources=["folder"])),  # pyright: ignore[reportArgumentType]
    ("fields", lambda: Template("x", "Dear {name}", fields=dict)),  # pyright: ignore[reportArgumentType]
    ("body", lambda: Template("x", "Dear {name:{amount}}", fields=Letter)),
]


@pytest.mark.parametrize(("named", "made"), WRONG)
def test_what_does_not_fit_is_named_at_once(named: str, made: Callable[[], Any]) -> None:
    with pytest.raises(AuthorError, match=named):
        made()


def test_a_value_that_its_format_does_not_fit_is_an_error_that_names_the_part() -> None:
    with pytest.raises(InvalidInput, match="body cannot be written with name"):
        Template("x", "Dear {name:.2f}", fields=Letter).fill({"name": "Ann"})


def test_an_amount_beyond_all_bounds_is_refused_for_good() -> None:
    detector = RecordDetector("x", {"i": "id", "k": "key", "a": "amount"})
    with pytest.raises(InvalidInput, match="'a' is no amount"):
        detector.read({"i": "1", "k": "2", "a": 10**400})


@pytest.mark.parametrize("texts", ["hello", [5], [None]])
def test_what_is_tried_is_a_list_of_texts(texts: Any) -> None:
    with pytest.raises(InvalidInput, match="texts: a list of texts"):
        classifier(examples={"a": ["one"], "b": ["two"]}).try_on(texts)


def test_a_row_that_is_no_number_and_a_state_that_is_none_are_refused_by_name() -> None:
    detector: Any = StreamDetector()
    for row in [(1, "x"), ("1", 2.0), (1, None), (1, 10**400)]:
        with pytest.raises(InvalidInput, match="at and value are numbers"):
            detector.score(*row)
    assert detector.rows == 0
    with pytest.raises(InvalidInput, match="state: .*mean.* is missing"):
        StreamDetector.restore({})


def test_a_row_without_a_time_is_a_missing_row() -> None:
    with_gaps, without = StreamDetector(), StreamDetector()
    for at in range(300):
        assert with_gaps.score(math.nan, 7.0) == 0.0
        assert with_gaps.score(float(at), at % 5) == without.score(float(at), at % 5)


@pytest.mark.parametrize(
    "text", ["1" * 100_000, "01/02/2026 " * 3_000, "Total " * 3_000, "DE89370400440532013000 " * 3_000]
)
def test_a_paper_that_never_ends_is_read_in_pieces(text: str) -> None:
    """Patterns would take minutes over one word of a hundred thousand figures; pytest's limit of time says whether they do."""
    sheet = prepare(Document(name="x", media_type="text/plain", digest="0" * 64, size=1, text=text), LETTER.shape).sheet
    assert sum(len(cell.tokens) for row in sheet.rows for cell in row.cells) <= IN_A_ROW
    assert LETTER.read(Document(name="x", media_type="text/plain", digest="0" * 64, size=1, text=text)).sure is False


# --- two programs on one home -----------------------------------------------------------------------------------------


def test_programs_with_other_code_on_one_home_take_turns_and_learn_once_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backstay.ai import steps

    learned, real = list[int](), steps.learn

    def learn(task: Any, examples: Any, *rest: Any) -> Any:
        learned.append(len(examples))
        return real(task, examples, *rest)

    monkeypatch.setattr(steps, "learn", learn)
    fewer = {label: texts[:-1] for label, texts in EXAMPLES.items()}
    programs: list[Learning] = [
        Classifier("x", labels=list(EXAMPLES), examples=each, embeddings=None).learning for each in (EXAMPLES, fewer)
    ]
    versions = [each.answering(tmp_path, "2026-01-01T00:00:00Z").version for each in programs * 3]
    for each in programs:
        each.close()
    assert versions == [1, 2] * 3
    assert len(learned) == 2


# --- imported examples ------------------------------------------------------------------------------------------------

STEP = Step(
    name="x", kind="classify", action="classify_x", declared={"labels": {"a": "", "b": ""}, "none": "none"}, at=""
)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("long.csv", f"text,label\n{'x' * (csv.field_size_limit() + 1)},a\n", "line 2: it cannot be read"),
        ("half.jsonl", '{"text": "\\ud800", "label": "a"}\n', "line 1: text: half a sign"),
        ("deep.jsonl", "[" * 100_000, "line 1: it is no JSON"),
        ("empty.csv", "", "empty.csv: it is empty"),
        ("blank.jsonl", "\n\n", "blank.jsonl: it is empty"),
        ("other.csv", "text,label\nhello,c\n", "line 2: label: 'c' is none of"),
    ],
)
def test_a_row_that_cannot_be_imported_is_named_by_its_line(tmp_path: Path, name: str, content: str, told: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InvalidInput, match=told):
        imported(tmp_path / name, STEP, by="ann", at="")


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_text_may_have_any_sign_that_ends_a_line_elsewhere(tmp_path: Path, name: str) -> None:
    text = "one\u2028two\x0cthree\x85four"
    row = (
        f"text,label\n{text},a\n"
        if name.endswith("csv")
        else f'{{"text": "{text}", "label": "a"}}\n'.replace("\x0c", "\\f")
    )
    (tmp_path / name).write_text(row, "utf-8")
    assert [each.text for each in imported(tmp_path / name, STEP, by="ann", at="").values()] == [text]


# --- a knowledge base of odd documents --------------------------------------------------------------------------------


def names_in(base: KnowledgeBase, home: Path) -> list[str]:
    base.index(home, "2026-01-01T00:00:00Z")
    found = base.look_up(home, "rule about parcels", [frozenset({"everyone"})], 10)
    return sorted(each.document for each in found.passages)


@pytest.mark.skipif(sys.platform != "linux", reason="a file's name is any bytes only there")
def test_a_file_whose_name_is_no_text_does_not_stop_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "good.md").write_text("# Parcels\n\nThe rule about parcels is here.")
    with open(os.fsencode(folder) + b"/bad\xff.md", "wb") as file:
        file.write(b"# Other\n\nAnother rule about parcels.")
    base = KnowledgeBase("k", sources=[Folder(folder)], embeddings=None)
    assert names_in(base, tmp_path) == ["bad\\udcff.md", "good.md"]


def test_a_senders_message_id_takes_no_documents_place_and_no_other_rights(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "policy.md").write_text("# Parcels\n\nThe rule about parcels is here.")
    box = mailbox.mbox(str(tmp_path / "box"))
    for said in ("<handbook/policy.md>", "<handbook/open@example.org>"):
        mail = mailbox.mboxMessage()
        mail["Message-ID"] = said
        mail.set_payload("There is no rule about parcels any more.")
        box.add(mail)
    box.close()
    sources = [Folder(folder, name="handbook"), Mailbox(tmp_path / "box")]
    access = {"handbook/*": ["everyone"], "*": ["group:desk"]}
    base = KnowledgeBase("k", sources=sources, embeddings=None, access=access)
    assert names_in(base, tmp_path) == ["handbook/policy.md"]


def test_a_table_with_a_field_that_is_too_long_is_refused_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(f"id,text\n1,{'x' * (csv.field_size_limit() + 1)}\n")
    base = KnowledgeBase("k", sources=[Table(file)], embeddings=None)
    with pytest.raises(NotRetryable, match=r"'rows.csv' cannot be read in line 2"):
        base.index(tmp_path, "2026-01-01T00:00:00Z")
