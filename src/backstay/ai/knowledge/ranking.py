"""Ranking what somebody may read: by words, by vectors, by both.

Everything is computed from the passages that they may read, the statistics too: what they may not read changes no score.
By words it is BM25 (Robertson & Zaragoza 2009) with relevance-model feedback (Lavrenko & Croft 2001, as RM3); by vectors the
cosine; both are put together as a weighted sum of normalised scores (Bruch, Gai & Ingber 2023).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from backstay.ai.sentences import folded_words
from backstay.store.knowledge import Found, KnowledgeFile, Who

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from backstay.ai.embeddings import Embedder

    Scores = NDArray[np.float64]

K1: Final = 1.2
B: Final = 0.75
WEIGHTS: Final[Mapping[str, float]] = {"title": 1.5, "heading": 1.5, "body": 1.0}
"""What a word counts by where it stands."""

FEEDBACK_PASSAGES: Final = 10
FEEDBACK_TERMS: Final = 20
FEEDBACK_SHARE: Final = 0.4
"""What the words of the best passages count for, against those of the question."""

ALIKE: Final = 0.6
"""What a word counts for that is only like one of the question, at most."""
SIMILAR: Final = 0.6
"""The share of groups of three letters that words which are like each other have in common (Dice)."""
NEAR: Final = 6
"""So many words stand for one that stands nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a base is ranked."""

    feedback: bool = False
    """Whether the words of the best passages are asked for too."""
    vectors: float = 0.0
    """The share of the vectors, in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question as it is looked for."""

    terms: Mapping[str, float]
    """Stems with their weights."""
    vector: Any = None
    """Of length 1; None without an embedder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instead:
    """A view with other passages put aside, and one as it would be without some of its words: to ask about it."""

    aside: Any
    """Which passages do not count, as flags."""
    place: int | None = None
    """The passage that is another; None for none."""
    terms: Mapping[str, float] = field(default_factory=dict[str, float])
    length: float = 0.0
    vector: Any = None


class View:
    """The passages of a base that somebody may read, as they were at one moment."""

    def __init__(self, file: KnowledgeFile, base: str, who: Who, embedder: Embedder | None) -> None:
        import numpy as np

        self.file, self.base, self.who, self.embedder = file, base, who, embedder
        rows = file.view(base, who)
        self.ids = [int(row["id"]) for row in rows]
        self.documents = np.array([row["document"] for row in rows], np.int64)
        self.lengths = np.array(
            [sum(row[f"{name}_words"] * WEIGHTS[name] for name in WEIGHTS) for row in rows], np.float64
        )
        self.mean = float(self.lengths.mean()) if rows else 1.0
        self._place = {id_: place for place, id_ in enumerate(self.ids)}
        self._postings: dict[str, tuple[Any, Any]] = {}
        self._stems: dict[int, dict[str, float]] = {}

    def __len__(self) -> int:
        return len(self.ids)

    # --- a question ---

    def ask(self, questions: Sequence[str], *, alike: bool = True) -> list[Asked]:
        """Questions as they are looked for. alike: words that nobody wrote stand for those that are spelled like them."""
        found = self.file.stems([" ".join(folded_words(each)) for each in questions])
        vectors: Any = self.embedder.embed(questions) if self.embedder is not None and self.embedded else None
        self.load({stem for each in found for stem in each})
        return [
            Asked(
                terms=self._spelled(question, stems) if alike else dict(stems),
                vector=None if vectors is None else vectors[number],
            )
            for number, (question, stems) in enumerate(zip(questions, found, strict=True))
        ]

    def _spelled(self, question: str, stems: Mapping[str, int]) -> dict[str, float]:
        """The stems of a question, with those of words that are spelled like one of it which stands nowhere."""
        terms = {stem: float(times) for stem, times in stems.items()}
        words = folded_words(question)
        for word, stem in zip(words, self._stem_each(words), strict=True):
            if len(word) > 3 and not self.frequency(stem):
                terms |= {other: max(terms.get(other, 0.0), like) for other, like in self._near(word).items()}
        return terms

    def _near(self, word: str) -> dict[str, float]:
        """The stems of words that are spelled like one, hold it or are its parts, with what they count for."""
        letters, like = _letters(word), dict[str, float]()
        for other in self.file.alike(sorted(letters)):
            theirs = _letters(other)
            share = 2 * len(letters & theirs) / (len(letters) + len(theirs))
            short, long = sorted((word, other), key=len)
            part = len(short) > 3 and (long.startswith(short) or long.endswith(short))
            if part or share >= SIMILAR:
                like[other] = ALIKE * max(share, len(short) / len(long) if part else 0.0)
        found = dict[str, float]()
        for stem, count in zip(self._stem_each(list(like)), like.values(), strict=True):
            found[stem] = max(found.get(stem, 0.0), count)
        self.load(found)
        best = sorted((each for each in found if self.frequency(each)), key=lambda each: (-found[each], each))
        return {each: found[each] for each in best[:NEAR]}

    def _stem_each(self, words: Sequence[str]) -> list[str]:
        return [next(iter(each), "") for each in self.file.stems(words)]

    # --- by words ---

    def load(self, terms: Iterable[str]) -> None:
        """Read where stems stand."""
        import numpy as np

        missing = [each for each in terms if each not in self._postings]
        if not missing:
            return
        found: dict[str, dict[int, float]] = defaultdict(dict)
        for row in self.file.postings(self.base, self.who, missing):
            place = self._place.get(row["passage"])
            if place is not None:
                held = found[row["term"]]
                held[place] = held.get(place, 0.0) + row["times"] * WEIGHTS[row["col"]]
        for term in missing:
            places = sorted(found[term])
            times = [found[term][place] for place in places]
            self._postings[term] = np.array(places, np.int64), np.array(times, np.float64)

    def frequency(self, term: str) -> int:
        """In how many passages a stem stands."""
        self.load([term])
        return len(self._postings[term][0])

    def rarity(self, term: str) -> float:
        """The inverse document frequency of BM25, never below 0."""
        count = self.frequency(term)
        return math.log(1 + (len(self) - count + 0.5) / (count + 0.5))

    def by_words(self, terms: Mapping[str, float], instead: Instead | None = None) -> Scores:
        """BM25 of every passage."""
        import numpy as np

        scores = np.zeros(len(self))
        for term, weight in terms.items():
            self.load([term])
            places, times = self._postings[term]
            scores[places] += weight * self.rarity(term) * self._saturated(times, self.lengths[places])
        if instead is not None:
            scores[instead.aside] = 0
            if instead.place is not None:
                held = [(weight * self.rarity(term), instead.terms.get(term, 0.0)) for term, weight in terms.items()]
                scores[instead.place] = sum(
                    rare * float(self._saturated(times, instead.length)) for rare, times in held
                )
        return scores

    def _saturated(self, times: Any, lengths: Any) -> Any:
        return times * (K1 + 1) / (times + K1 * (1 - B + B * lengths / self.mean))

    def with_feedback(self, asked: Asked, first: Scores, instead: Instead | None = None) -> dict[str, float]:
        """The terms of a question with those that the best passages have in common."""
        import numpy as np

        best = [int(place) for place in np.argsort(-first, kind="stable")[:FEEDBACK_PASSAGES] if first[place] > 0]
        whole = sum(first[place] for place in best)
        shared = Counter[str]()
        for place, stems in zip(best, self.stems_at(best), strict=True):
            held = instead.terms if instead is not None and place == instead.place else stems
            length = sum(held.values()) or 1.0
            for stem, times in held.items():
                shared[stem] += first[place] / whole * times / length
        self.load(shared)
        kept = sorted(shared, key=lambda stem: (-shared[stem] * self.rarity(stem), stem))[:FEEDBACK_TERMS]
        given, told = sum(asked.terms.values()) or 1.0, sum(shared[stem] for stem in kept) or 1.0
        terms = {stem: (1 - FEEDBACK_SHARE) * weight / given for stem, weight in asked.terms.items()}
        for stem in kept:
            terms[stem] = terms.get(stem, 0.0) + FEEDBACK_SHARE * shared[stem] / told
        return terms

    def stems_at(self, places: Sequence[int]) -> list[dict[str, float]]:
        """The stems of passages, weighted by where they stand."""
        missing = [place for place in places if place not in self._stems]
        found = self.file.read(self.base, self.who, [self.ids[place] for place in missing])
        there = [found[self.ids[place]] for place in missing if self.ids[place] in found]
        for passage, stems in zip(there, self.weighted([_parts(each) for each in there]), strict=True):
            self._stems[self._place[passage.id]] = stems
        return [self._stems.get(place, {}) for place in places]

    def weighted(self, parts: Sequence[tuple[str, str, str]]) -> list[dict[str, float]]:
        """The stems of (title, heading, body), weighted by where they stand."""
        flat = self.file.stems([" ".join(folded_words(text)) for each in parts for text in each])
        made = list[dict[str, float]]()
        for start in range(0, len(flat), 3):
            counted = Counter[str]()
            for stems, weight in zip(flat[start : start + 3], WEIGHTS.values(), strict=True):
                for stem, times in stems.items():
                    counted[stem] += times * weight  # pyright: ignore[reportArgumentType] - a Counter of floats
            made.append(dict(counted))
        return made

    # --- by vectors ---

    @cached_property
    def _matrix(self) -> tuple[Any, Any]:
        """(places, their vectors in rows)"""
        import numpy as np

        found = [(self._place[id_], blob) for id_, blob in self.file.vectors(self.base, self.who) if id_ in self._place]
        if not found:
            return np.empty(0, np.int64), np.empty((0, 0), np.float32)
        rows = np.stack([np.frombuffer(blob, np.float32) for _, blob in found])
        return np.array([place for place, _ in found], np.int64), rows

    @property
    def embedded(self) -> bool:
        """Whether there are vectors."""
        return self.embedder is not None and len(self._matrix[0]) > 0

    def by_vectors(self, vector: Any, instead: Instead | None = None) -> Scores:
        """The cosine of every passage; -1 where there is no vector."""
        import numpy as np

        places, rows = self._matrix
        scores = np.full(len(self), -1.0)
        scores[places] = rows @ vector
        if instead is not None:
            scores[instead.aside] = -1.0
            if instead.place is not None and instead.vector is not None:
                scores[instead.place] = float(instead.vector @ vector)
        return scores

    # --- both ---

    def parts(self, asked: Asked, *, feedback: bool, instead: Instead | None = None) -> tuple[Scores, Scores | None]:
        """(by words, by vectors), each normalised: 1 for the best, 0 for what has nothing of it."""
        import numpy as np

        words = self.by_words(asked.terms, instead)
        if feedback and words.any():
            words = self.by_words(self.with_feedback(asked, words, instead), instead)
        top = words.max(initial=0.0)
        words = words / top if top > 0 else words
        if asked.vector is None:
            return words, None
        cosines = self.by_vectors(asked.vector, instead)
        usual, best = float(np.median(cosines)), float(cosines.max(initial=-1.0))
        return words, (cosines - usual) / (best - usual) if best > usual else np.zeros(len(self))

    def scores(self, asked: Asked, settings: Settings, instead: Instead | None = None) -> Scores:
        """What passages are ranked by."""
        words, vectors = self.parts(asked, feedback=settings.feedback, instead=instead)
        return words if vectors is None else mixed(words, vectors, settings.vectors)

    def read(self, places: Sequence[int]) -> list[Found]:
        """Passages, whole."""
        found = self.file.read(self.base, self.who, [self.ids[place] for place in places])
        return [found[self.ids[place]] for place in places if self.ids[place] in found]


def mixed(words: Scores, vectors: Scores, share: float) -> Scores:
    """Normalised scores, put together."""
    return (1 - share) * words + share * vectors


def _parts(passage: Found) -> tuple[str, str, str]:
    return passage.title, " ".join(passage.heading), passage.text


def _letters(word: str) -> set[str]:
    """A word's groups of three letters."""
    return {word[at : at + 3] for at in range(len(word) - 2)}
