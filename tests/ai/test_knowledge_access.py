"""Nobody gets anything of what they may not read: no passage, no count, no score, and no change in what they do get."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from backstay import App, workflow
from backstay.ai.knowledge import Folder, KnowledgeBase, Passage, Retrieved
from backstay.ai.knowledge.asking import EVERYONE, of_person, readers
from backstay.errors import AuthorError, NotFound
from backstay.governance.principals import Directory, Principal
from backstay.store.knowledge import KNOWLEDGE_FILE, known
from backstay.testing import Harness, harness

AT = "2026-01-05T09:00:00Z"
PUBLIC = {
    "leave.md": "# Leave\n\nEverybody has thirty days of leave. Ask your manager two weeks before.\n",
    "travel.md": "# Travel\n\nBook the train. A hotel may cost 120 euros a night.\n",
    "phones.md": "# Phones\n\nLost phones are reported to the desk within an hour.\n",
}
SECRET = {
    "hr/salaries.md": "# Salaries\n\nThe bonus of the manager is 40000 euros. Leave is paid out at 300 euros a day.\n",
    "hr/warnings.md": "# Warnings\n\nBob lost three phones and was warned twice in writing.\n",
    "board/merger.md": "# Merger\n\nProject Walnut buys the hotel chain for nine million euros.\n",
}
ACCESS = {"hr/*": ["group:HR"], "board/*": ["cfo", "role:auditor"], "*": [EVERYONE]}
QUERIES = [
    "leave",
    "bonus of the manager",
    "Project Walnut",
    "who lost phones",
    "hotel euros night",
    "salaries warnings merger bob",
]

OFFICE = Directory()
for each in (
    Principal(id="bob"), Principal(id="hanna", groups=frozenset({"hr"})), Principal(id="cfo"),
    Principal(id="audra", roles=frozenset({"auditor"})), Principal(id="gone", groups=frozenset({"hr"}), active=False),
    Principal(id="mailbot", kind="service", groups=frozenset({"hr"})),
    Principal(id="helper", kind="agent", acts_for="bob", groups=frozenset({"hr"})),
):  # fmt: skip
    OFFICE._principals[each.id] = each


class Letters:
    """An embedder without weights."""

    name = "letters"

    def embed(self, texts: Sequence[str]) -> Any:
        import numpy as np

        rows = np.array(
            [[text.casefold().count(letter) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
        )
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


def base_of(folder: Path, home: Path, access: Any = ACCESS, **options: Any) -> KnowledgeBase:
    home.mkdir(exist_ok=True)
    base = KnowledgeBase("handbook", sources=[Folder(folder)], access=access, **{"embeddings": None, **options})
    base.index(home, AT)
    return base


def found(base: KnowledgeBase, home: Path, who: Any) -> list[Retrieved]:
    return [base.look_up(home, query, who, 50) for query in QUERIES]


def documents(answers: list[Retrieved]) -> set[str]:
    return {passage.document for answer in answers for passage in answer.passages}


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("bob", set[str]()),
        ("hanna", {"hr/salaries.md", "hr/warnings.md"}),
        ("cfo", {"board/merger.md"}),
        ("audra", {"board/merger.md"}),
        ("mailbot", {"hr/salaries.md", "hr/warnings.md"}),
        ("helper", set[str]()),  # it acts for bob, and has no more than he has
    ],
)
def test_everybody_finds_what_they_may_read_and_nothing_else(tmp_path: Path, name: str, more: set[str]) -> None:
    base = base_of(written(tmp_path / "docs", {**PUBLIC, **SECRET}), tmp_path / "home")
    assert documents(found(base, tmp_path / "home", readers(OFFICE, [name]))) == set(PUBLIC) | more


@pytest.mark.parametrize("names", [["gone"], ["nobody"], [""], [], ["hanna", "gone"]])
def test_who_may_not_act_reads_nothing_at_all(tmp_path: Path, names: list[str]) -> None:
    base = base_of(written(tmp_path / "docs", {**PUBLIC, **SECRET}), tmp_path / "home")
    who = readers(OFFICE, names)
    assert documents(found(base, tmp_path / "home", who)) == set()
    assert {answer.in_base for answer in found(base, tmp_path / "home", who)} == {0}
    with known(tmp_path / "home") as file:
        assert file is not None
        assert [(each["documents"], each["passages"]) for each in file.counts(who)] == [(0, 0)]


@pytest.mark.parametrize("embedder", [None, Letters()])
def test_what_somebody_may_not_read_changes_nothing_of_what_they_get(tmp_path: Path, embedder: Any) -> None:
    more = {
        f"n{number}.md": f"# Note number {number}\n\nNote {number} is about desks, hotels and trains. It is kept here.\n"
        for number in range(20)
    }
    without = base_of(written(tmp_path / "public", {**PUBLIC, **more}), tmp_path / "one", embeddings=embedder)
    with_ = base_of(written(tmp_path / "all", {**PUBLIC, **more, **SECRET}), tmp_path / "two", embeddings=embedder)
    bob = readers(OFFICE, ["bob"])
    alone, beside = found(without, tmp_path / "one", bob), found(with_, tmp_path / "two", bob)
    assert alone == beside
    assert "fit" in alone[0].by
    assert "too small" not in alone[0].why
    for home in (tmp_path / "one", tmp_path / "two"):
        with known(home) as file:
            assert file is not None
            assert [(each["documents"], each["passages"]) for each in file.counts(bob)] == [(23, 23)]


def test_a_citation_of_what_one_may_not_read_refers_to_nothing(tmp_path: Path) -> None:
    base, home = base_of(written(tmp_path / "docs", {**PUBLIC, **SECRET}), tmp_path / "home"), tmp_path / "home"
    (secret,) = base.look_up(home, "bonus", readers(OFFICE, ["hanna"]), 1).passages
    assert base.cited(home, secret.citation, readers(OFFICE, ["hanna"])).text == secret.text
    with pytest.raises(NotFound) as refused:
        base.cited(home, secret.citation, readers(OFFICE, ["bob"]))
    with pytest.raises(NotFound) as missing:
        base.cited(home, secret.citation.replace("salaries", "nothing"), readers(OFFICE, ["bob"]))
    assert str(refused.value).replace("salaries", "nothing") == str(missing.value)


def test_of_two_who_ask_together_each_must_be_allowed_to_read(tmp_path: Path) -> None:
    base = base_of(written(tmp_path / "docs", {**PUBLIC, **SECRET}), tmp_path / "home")
    assert documents(found(base, tmp_path / "home", readers(OFFICE, ["hanna", "cfo"]))) == set(PUBLIC)


def test_rights_that_are_declared_anew_hold_before_anything_is_read_again(tmp_path: Path) -> None:
    folder, home = written(tmp_path / "docs", {**PUBLIC, **SECRET}), tmp_path / "home"
    old = base_of(folder, home, access={"*": [EVERYONE]})
    who = readers(OFFICE, ["bob"])
    (cited,) = old.look_up(home, "bonus", who, 1).passages
    new = KnowledgeBase("handbook", sources=[Folder(folder)], access=ACCESS, embeddings=None)
    assert documents(found(new, home, who)) == set(PUBLIC)
    with pytest.raises(NotFound):
        new.cited(home, cited.citation, who)


def test_those_who_may_read_the_same_share_what_was_learnt_and_others_do_not(tmp_path: Path) -> None:
    base, home = base_of(written(tmp_path / "docs", {**PUBLIC, **SECRET}), tmp_path / "home"), tmp_path / "home"
    bob, helper, hanna, mailbot = (
        base._view(home, readers(OFFICE, [name]))[1] for name in ("bob", "helper", "hanna", "mailbot")
    )
    assert bob is helper
    assert hanna is mailbot
    assert bob is not hanna


def test_what_no_pattern_fits_nobody_may_read(tmp_path: Path) -> None:
    base = base_of(written(tmp_path / "docs", PUBLIC), tmp_path / "home", access={"leave.md": ["bob"]})
    assert documents(found(base, tmp_path / "home", readers(OFFICE, ["bob"]))) == {"leave.md"}
    assert documents(found(base, tmp_path / "home", readers(OFFICE, ["cfo"]))) == set()


def test_readers_are_a_list() -> None:
    with pytest.raises(AuthorError, match=r"needs a list of readers"):
        KnowledgeBase("handbook", sources=[Folder(".")], access={"*": "everyone"})


def test_where_nobody_is_registered_a_name_has_no_groups(tmp_path: Path) -> None:
    base = base_of(written(tmp_path / "docs", {**PUBLIC, **SECRET}), tmp_path / "home")
    assert documents(found(base, tmp_path / "home", of_person(tmp_path / "home", "CFO"))) == {
        *PUBLIC,
        "board/merger.md",
    }
    assert documents(found(base, tmp_path / "home", of_person(tmp_path / "home", "bob"))) == set(PUBLIC)


# --- in a case ------------------------------------------------------------------------------------------

cases = KnowledgeBase("cases", sources=[Folder("nowhere")], access=ACCESS, embeddings=None)
retrieve_cases, cite_cases = cases.retrieve, cases.cite


@workflow
async def look(query: str) -> Retrieved:
    return await retrieve_cases(query, k=20)


@workflow
async def resolve(citation: str) -> Passage:
    return await cite_cases(citation)


@workflow
async def look_for(query: str) -> Retrieved:
    return await look(query)


async def office(it: Harness, folder: Path) -> None:
    source = KnowledgeBase(
        "cases", sources=[Folder(written(folder, {**PUBLIC, **SECRET}))], access=ACCESS, embeddings=None
    )
    source.index(it.home, AT)
    await source.close()
    people = it.client
    await people.register("root", kind="person", roles=["administrator", "operator"], by="root")
    await people.register("bob", kind="person", roles=["author"], by="root")
    await people.register("hanna", kind="person", roles=["author"], groups=["hr"], by="root")
    await people.register("mailbot", kind="service", by="root")


@pytest.mark.parametrize(
    ("by", "requester", "more"),
    [
        ("bob", None, False),
        ("hanna", None, True),
        ("mailbot", "hanna", True),
        ("mailbot", "bob", False),
        ("root", "hanna", False),  # root sees the result, and may not read it
    ],
)
@pytest.mark.parametrize("of", [look, look_for])
async def test_a_case_reads_with_the_rights_of_whom_it_acts_for(
    tmp_path: Path, of: Any, by: str, requester: str | None, more: bool
) -> None:
    async with harness(App("office", workflows=[look, look_for], suppliers=[cases])) as it:
        await office(it, tmp_path / "docs")
        run = await it.client.start(of, {"query": "bonus of the manager, leave"}, by=by, requester=requester)
        answer = await it.client.result(run)
        names = {each["document"] for each in answer["passages"]}
        assert ("hr/salaries.md" in names) == more
        assert "leave.md" in names


def test_the_file_is_the_homes_own(tmp_path: Path) -> None:
    base_of(written(tmp_path / "docs", PUBLIC), tmp_path / "home")
    assert (tmp_path / "home" / KNOWLEDGE_FILE).exists()
