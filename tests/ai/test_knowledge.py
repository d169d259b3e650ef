"""A knowledge base finds what its documents say, cites where, and says when it is not there."""

from __future__ import annotations

import csv
import mailbox
import re
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay import App, action, workflow
from backstay.ai.knowledge import Folder, KnowledgeBase, Mailbox, Pages, Table
from backstay.ai.knowledge import base as knowledge_base
from backstay.ai.knowledge.asking import EVERYONE
from backstay.ai.knowledge.passages import WORDS, Section, of_html, of_markdown, passages
from backstay.ai.knowledge.sources import DocumentSource
from backstay.ai.sentences import folded_words, sentences
from backstay.errors import AuthorError, NotFound, NotRetryable
from backstay.testing import harness

ME = [frozenset({EVERYONE})]
AT = "2026-01-05T09:00:00Z"
DOCS = Path(__file__).parents[2] / "docs"


def base_of(home: Path, *sources: DocumentSource) -> KnowledgeBase:
    base = KnowledgeBase("handbook", sources=sources, embeddings=None)
    base.index(home, AT)
    return base


def best(base: KnowledgeBase, home: Path, query: str) -> str:
    return next((each.document for each in base.look_up(home, query, ME, 1).passages), "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "docs"
    made.mkdir()
    return made


# --- where documents come from --------------------------------------------------------------------------


def test_a_passage_is_cited_by_document_headings_number_and_version(tmp_path: Path, folder: Path) -> None:
    text = "# Staff handbook\n\nWelcome.\n\n## Leave\n\nThirty days a year.\n\n### Sick leave\n\nCall before nine o'clock.\n"
    (folder / "staff.md").write_text(text, "utf-8")
    base = base_of(tmp_path, Folder(folder))
    (passage, *_) = base.look_up(tmp_path, "when must I call if I am sick", ME, 3).passages
    assert (passage.document, passage.title, passage.number, passage.page) == ("staff.md", "Staff handbook", 3, None)
    assert passage.heading == ["Staff handbook", "Leave", "Sick leave"]
    assert passage.text == "Call before nine o'clock."
    assert passage.citation == f"staff.md#3@{passage.version[:12]}"
    assert base.cited(tmp_path, passage.citation, ME).text == passage.text
    with pytest.raises(NotFound, match="refers to nothing"):
        base.cited(tmp_path, "staff.md#9@" + passage.version[:12], ME)


def test_a_folder_holds_pages_and_other_files_and_what_cannot_be_read_is_said(tmp_path: Path, folder: Path) -> None:
    page = "<html><title>Canteen</title><script>var x = 'soup'</script><h1>Menu</h1><p>Soup on <b>Monday</b>.</p><h2>Prices</h2><p>Five euros.</p>"
    (folder / "canteen.html").write_text(page, "utf-8")
    (folder / "notes.txt").write_bytes("Der Schlüssel liegt beim Pförtner.".encode("cp1252"))
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing of the kind")
    (folder / ".hidden.md").write_text("the soup is hidden", "utf-8")
    (tmp_path / "outside.md").write_text("the soup is outside", "utf-8")
    (folder / "link.md").symlink_to(tmp_path / "outside.md")
    base = KnowledgeBase("handbook", sources=[Folder(folder)], embeddings=None)
    (said,) = base.index(tmp_path, AT).unreadable
    assert said.startswith("broken.pdf: is ")
    (soup,) = base.look_up(tmp_path, "soup", ME, 5).passages
    assert (soup.document, soup.title, soup.heading, soup.text) == (
        "canteen.html",
        "Canteen",
        ["Menu"],
        "Soup on Monday.",
    )
    assert best(base, tmp_path, "schlussel") == "notes.txt"
    assert base.index(tmp_path, AT).read == 0  # what is broken is not read again either


def test_a_mailbox_is_read_with_its_attachments(tmp_path: Path) -> None:
    box = mailbox.mbox(tmp_path / "post.mbox")
    for number, (subject, text) in enumerate(
        [("Lieferung verspätet", "The truck is late."), ("Invoice", "Please pay soon.")]
    ):
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["Message-ID"] = (
            subject,
            "info@brandt.example",
            f"<m{number}@brandt.example>",
        )
        mail.set_content(text)
        mail.add_attachment("the pallets weigh 300 kilos", filename="weights.txt")
        box.add(mail)
    box.close()
    base = base_of(tmp_path, Mailbox(tmp_path / "post.mbox"))
    (late, *_) = base.look_up(tmp_path, "truck late", ME, 1).passages
    assert (late.document, late.title) == ("m0@brandt.example", "Lieferung verspätet")
    attached = base.look_up(tmp_path, "pallets weigh", ME, 2).passages
    assert [each.heading for each in attached] == [["weights.txt"], ["weights.txt"]]
    assert base.index(tmp_path, AT).read == 0


def test_rows_of_a_table_are_documents(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "faq.db")) as connection:
        connection.execute("CREATE TABLE faq (id INTEGER, question TEXT, answer TEXT, note TEXT)")
        connection.executemany(
            "INSERT INTO faq VALUES (?, ?, ?, ?)",
            [
                (1, "How do I reset my password?", "Use the form.", None),
                (2, "Where is my parcel?", "Look at the tracking page.", "x"),
            ],
        )
        connection.commit()
    with (tmp_path / "sites.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";").writerows(
            [["site", "city", "opens"], ["north", "Bergen", "at eight"], ["south", "Porto", "at ten"]]
        )
    faq = Table(tmp_path / "faq.db", key="id", title="question", text=["answer"], name="faq")
    base = base_of(tmp_path, faq, Table(tmp_path / "sites.csv"))
    (found, *_) = base.look_up(tmp_path, "reset password", ME, 1).passages
    assert (found.document, found.title, found.text) == ("faq/1", "How do I reset my password?", "Use the form.")
    assert base.look_up(tmp_path, "porto", ME, 1).passages[0].text == "city: Porto\nopens: at ten"
    with pytest.raises(NotRetryable, match="has no column 'titel'"):
        Table(tmp_path / "faq.db", key="titel").survey()
    with pytest.raises(NotRetryable, match="no such column: titel"):
        Table(tmp_path / "faq.db", query="SELECT titel FROM faq").survey()


@pytest.fixture
def site() -> Iterator[str]:
    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            there = self.path == "/prices"
            to = {"/old": "/prices", "/inside": "http://169.254.169.254/secrets", "/round": "/round"}.get(self.path)
            self.send_response(301 if to else 200 if there else 404)
            if to:
                self.send_header("Location", to)
            self.end_headers()
            self.wfile.write(b"<h1>Prices</h1><p>A night costs 80 crowns.</p>" if there else b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_pages_are_fetched_and_one_that_is_away_is_not_forgotten(tmp_path: Path, site: str) -> None:
    base = base_of(tmp_path, Pages([f"{site}/prices"]))
    (found,) = base.look_up(tmp_path, "night crowns", ME, 1).passages
    assert (found.document, found.heading) == (f"{site}/prices", ["Prices"])
    base.sources = (Pages([f"{site}/prices", f"{site}/gone"]),)
    with pytest.raises(ConnectionError, match="answered 404"):
        base.index(tmp_path, AT)
    assert best(base, tmp_path, "crowns") == f"{site}/prices"


def test_a_page_that_has_moved_is_followed_on_its_own_server_only(tmp_path: Path, site: str) -> None:
    base = base_of(tmp_path, Pages([f"{site}/old"]))
    assert best(base, tmp_path, "crowns") == f"{site}/old"
    with pytest.raises(NotRetryable, match="leads to another place, 'http://169"):
        Pages([f"{site}/inside"]).survey()
    with pytest.raises(NotRetryable, match="leads on more than"):
        Pages([f"{site}/round"]).survey()


def test_two_documents_of_one_name_are_refused(tmp_path: Path, folder: Path) -> None:
    (folder / "a.md").write_text("one", "utf-8")
    with pytest.raises(NotRetryable, match="give one of them a name="):
        base_of(tmp_path, Folder(folder), Folder(folder))
    assert best(base_of(tmp_path, Folder(folder), Folder(folder, name="more")), tmp_path, "one") == "a.md"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "hand book"}, "a name has letters"),
        ({"sources": []}, "sources: it has none"),
        ({"target": 1.0}, "target must lie"),
    ],
)
def test_what_does_not_fit_is_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(AuthorError, match=said):
        KnowledgeBase(**{"name": "handbook", "sources": [Folder(".")], **options})  # type: ignore[arg-type]


# --- passages -------------------------------------------------------------------------------------------


def test_headings_are_followed_but_not_within_code() -> None:
    found = list(
        of_markdown(
            "Before\n\nTitle\n=====\n\ntext\n\n```sh\n# no heading\n```\n\n## Part\n\nmore\n\nOther\n-----\n\nlast"
        )
    )
    assert [(each.heading, each.text.split()[0]) for each in found] == [
        ((), "Before"), (("Title",), "text"), (("Title", "Part"), "more"), (("Title", "Other"), "last"),
    ]  # fmt: skip


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60))
def test_passages_are_bounded_and_hold_every_sentence(lengths: list[int]) -> None:
    said = [
        " ".join(f"w{number}x{at}" for at in range(length)).capitalize() + "." for number, length in enumerate(lengths)
    ]
    found = list(passages([Section(text=" ".join(said), heading=("H",), page=2)]))
    assert {(each.heading, each.page) for each in found} == {(("H",), 2)}
    assert max(len(each.text.split()) for each in found) <= WORDS * 1.5 + 60
    whole = "\n".join(each.text for each in found).splitlines()
    assert list(dict.fromkeys(whole)) == said


def test_a_heading_that_nobody_closed_ends_with_the_next_paragraph() -> None:
    title, found = of_html(
        "<title>T</title><h1>One<p>first</p><h2>Two</h2><script>x()</script><div>second<h2>" + "x" * 9999
    )
    assert title == "T"
    assert [(each.heading, each.text) for each in found] == [(("One",), "first"), (("One", "Two"), "second")]


@given(st.text(alphabet="aB. !\n-1\u3002", max_size=200))
def test_sentences_stand_where_they_say_and_nothing_is_lost(text: str) -> None:
    found = sentences(text)
    assert all(text[each.start : each.end] == each.text for each in found)
    assert "".join("".join(each.text.split()) for each in found) == "".join(text.split())


def test_neighbouring_passages_share_a_sentence() -> None:
    text = " ".join(f"Sentence number {number} has eight words in it." for number in range(60))
    first, second, *_ = passages([Section(text=text)])
    assert first.text.splitlines()[-1] == second.text.splitlines()[0]


def test_points_that_end_no_sentence_do_not() -> None:
    text = "Dr. Meier, z. B. on 3. May, paid 1.5 million. Then he left! No. 7 is next.\n\nA line without a point"
    assert [each.text for each in sentences(text)] == [
        "Dr. Meier, z. B. on 3. May, paid 1.5 million.", "Then he left!", "No. 7 is next.", "A line without a point",
    ]  # fmt: skip
    assert all(text[each.start : each.end] == each.text for each in sentences(text))


def test_words_of_any_script_can_be_compared() -> None:
    assert folded_words("Größe, naïve ÉTÉ_2") == ["grosse", "naive", "ete", "2"]
    assert folded_words("東京都 is") == ["東京", "京都", "is"]


# --- other languages ------------------------------------------------------------------------------------

LANGUAGES = {
    "de.md": "Der Krankenversicherungsbeitrag wird am Monatsende überwiesen.",
    "fr.md": "Les congés payés sont demandés deux semaines à l'avance.",
    "ja.md": "出張の費用は月末までに申請してください。",
    "el.md": "Η άδεια εγκρίνεται από τον διευθυντή.",
}


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("Versicherungsbeitrag", "de.md"),  # within a compound
        ("Krankenversicherung", "de.md"),
        ("ueberweisen überwiesen", "de.md"),
        ("conges payes", "fr.md"),  # without accents
        ("congées", "fr.md"),  # misspelt
        ("費用の申請", "ja.md"),  # without spaces
        ("ΑΔΕΙΑ", "el.md"),
    ],
)
def test_other_languages_are_found(tmp_path: Path, folder: Path, query: str, document: str) -> None:
    for name, text in LANGUAGES.items():
        (folder / name).write_text(text, "utf-8")
    assert best(base_of(tmp_path, Folder(folder)), tmp_path, query) == document


# --- vectors --------------------------------------------------------------------------------------------


class Noise:
    """An embedder that knows nothing."""

    name = "noise"

    def embed(self, texts: Sequence[str]) -> Any:
        import numpy as np

        made = np.stack([np.random.default_rng(zlib.crc32(text.encode())).normal(size=16) for text in texts])
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


class Topics(Noise):
    """One that knows which of two words mean the same, and nothing else."""

    name = "topics"

    def embed(self, texts: Sequence[str]) -> Any:
        import numpy as np

        said = [re.sub("(a|b)word", "word", " ".join(re.findall(r"[ab]word[0-9]+", text))) for text in texts]
        return super().embed([min(each.split(), default="") for each in said]) + np.float32(0)


@pytest.mark.parametrize(("embedder", "low", "high"), [(Noise(), 0.0, 0.0), (Topics(), 0.5, 1.0)])
def test_vectors_count_where_they_find_what_words_do_not(
    tmp_path: Path, embedder: Any, low: float, high: float
) -> None:
    said = "bword" if high else "aword"
    with (tmp_path / "t.csv").open("w", encoding="utf-8", newline="") as file:
        rows = [
            [f"d{at}", f"They ask about aword{at} when the day is long. Look for {said}{at} in the cellar below."]
            for at in range(60)
        ]
        csv.writer(file).writerows([["name", "text"], *rows])
    base = KnowledgeBase("handbook", sources=[Table(tmp_path / "t.csv")], embeddings=embedder)
    base.index(tmp_path, AT)
    learnt = base._view(tmp_path, ME)[1]
    assert low <= learnt.settings.vectors <= high
    assert learnt.found["both"] >= max(learnt.found["words"], learnt.found["vectors"]) - 0.01
    query = f"{'bword' if high else 'aword'}7"
    assert "d7" in [each.document for each in base.look_up(tmp_path, query, ME, 3).passages]


def test_vectors_wait_while_their_embedder_is_away_and_another_makes_them_anew(tmp_path: Path, folder: Path) -> None:
    (folder / "a.md").write_text("aword1 is here", "utf-8")
    for embedder, made in ((Noise(), 1), (None, 0), (Noise(), 0), (Topics(), 1)):
        base = KnowledgeBase("handbook", sources=[Folder(folder)], embeddings=embedder)
        assert base.index(tmp_path, AT).embedded == made
        assert base.look_up(tmp_path, "aword1", ME).passages


# --- in a case ------------------------------------------------------------------------------------------

outside = KnowledgeBase("outside", sources=[Folder("there")], embeddings=None)
house = KnowledgeBase("house", sources=[Folder("there")], embeddings=None, trusted=True)
retrieve_outside, retrieve_house = outside.retrieve, house.retrieve


@action(effect="write", sinks=["account"])
async def pay(account: str) -> str:
    """Pay."""
    return account


@workflow
async def pay_outside() -> str:
    found = await retrieve_outside("de99111122223333")
    return await pay(found.passages[0].text)


@workflow
async def pay_house() -> str:
    found = await retrieve_house("de99111122223333")
    return await pay(found.passages[0].text)


@pytest.mark.parametrize(("of", "base", "why"), [(pay_outside, outside, "text from outside"), (pay_house, house, "")])
async def test_what_stands_in_a_base_is_text_from_outside_unless_the_house_wrote_it(
    folder: Path, of: Any, base: KnowledgeBase, why: str
) -> None:
    (folder / "brandt.md").write_text("DE99111122223333", "utf-8")
    base.sources = (Folder(folder),)
    async with harness(App("shop", workflows=[of], suppliers=[base])) as it:
        base.index(it.home, AT)
        run = await it.start(of)
        reasons = [event.reason for event in it.events(run, "approval_requested")]  # type: ignore[attr-defined]
        assert [why in reason for reason in reasons] == [True] * bool(why)


# --- saying that it is not there ------------------------------------------------------------------------

INSIDE = [
    "how is a kill switch flipped", "who may approve a payment in a queue", "keep something in long-term memory",
    "how are private values sealed and erased", "verify the audit log with checkpoints", "replay a run that failed",
    "what happens when a worker dies in the middle of a call", "budget of an agent per day", "business calendar and public holidays",
    "connect a server of tools by MCP", "delegate my approvals to a substitute", "mutation testing of a process",
]  # fmt: skip
OUTSIDE = [
    "recipe for apple pie with cinnamon", "best hotels near the beach in Portugal", "symptoms of influenza in children",
    "history of the Roman empire", "how to prune rose bushes in spring", "football world cup winners", "tuning a guitar by ear",
    "distance from the earth to the moon", "training a puppy to sit", "mortgage interest in Sweden", "engine oil for a diesel car",
    "poems about autumn leaves",
]  # fmt: skip


def test_questions_that_the_documents_do_not_answer_are_held_less_likely(tmp_path: Path) -> None:
    base = base_of(tmp_path, Folder(DOCS, glob="**/*.md"))
    yes = [base.look_up(tmp_path, each, ME).in_base for each in INSIDE]
    no = [base.look_up(tmp_path, each, ME).in_base for each in OUTSIDE]
    ranked = sum((a > b) + (a == b) / 2 for a in yes for b in no) / (len(yes) * len(no))
    assert ranked > 0.95
    assert not any(base.look_up(tmp_path, each, ME).sure for each in OUTSIDE)


def test_an_empty_base_and_a_small_one_are_never_sure(tmp_path: Path, folder: Path) -> None:
    base = base_of(tmp_path, Folder(folder))
    nothing = base.look_up(tmp_path, "anything", ME)
    assert (nothing.passages, nothing.in_base, nothing.sure) == ([], 0, False)
    (folder / "a.md").write_text("# One\n\nThe cat sat on the mat.", "utf-8")
    base.index(tmp_path, AT)
    small = base.look_up(tmp_path, "the cat on the mat", ME)
    assert small.passages[0].document == "a.md"
    assert (small.sure, small.why) == (False, "the base is too small to know how sure it may be")


def test_what_was_learnt_of_a_base_is_there_after_a_restart(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        (folder / f"{number}.md").write_text(
            f"# The story of town {number}\n\nTown {number} has {number} towers. It lies at the sea.", "utf-8"
        )
    first = base_of(tmp_path, Folder(folder)).look_up(tmp_path, "towers of town 7", ME, 2)
    monkeypatch.setattr(knowledge_base, "fit", lambda view: pytest.fail("it was learnt again"))
    again = base_of(tmp_path, Folder(folder)).look_up(tmp_path, "towers of town 7", ME, 2)
    assert again == first


def test_the_same_base_answers_the_same_and_names_its_fit(tmp_path: Path, folder: Path) -> None:
    for number in range(30):
        (folder / f"{number}.md").write_text(
            f"# The story of town {number}\n\nTown {number} has {number} towers. It lies at the sea.", "utf-8"
        )
    answers = [base_of(tmp_path, Folder(folder)).look_up(tmp_path, "towers of town 7", ME, 2) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0].passages[0].document == "7.md"
    assert answers[0].by.startswith("handbook, words")
    assert "fit" in answers[0].by
