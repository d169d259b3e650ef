"""What a person types to see how AI steps do, to let them learn, and to take a fit back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typed import Cli

APP = """
from typing import Literal
from pydantic import BaseModel
from backstay import App, task, workflow
from backstay.ai.classifying import Classifier

EXAMPLES = {
    "billing": ["I was charged twice", "The invoice is wrong", "Why this fee on my bill", "Send me the invoice", "My card was billed twice",
                "The amount on the bill is too high", "A fee on the invoice that I do not know"],
    "bug": ["The app crashes", "I get an error at login", "The page does not load", "The export button does nothing",
            "The app freezes after the update", "Search shows an error", "The screen stays blank"],
    "cancellation": ["Cancel my subscription", "Please close my account", "How do I end my contract", "Terminate my plan",
                     "I do not want to renew", "Stop my subscription", "End my membership"],
}
intent = Classifier("intent", labels=list(EXAMPLES), examples=EXAMPLES, target=0.8, embeddings=None, review=0.0)
classify_intent, learn_intent = intent.classify, intent.learn

class Said(BaseModel):
    intent: Literal["billing", "bug", "cancellation", "none of these"]

@workflow
async def triage(mail: str) -> str:
    answer = await classify_intent(mail)
    if answer.sure:
        return f"{answer.value}"
    said = await task("triage", show=mail, form=Said)
    return (await learn_intent(mail, said.intent, answer)).label

app = App("desk", workflows=[triage], suppliers=[intent])
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An application with a classifier, in the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKSTAY_USER", "ann")
    for name in ("BACKSTAY_HOME", "BACKSTAY_KEY", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "desk.py").write_text(APP, "utf-8")
    return tmp_path


@pytest.fixture
def asked(cli: Cli, desk: Path) -> str:
    """The step has answered two mails; a person said what the doubtful one is. Gives that case."""
    assert cli("start", "desk.py:triage", "--input=mail=I was charged twice, see the invoice", "--json").code == 0
    run = cli("start", "desk.py:triage", "--input=mail=Courier lost parcel near gate", "--json").json["run"]
    assert cli("done", run, "--form", "intent=bug").code == 0
    assert (
        cli("start", "desk.py:triage", "--input=mail=Why this fee on my bill", "--json").code == 0
    )  # and the first goes on
    return run


def test_a_store_without_steps_says_how_it_would_have_one(cli: Cli, project: Path) -> None:
    assert cli("start", "app.py:reimburse", "--input=claim.employee=ann", "--input=claim.amount=5").code == 0
    for command in ("list", "report"):
        shown = cli("steps", command)
        assert (shown.code, "No AI step has answered here yet." in shown.out) == (0, True)
        assert "Classifier(NAME" in shown.out
        assert cli("steps", command, "--json").json == []
    assert cli("steps", "fit", "intent").code == 3


def test_a_form_with_the_labels_lists_them_and_refuses_a_slip_of_the_pen(cli: Cli, desk: Path) -> None:
    run = cli("start", "desk.py:triage", "--input=mail=Courier lost parcel near gate", "--json").json["run"]
    shown = cli("show", run).out
    assert all(label in shown for label in ("billing", "bug", "cancellation", "none of these"))
    refused = cli("done", run, "--form", "intent=rhubarb")
    assert (refused.code, "intent" in refused.err) == (6, True)
    assert cli("done", run, "--form", "intent=none of these").code == 0
    assert cli("start", "desk.py:triage", "--input=mail=Why this fee on my bill").code == 0
    assert cli("runs", "--json").json[-1]["status"] == "finished"


def test_the_list_and_the_report_say_how_a_step_does(cli: Cli, asked: str) -> None:
    (step,) = cli("steps", "list", "--json").json
    assert (step["step"], step["fit"], step["accepted_by"]) == ("intent", 1, "the code")
    assert (step["examples"], step["waiting_examples"]) == ({"code": 21, "person": 1}, 1)
    assert "intent" in cli("steps").out

    (report,) = cli("steps", "report", "intent", "--json").json
    assert (report["answers"], report["sure"], report["coverage"]) == (3, 2, 0.6667)
    assert report["realised"]["sure"]["reviewed"] == 0
    assert report["realised"]["unsure"]["reviewed"] == 1
    assert (report["cost"]["calls"], report["cost"]["usd"], report["cost"]["reviews"]) == (3, "0", 1)
    assert report["drift"]["labels"] is None
    told = cli("steps", "report").out
    assert "answers   3, sure 2 (66.7%); target 80.0%" in told
    assert "is known from 50 answers of this fit on; so far: 3" in told


def test_a_fit_answers_only_when_it_was_accepted_and_an_older_one_comes_back(cli: Cli, asked: str) -> None:
    made = cli("steps", "fit", "intent")
    assert made.code == 0, made
    assert "Fit 2 of intent, from 22 examples" in made.out
    assert "backstay steps accept intent 2" in made.out
    assert cli("steps", "list", "--json").json[0]["fit"] == 1

    assert "accepted by maria" in cli("steps", "accept", "intent", "2", "--as", "maria").out
    (step,) = cli("steps", "list", "--json").json
    assert (step["fit"], step["accepted_by"], step["waiting_examples"]) == (2, "maria", 0)
    assert cli("steps", "report", "--json").json[0]["drift"]["answers"] == 0
    assert cli("start", "desk.py:triage", "--input=mail=Why this fee on my bill").code == 0
    (report,) = cli("steps", "report", "--json").json
    assert (report["drift"]["answers"], report["drift"]["needed"]) == (1, 50)
    assert cli("steps", "accept", "intent", "1", "--json").json["version"] == 1
    assert cli("steps", "accept", "intent", "9").code == 3
    assert cli("steps", "list", "--json").json[0]["fit"] == 1


def test_a_fit_of_nothing_new_says_so_and_is_not_offered(cli: Cli, desk: Path) -> None:
    assert cli("start", "desk.py:triage", "--input=mail=I was charged twice, see the invoice").code == 0
    made = cli("steps", "fit", "intent").out
    assert "Nothing new: fit 1 of intent, from 21 examples, answers already, right in" in made
    assert "accept" not in made
    (desk / "same.csv").write_text("text,label\nThe app crashes,bug\n", "utf-8")
    assert cli("steps", "examples", "intent", "--import", "same.csv").code == 0
    assert cli("steps", "list", "--json").json[0]["waiting_examples"] == 1
    assert "Nothing new" in cli("steps", "fit", "intent").out
    assert cli("steps", "list", "--json").json[0]["waiting_examples"] == 0
    (desk / "more.csv").write_text("text,label\nThe courier lost it,bug\n", "utf-8")
    assert cli("steps", "examples", "intent", "--import", "more.csv").code == 0
    for _ in range(2):  # the same fit again is offered again, against what is in use
        made = cli("steps", "fit", "intent").out
        assert "now in use (1)" in made
        assert "7 -> 8" in made
        assert "steps accept intent 2" in made
    assert cli("steps", "accept", "intent", "2").code == 0
    assert "Nothing new: fit 2 of intent" in cli("steps", "fit", "intent").out


def test_a_fit_of_too_few_examples_is_offered_with_a_warning_only(cli: Cli, desk: Path) -> None:
    (desk / "desk.py").write_text(APP.replace("examples=EXAMPLES", "examples={'bug': ['The app crashes']}"), "utf-8")
    assert cli("start", "desk.py:triage", "--input=mail=The app crashes").code == 0
    assert (
        "Nothing new: fit 1 of intent, from 1 examples, answers already, sure of nothing."
        in cli("steps", "fit", "intent").out
    )
    told = cli("steps", "report").out
    assert "not known: this fit has no held-out answers to compare its 1 answers with" in told
    (desk / "more.csv").write_text("text,label\nCharged twice,billing\n", "utf-8")
    assert cli("steps", "examples", "intent", "--import", "more.csv").code == 0
    made = cli("steps", "fit", "intent").out
    assert "0 -> 1" in made
    assert made.index("sure of nothing") < made.index("steps accept intent 2")
    assert "sure of nothing" in cli("steps", "accept", "intent", "2").out


def test_examples_are_imported_from_csv_and_json_lines_and_a_bad_row_is_named(cli: Cli, asked: str, desk: Path) -> None:
    (desk / "more.csv").write_text("text,label\nThe courier lost it,bug\nDouble charge,billing\n", "utf-8")
    assert cli("steps", "examples", "intent", "--import", "more.csv", "--json").json == {"imported": 2, "by": "ann"}
    assert cli("steps", "examples", "intent", "--import", "more.csv", "--json").json["imported"] == 0
    lines = [{"text": "Close it all", "label": "cancellation"}, {"text": "A song", "label": "none of these"}]
    (desk / "more.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    assert cli("steps", "examples", "intent", "--import", "more.jsonl", "--json").json["imported"] == 2
    assert [each["text"] for each in cli("steps", "examples", "intent", "--json").json][-1] == "A song"

    (desk / "bad.csv").write_text("text,label\nHm,nonsense\n", "utf-8")
    refused = cli("steps", "examples", "intent", "--import", "bad.csv")
    assert refused.code != 0
    assert "bad.csv, line 2: label: 'nonsense' is none of billing, bug" in refused.err
    (desk / "head.csv").write_text("words,label\nHm,bug\n", "utf-8")
    assert "its head has no text" in cli("steps", "examples", "intent", "--import", "head.csv").err


def test_nobody_without_the_role_changes_a_step(cli: Cli, asked: str) -> None:
    assert cli("people", "add", "root", "--role", "administrator").code == 0
    assert cli("people", "add", "vic", "--role", "viewer", "--as", "root").code == 0
    for command in (("fit", "intent"), ("accept", "intent", "1")):
        refused = cli("steps", *command, "--as", "vic")
        assert refused.code == 4, refused
    assert cli("steps", "list", "--json").json[0]["fits"] == [1]
