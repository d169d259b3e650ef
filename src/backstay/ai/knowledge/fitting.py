"""What a base learns of itself: whether feedback and vectors help here, and how sure a hit is.

It asks itself: a heading or a first sentence is the question, and what stands below it is to be found. Where the document
and those nearest to it are put aside, the same question is one that is not in this base.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from backstay.ai.calibration import NEVER, Logistic, threshold
from backstay.ai.knowledge.ranking import K1, Asked, Instead, Settings, View, mixed
from backstay.ai.sentences import folded_words, sentences
from backstay.canonical import json_text
from backstay.store.knowledge import Found

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Scores = NDArray[np.float64]

QUESTIONS: Final = 200
"""So many questions a base asks itself at most."""
FEWEST: Final = 12
"""With fewer nothing is learnt: then nothing is sure."""
FOLDS: Final = 5
SHARES: Final = (0.0, 0.3, 0.5, 0.7, 1.0)
"""Shares of the vectors that are tried."""
TOLERATED: Final = 0.02
"""Feedback may cost so much nDCG@10 of finding one passage again: what it is for is finding those that are alike."""
NEIGHBOURS: Final = 10
"""So many documents are near to another, or a tenth of all if those are fewer."""
FEATURES: Final[Mapping[str, str]] = {
    "held": "the share of what is rare in the question that the best of three passages holds",
    "reached": "the best score by words, against the most that one could have",
    "ahead": "how far that is before the tenth",
    "near": "the best cosine; only with vectors",
}
"""What a confidence is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question that a base asks itself."""

    asked: Asked
    place: int
    """The passage that it is about."""
    there: Instead
    """The base with the passage, as it is to be found."""
    absent: Instead
    """The base without its document and those that are nearest to it, or for every second one without the nearer half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What was learnt from one view of a base."""

    settings: Settings
    version: str
    """Of what it was learnt from."""
    passages: int
    questions: int
    found: dict[str, float]
    """nDCG@10 of its questions to itself, by what ranked: words, feedback, vectors, both."""
    model: Logistic | None = None
    """None where too little was there to learn from."""
    held_out: tuple[Any, Any] = ((), ())
    """What was said of its questions by fits that had not seen them, and whether that was so."""

    def confidence(self, found: Sequence[float]) -> float:
        """The probability that the base holds what was asked for, from the features of what was found."""
        import numpy as np

        if self.model is None:
            return 0.5 * min(found[0], 1.0)
        return float(self.model(np.array([found]))[0])

    def needed(self, target: float) -> float:
        """The least confidence from which on what it says is right at the target rate; NEVER where there is none."""
        return threshold(*self.held_out, target) if self.model is not None else NEVER

    def written(self) -> str:
        """It as JSON."""
        model = None if self.model is None else [*map(float, self.model.weights), self.model.bias]
        said, so = self.held_out
        held = ([float(each) for each in said], [bool(each) for each in so])
        return json_text({**asdict(replace(self, model=None, held_out=())), "model": model, "held_out": held})

    @classmethod
    def read(cls, text: str) -> Fit:
        """From its JSON."""
        import numpy as np

        told: dict[str, Any] = json.loads(text)
        model = told["model"]
        told["settings"] = Settings(**told["settings"])
        told["model"] = None if model is None else Logistic(np.array(model[:-1]), model[-1])
        told["held_out"] = tuple(np.array(each) for each in told["held_out"])
        return cls(**told)


# --- asking itself --------------------------------------------------------------------------------------


def questions(view: View, most: int = QUESTIONS) -> list[Question]:
    """What a base asks itself, from passages that are drawn by their text: the same base asks the same."""
    drawn = random.Random(len(view)).sample(range(len(view)), min(len(view), 2 * most))
    made = list[tuple[int, str, tuple[str, str, str]]]()
    for place, passage in zip(drawn, view.read(drawn), strict=True):
        question = _question(passage)
        if question is not None and len(made) < most:
            made.append((place, *question))
    if not made:
        return []
    asked = view.ask([question for _, question, _ in made], alike=False)
    rests = view.weighted([rest for _, _, rest in made])
    vectors: Any = [None] * len(made)
    if view.embedded and view.embedder is not None:
        vectors = view.embedder.embed([" \n".join(part for part in rest if part) for _, _, rest in made])
    view.load({term for rest in rests for term in rest})
    made_of = enumerate(zip(asked, made, rests, vectors, strict=True))
    return [
        Question(asked=each, place=place, **_sides(view, place, rest, vector, far=bool(number % 2)))
        for number, (each, (place, _, _), rest, vector) in made_of
        if len(each.terms) > 1
    ]


def _sides(view: View, place: int, rest: dict[str, float], vector: Any, *, far: bool) -> dict[str, Any]:
    import numpy as np

    own = view.documents == view.documents[place]
    there = Instead(aside=own, place=place, terms=rest, length=sum(rest.values()), vector=vector)
    near = view.by_words(rest)
    near = near / (near.max() or 1.0)
    if vector is not None:
        near = near + view.by_vectors(vector)
    nearest = list(dict.fromkeys(view.documents[(-near).argsort(kind="stable")].tolist()))
    count = -(-len(nearest) // 2) if far else min(NEIGHBOURS, -(-len(nearest) // 10))
    return {"there": there, "absent": Instead(aside=own | np.isin(view.documents, nearest[:count]))}


def _question(passage: Found) -> tuple[str, tuple[str, str, str]] | None:
    """A question about a passage, and what is left of it to be found: (title, heading, body).

    It is the heading, for every second passage that has one that says something; otherwise the first whole sentence.
    """
    title, heading = passage.title, " ".join(passage.heading)
    cut = [each for each in sentences(passage.text) if len(folded_words(each.text)) > 5]
    head = passage.heading[-1] if passage.heading else title
    if len(folded_words(head)) > 2 and (len(cut) < 2 or passage.number % 2):
        return head, (title if passage.heading else "", " ".join(passage.heading[:-1]), passage.text)
    if len(cut) < 2:
        return None
    first = cut[0]
    return first.text, (title, heading, f"{passage.text[: first.start]} {passage.text[first.end :]}")


# --- learning -------------------------------------------------------------------------------------------


def fit(view: View) -> Fit:
    """Learn from a view; the same view teaches the same."""
    asked = questions(view)
    found, settings = _chosen(view, asked)
    version = hashlib.sha256(repr((view.base, view.lengths.tolist(), found, settings)).encode()).hexdigest()[:8]
    if len(asked) < FEWEST:
        return Fit(settings=settings, version=version, passages=len(view), questions=len(asked), found=found)
    rows, so = list[list[float]](), list[bool]()
    for each in asked:
        for instead in (each.there, each.absent):
            rows.append(features(view, each.asked, instead))
            so.append(instead is each.there)
    model, held_out = _learnt(rows, so)
    return Fit(
        settings=settings,
        version=version,
        passages=len(view),
        questions=len(asked),
        found=found,
        model=model,
        held_out=held_out,
    )


def features(view: View, asked: Asked, instead: Instead | None = None) -> list[float]:
    """What speaks for a base holding what was asked for: see FEATURES."""
    import numpy as np

    words = view.by_words(asked.terms, instead)
    order = np.argsort(-words, kind="stable")[:10]
    rare = {term: weight * max(view.rarity(term), 0.01) for term, weight in asked.terms.items()}
    whole = sum(rare.values()) or 1.0
    top = float(words[order[0]]) if len(order) else 0.0
    held = _held(view, order[:3].tolist(), rare, instead) / whole if top > 0 else 0.0
    reached = top / (whole * (K1 + 1))
    ahead = (top - float(words[order[-1]])) / (whole * (K1 + 1))
    if asked.vector is None:
        return [held, reached, ahead]
    return [held, reached, ahead, float(view.by_vectors(asked.vector, instead).max(initial=0.0))]


def _held(view: View, places: list[int], rare: dict[str, float], instead: Instead | None) -> float:
    best = 0.0
    for place, stems in zip(places, view.stems_at(places), strict=True):
        there = instead.terms if instead is not None and place == instead.place else stems
        best = max(best, sum(value for term, value in rare.items() if term in there))
    return best


def _chosen(view: View, asked: Sequence[Question]) -> tuple[dict[str, float], Settings]:
    """nDCG@10 by what ranks, over folds that chose without seeing them, and what is chosen on all of them."""
    import numpy as np

    if len(asked) < FEWEST:
        return {}, Settings(vectors=0.5 if view.embedded else 0.0)
    gains = {feedback: np.zeros((len(asked), len(SHARES))) for feedback in (False, True)}
    for feedback, table in gains.items():
        for number, each in enumerate(asked):
            words, vectors = view.parts(each.asked, feedback=feedback, instead=each.there)
            for column, share in enumerate(SHARES):
                scores = words if vectors is None else mixed(words, vectors, share)
                table[number, column] = _gain(scores, each.place)
    feedback = bool(gains[True][:, 0].mean() >= gains[False][:, 0].mean() - TOLERATED)
    table = gains[feedback]
    found = {"words": float(gains[False][:, 0].mean()), "feedback": float(gains[True][:, 0].mean())}
    if not view.embedded:
        return _rounded(found), Settings(feedback=feedback)
    fold = np.arange(len(asked)) % FOLDS
    held = np.concatenate([table[fold == each, _share(table[fold != each])] for each in range(FOLDS)])
    found |= {"vectors": float(table[:, -1].mean()), "both": float(held.mean())}
    better = 0 if table[:, 0].mean() >= table[:, -1].mean() else len(SHARES) - 1
    share = _share(table) if found["both"] > table[:, better].mean() else better
    return _rounded(found), Settings(feedback=feedback, vectors=SHARES[share])


def _share(gains: Scores) -> int:
    """Of the shares that are no worse than the best by more than a standard error, the most balanced one."""
    import numpy as np

    best = int(np.argmax(gains.mean(axis=0)))
    lost = gains[:, [best]] - gains
    within = lost.mean(axis=0) <= lost.std(axis=0) / math.sqrt(len(gains)) + 1e-9
    return min(np.flatnonzero(within).tolist(), key=lambda each: (abs(SHARES[each] - 0.5), each))


def _gain(scores: Scores, place: int) -> float:
    """nDCG@10 where one passage is right; those that score the same share their ranks."""
    above, same = int((scores > scores[place]).sum()), int((scores == scores[place]).sum())
    if scores[place] <= 0:
        return 0.0
    rank = above + (same + 1) / 2
    return 1 / math.log2(rank + 1) if rank <= 10 else 0.0


def _rounded(found: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in found.items()}


def _learnt(rows: list[list[float]], so: list[bool]) -> tuple[Logistic, tuple[Any, Any]]:
    """A logistic regression, and what its likes say of questions that they have not seen."""
    import numpy as np

    given, wanted = np.array(rows), np.array(so)
    fold = (np.arange(len(rows)) // 2) % FOLDS  # what is asked of a question is in one fold
    held = np.zeros(len(rows))
    for each in range(FOLDS):
        held[fold == each] = Logistic.learned(given[fold != each], wanted[fold != each])(given[fold == each])
    return Logistic.learned(given, wanted), (held, wanted)
