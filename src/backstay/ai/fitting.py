"""A fitted classifier: what it says of a text, how likely that is right, and whether the text is like anything it has seen.

Two views of a text, words (TF-IDF) and meaning (an embedding, where there is one), are mixed in one kernel. `learning.py`
makes fits. A fit is written as plain arrays and JSON, so that an old one can be read for as long as somebody wants it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from backstay.ai.calibration import Logistic, softmax
from backstay.ai.features import TfIdf
from backstay.errors import OperatorError
from backstay.types import Json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backstay.ai.embeddings import Embedder

    Numbers: TypeAlias = NDArray[Any]

FORM: Final = 1
"""Of the bytes."""


class VectorsMissing(OperatorError):
    """A fit was made with vectors that are not at hand here."""

    code = "VECTORS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be told apart, and how well."""

    labels: dict[str, str]
    """Label -> what it means; "" where its name says it."""
    target: float
    none: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a fit says of one text."""

    label: str
    confidence: float
    sure: bool
    inside: float
    """The probability that it belongs to one of the labels at all, from how it is like what was learned from."""
    second: str
    """The next best label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How far the answers of a fit can be relied on."""

    sharpness: float
    """By which scores become odds among labels."""
    right: Logistic
    """Whether an answer is right."""
    inside: Logistic
    """Whether a text belongs to a label at all."""
    scale: Logistic
    """From both to a calibrated probability."""
    floor: float
    """What is less likely to belong to a label is none of them."""
    safe: float
    """What is less likely to belong to a label is never sure."""
    strange: float
    """How often "none of these" was right on held-out texts, drawn in to a half: it scales the confidence in it."""
    limits: Sequence[float]
    """The confidence from which on each label is sure; the last is that of "none of these"."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A classifier, ready to answer. It holds no example's text."""

    task: Task
    embedder: str
    """Which vectors it needs; "" for none."""
    words: TfIdf
    mix: float
    """How much of the kernel is meaning."""
    reach: float
    """How quickly likeness of meaning fades."""
    by_words: Numbers
    """Weights of the features, one row each."""
    centre: Numbers
    """The mean of the examples' vectors."""
    landmarks: Numbers
    """Vectors of examples."""
    belonging: Numbers
    """Which of them belong to a label, and were not shown to belong to none."""
    by_meaning: Numbers
    """Weights of those, one row each."""
    trust: Trust
    digest: str
    """Of what it was learned from, and how."""
    report: dict[str, Json] = field(default_factory=dict)

    @property
    def about(self) -> str:
        """What it works with, in a word."""
        return "+".join(["tfidf"] * (self.mix < 1) + [name.split()[0] for name in [self.embedder] if name])

    def answers(self, texts: Sequence[str], embedder: Embedder | None) -> list[Answer]:
        """What the fit says of texts. Raises VectorsMissing where it needs others than the embedder makes."""
        if not texts:
            return []
        scores, facts = self.facts(texts, embedder)
        trust, labels = self.trust, list(self.task.labels)
        inside, confidence = trust.inside(facts), trust.scale(joined(trust, facts)[:, None])
        order = scores[:, : len(labels)].argsort(axis=1)
        shown = scores.argmax(axis=1) >= len(labels)
        made = list[Answer]()
        for row in range(len(texts)):
            best, second = int(order[row, -1]), int(order[row, max(-2, -len(labels))])
            within, certain = float(inside[row]), float(confidence[row])
            if shown[row] or within < trust.floor:
                certain = (1 - within) * trust.strange
                made.append(Answer(self.task.none, certain, certain >= trust.limits[-1], within, labels[best]))
            else:
                sure = within >= trust.safe and certain >= trust.limits[best]
                made.append(Answer(labels[best], certain, sure, within, labels[second]))
        return made

    def facts(self, texts: Sequence[str], embedder: Embedder | None) -> tuple[Numbers, Numbers]:
        """The scores of the labels, and perhaps of none of them, and what speaks for the best label."""
        import numpy as np

        rows = self.words.rows(texts)
        scores = rows.times(self.by_words).astype(np.float64)
        like = np.zeros(len(texts))
        if self.embedder:
            if embedder is None or embedder.name != self.embedder:
                raise VectorsMissing(
                    f"this fit was made with the vectors of {self.embedder!r}, which are not at hand: bring them back, or fit anew"
                )
            vectors = embedder.embed(texts)
            like = (vectors @ self.landmarks[self.belonging].T).max(axis=1).astype(np.float64)
            cosines = centred(vectors, self.centre) @ centred(self.landmarks, self.centre).T
            scores += faded(cosines, self.reach) @ self.by_meaning
        of_labels = scores[:, : len(self.task.labels)]
        return scores, evidence_of(of_labels, self.trust.sharpness, like, rows.known.astype(np.float64))

    # --- as bytes ---

    def as_bytes(self) -> bytes:
        """Arrays without pickles, and one JSON text."""
        import numpy as np

        trust = asdict(self.trust)
        for name in ("right", "inside", "scale"):
            part: Logistic = getattr(self.trust, name)
            trust[name] = [part.bias, *part.weights.tolist()]
        about = {
            "form": FORM, "task": asdict(self.task), "embedder": self.embedder, "mix": self.mix, "reach": self.reach,
            "digest": self.digest, "report": self.report, "trust": trust, "features": self.words.features,
            "texts": self.words.texts,
        }  # fmt: skip
        file = io.BytesIO()
        np.savez_compressed(
            file, about=np.frombuffer(json.dumps(about).encode(), np.uint8), frequencies=self.words.frequencies,
            by_words=self.by_words.astype(np.float16), centre=self.centre, landmarks=self.landmarks,
            belonging=self.belonging, by_meaning=self.by_meaning,
        )  # fmt: skip
        return file.getvalue()

    @classmethod
    def of_bytes(cls, content: bytes) -> Fit:
        """Read what `as_bytes` wrote."""
        import numpy as np

        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            about = json.loads(file["about"].tobytes())
            trust = dict(about["trust"])
            for name in ("right", "inside", "scale"):
                bias, *weights = trust[name]
                trust[name] = Logistic(np.asarray(weights), bias)
            return cls(
                task=Task(**about["task"]), embedder=about["embedder"], mix=about["mix"], reach=about["reach"],
                words=TfIdf(about["features"], file["frequencies"], about["texts"]),
                by_words=file["by_words"].astype(np.float32), centre=file["centre"], landmarks=file["landmarks"],
                belonging=file["belonging"],
                by_meaning=file["by_meaning"], trust=Trust(**trust), digest=about["digest"], report=about["report"],
            )  # fmt: skip


def centred(vectors: Numbers, centre: Numbers) -> Numbers:
    """Vectors of length 1 as seen from a centre: what all texts of a field have in common tells none apart."""
    import numpy as np

    moved = vectors - centre
    return moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9)


def faded(cosines: Numbers, reach: float) -> Numbers:
    """Likeness from cosines: 1 for the same, 0 for what has nothing in common, steeper with a larger reach."""
    import numpy as np

    base = np.exp(-reach)
    return (np.exp(reach * (cosines - 1)) - base) / (1 - base)


def evidence_of(scores: Numbers, sharpness: float, like: Numbers, known: Numbers) -> Numbers:
    """What speaks for an answer: the best score, its distance to the next, the odds among labels, likeness, known words."""
    import numpy as np

    ordered = np.sort(scores, axis=1)
    best = ordered[:, -1]
    margin = best - ordered[:, -2] if scores.shape[1] > 1 else best
    share = np.clip(softmax(scores, sharpness).max(axis=1), 1e-6, 1 - 1e-6)
    return np.column_stack([best, margin, np.log(share / (1 - share)), like, known])


def joined(trust: Trust, facts: Numbers) -> Numbers:
    """The odds that an answer is right and the text belongs to a label at all."""
    import numpy as np

    both = np.clip(trust.right(facts) * trust.inside(facts), 1e-9, 1 - 1e-9)
    return np.log(both / (1 - both))
