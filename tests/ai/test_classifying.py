"""A classifier that learned from a few mails: what it says, what it refuses to be sure of, and that it says the same again."""

from __future__ import annotations

import numpy as np
import pytest
from intent_examples import ELSEWHERE, EXAMPLES, FRESH

from backstay.ai.classifying import Classifier
from backstay.ai.features import TfIdf, folded, pieces_of
from backstay.ai.fitting import Fit, Task, VectorsMissing
from backstay.ai.learning import Example, distinct, learn
from backstay.ai.ridge import solve
from backstay.errors import AuthorError, InvalidInput

TASK = Task(labels=dict.fromkeys(EXAMPLES, ""), target=0.8, none="none of these")
MAILS = [Example(text, label) for label, texts in EXAMPLES.items() for text in texts]
ASKED = [(text, label) for label, texts in FRESH.items() for text in texts]


class Bagged:
    """Vectors of texts by a fixed random direction for each word: enough for a test, and quick."""

    name = "bagged"

    def embed(self, texts: list[str]) -> np.ndarray:
        rows = [sum((self._word(word) for word in folded(text).split()), np.zeros(32)) + 1e-6 for text in texts]
        return np.array([row / np.linalg.norm(row) for row in rows], np.float32)

    def _word(self, word: str) -> np.ndarray:
        return np.random.default_rng(list(word[:4].encode())).normal(size=32)


@pytest.fixture(scope="module")
def fit() -> Fit:
    return learn(TASK, MAILS).fit


def test_ten_examples_of_a_label_are_enough_for_mails_like_them(fit: Fit) -> None:
    answers = fit.answers([text for text, _ in ASKED], None)
    assert [answer.label for answer in answers] == [label for _, label in ASKED]
    assert all(answer.sure and answer.confidence > 0.9 for answer in answers)
    assert fit.report["coverage"] > 0.7
    assert fit.report["at_least"] >= 0.8


def test_what_is_unlike_every_example_is_never_sure_of_a_target_of_95_percent() -> None:
    strict = learn(Task(labels=TASK.labels, target=0.95, none=TASK.none), MAILS).fit
    assert not any(answer.sure for answer in strict.answers(ELSEWHERE, None))
    assert "threshold" in strict.report["by_label"]["bug"]
    assert strict.report["coverage"] == 0  # 30 examples cannot show 95 %


def test_what_somebody_showed_to_be_none_of_these_is_told_apart() -> None:
    outside = [Example(text, "none of these") for text in [*ELSEWHERE,
        "Do you know a recipe for soup", "Who painted the sunflowers", "How long do I boil rice", "Who wrote this song",
    ]]  # fmt: skip
    shown = learn(TASK, [*MAILS, *outside]).fit
    texts = ["What is the weather in Paris", "How long do I boil soup", "Please cancel my subscription"]
    assert [answer.label for answer in shown.answers(texts, None)] == ["none of these", "none of these", "cancellation"]
    stored = Fit.of_bytes(shown.as_bytes())
    assert [answer.label for answer in stored.answers(texts, None)] == [
        "none of these",
        "none of these",
        "cancellation",
    ]
    assert shown.report["by_label"]["none of these"]["examples"] == len(outside)


def test_the_same_examples_make_the_same_fit_in_any_order_of_labels_and_a_stored_one_answers_the_same(fit: Fit) -> None:
    again = learn(TASK, MAILS).fit
    stored = Fit.of_bytes(fit.as_bytes())
    texts = [text for text, _ in ASKED] + ELSEWHERE
    assert again.digest == stored.digest == fit.digest
    assert again.answers(texts, None) == fit.answers(texts, None)
    for one, other in zip(stored.answers(texts, None), fit.answers(texts, None), strict=True):
        assert (one.label, one.sure) == (other.label, other.sure)
        assert one.confidence == pytest.approx(other.confidence, abs=0.01)


def test_few_examples_with_wrong_labels_make_nothing_sure() -> None:
    names = list(EXAMPLES)
    shuffled = [Example(each.text, names[(names.index(each.label) + place) % 3]) for place, each in enumerate(MAILS)]
    noisy = learn(Task(labels=TASK.labels, target=0.9, none=TASK.none), shuffled).fit
    assert not any(answer.sure for answer in noisy.answers([text for text, _ in ASKED], None))


def test_with_descriptions_alone_it_answers_and_is_never_sure() -> None:
    told = {
        "billing": "an invoice, a fee or a charge",
        "bug": "something crashes, an error",
        "cancellation": "end a contract",
    }
    answers = learn(Task(labels=told, target=0.8, none="none"), []).fit.answers(
        ["an error, it crashes", "end my contract"], None
    )
    assert [answer.label for answer in answers] == ["bug", "cancellation"]
    assert not any(answer.sure for answer in answers)
    assert [answer.confidence for answer in answers] == [pytest.approx(1 / 4)] * 2  # a guess among three, and none


def test_a_fit_with_vectors_says_which_it_needs() -> None:
    fit = learn(TASK, MAILS, Bagged()).fit  # type: ignore[arg-type]
    if fit.embedder:
        with pytest.raises(VectorsMissing, match="bagged"):
            fit.answers(["hello"], None)
    assert {"words", "meaning"} <= set(fit.report["tried"])


def test_a_later_word_about_a_text_corrects_an_earlier_one() -> None:
    given = [Example("The App crashes!", "bug"), Example("Refund", "billing"), Example("the app  crashes!", "billing")]
    assert distinct(given) == [Example("the app  crashes!", "billing"), Example("Refund", "billing")]


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"labels": ["one"]}, "labels: there must be two or more"),
        ({"labels": ["a", "b"], "target": 1.0}, "target: a share"),
        ({"labels": ["a", "b"], "examples": [("x", "c")]}, "examples: 'c' is no label"),
        ({"labels": ["a", "none of these"]}, "none: 'none of these' is a label too"),
        ({"labels": ["a", "b"], "review": 2}, "review: a share"),
    ],
)
def test_what_does_not_fit_is_named(given: dict[str, object], wrong: str) -> None:
    with pytest.raises(AuthorError, match=wrong):
        Classifier("intent", embeddings=None, **given)  # type: ignore[arg-type]


def test_an_example_of_another_label_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'refund' is no label"):
        learn(TASK, [Example("money back", "refund")])


# --- what it stands on ---------------------------------------------------------------------------------------------


def test_words_are_compared_without_case_accents_and_numbers() -> None:
    assert folded("Überweisung  NR. 4711") == folded("uberweisung nr. 12")
    assert pieces_of("ab") == ["<ab", "ab>", "<ab>"]


def test_a_row_is_of_length_one_and_says_how_much_of_it_is_known() -> None:
    words = TfIdf.learned(["pay the invoice", "pay the bill", "close the account"])
    rows = words.rows(["pay the invoice", "zebra", ""])
    lengths = rows.alike(rows, len(words)).diagonal()
    assert lengths == pytest.approx([1, 0, 0], abs=1e-5)
    assert list(rows.known) == pytest.approx([1, 0, 0])


@pytest.mark.parametrize("landmarks", [40, 15])
def test_what_is_left_out_in_closed_form_is_what_a_fit_without_it_says(landmarks: int) -> None:
    chance = np.random.default_rng(1)
    points = chance.normal(size=(40, 3))
    whole = np.exp(-((points[:, None] - points[None]) ** 2).sum(-1))
    labels = [int(each) for each in chance.integers(0, 3, 40)]
    marked = list(range(landmarks))
    solved = solve(whole[:, marked], marked, labels, 3, 0.3)
    target = np.eye(3)[labels]

    def without(left: list[int]) -> np.ndarray:
        rest = [each for each in range(40) if each not in left]
        if landmarks == 40:
            weights = np.linalg.solve(whole[np.ix_(rest, rest)] + 0.3 * np.eye(len(rest)), target[rest])
            return whole[np.ix_(left, rest)] @ weights
        root = np.linalg.inv(np.linalg.cholesky(whole[np.ix_(marked, marked)] + 1e-4 * np.eye(landmarks))).T
        wide = whole[:, marked] @ root
        return wide[left] @ np.linalg.solve(
            wide[rest].T @ wide[rest] + 0.3 * np.eye(landmarks), wide[rest].T @ target[rest]
        )

    assert solved.held_out[7] == pytest.approx(without([7])[0], abs=1e-6)
    group = [place for place, label in enumerate(labels) if label == 1]
    assert solved.unlike[group] == pytest.approx(without(group), abs=1e-6)
