"""From scores to a word that can be relied on: probabilities, bounds, and the threshold that a target accuracy asks for.

Everything is learned from predictions on held-out examples. With little evidence the bounds are wide, so nothing is sure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[Any]
    Flags: TypeAlias = NDArray[Any]

CONFIDENCE: Final = 1.6449
"""Standard deviations of a bound that holds in 95 of 100 cases, on one side."""

NEVER: Final = 2.0
"""A threshold that no confidence reaches."""

OWN_EVIDENCE: Final = 100
"""So many held-out answers of one label let it have a threshold of its own."""


def wilson(right: float, count: float, deviations: float = CONFIDENCE) -> tuple[float, float]:
    """Bounds of a share of which `right` in `count` were seen (Wilson 1927); (0, 1) where nothing was."""
    if count <= 0:
        return 0.0, 1.0
    share, square = right / count, deviations**2
    middle = share + square / (2 * count)
    spread = deviations * math.sqrt(max(share * (1 - share), 0.0) / count + square / (4 * count**2))
    return max((middle - spread) / (1 + square / count), 0.0), min((middle + spread) / (1 + square / count), 1.0)


@dataclass(frozen=True, slots=True)
class Logistic:
    """The probability of yes, from features: 1 / (1 + exp(-(features . weights + bias))), of features as they come."""

    weights: Floats
    bias: float

    def odds(self, features: Floats) -> Floats:
        """The logarithm of the odds."""
        return features @ self.weights + self.bias

    def __call__(self, features: Floats) -> Floats:
        return sigmoid(self.odds(features))

    @classmethod
    def learned(cls, features: Floats, yes: Flags, share: Floats | None = None, penalty: float = 1.0) -> Logistic:
        """Newton's method with a ridge on the weights of standardised features; no weight is negative.

        Each feature speaks for yes: one that seems to speak against it, given the others, is left out, so that what is far
        from all examples never gains by it. Targets are drawn in from 0 and 1 as Platt (1999) does, so that few examples give
        no certainty. share: how much each example counts.
        """
        import numpy as np

        middle, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
        standard = (features - middle) / spread
        count = np.ones(len(features)) if share is None else share
        many, few = float(count[yes].sum()), float(count[~yes].sum())
        target = np.where(yes, (many + 1) / (many + 2), 1 / (few + 2))
        used = list(range(features.shape[1]))
        while True:
            found = _newton(np.hstack([standard[:, used], np.ones((len(features), 1))]), target, count, penalty)
            worst = int(np.argmin(found[:-1])) if used else 0
            if not used or found[worst] >= 0:
                break
            del used[worst]
        weights = np.zeros(features.shape[1])
        weights[used] = found[:-1] / spread[used]
        return cls(weights, float(found[-1] - middle @ weights))


def _newton(features: Floats, target: Floats, count: Floats, penalty: float) -> Floats:
    """The weights, and last the bias, under which the targets are likeliest."""
    import numpy as np

    ridge = np.diag([*[penalty] * (features.shape[1] - 1), 1e-6])
    found = np.zeros(features.shape[1])
    for _ in range(50):
        told = sigmoid(features @ found)
        slope = features.T @ (count * (target - told)) - ridge @ found
        curve = (features * (count * np.maximum(told * (1 - told), 1e-6))[:, None]).T @ features + ridge
        step = np.linalg.solve(curve, slope)
        found = found + np.clip(step, -4, 4)
        if float(np.abs(step).max()) < 1e-8:
            break
    return found


def sigmoid(odds: Floats) -> Floats:
    """The probability that odds stand for."""
    import numpy as np

    return 1 / (1 + np.exp(-np.clip(odds, -60, 60)))


def softmax(scores: Floats, sharpness: float) -> Floats:
    """Probabilities of labels, from scores."""
    import numpy as np

    raised = scores * sharpness
    raised = np.exp(raised - raised.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def sharpness_of(scores: Floats, labels: Sequence[int]) -> tuple[float, float]:
    """The sharpness (1 / temperature) that makes held-out scores likeliest (Guo et al. 2017), and their mean log loss."""
    import numpy as np

    rows, best = np.arange(len(labels)), (math.inf, 1.0)
    for sharpness in np.geomspace(0.5, 64, 29):
        told = softmax(scores, float(sharpness))[rows, np.asarray(labels)]
        best = min(best, (float(-np.log(np.maximum(told, 1e-12)).mean()), float(sharpness)))
    return best[1], best[0]


def threshold(confidence: Floats, right: Flags, target: float) -> float:
    """The lowest confidence from which on answers reach a target with a lower bound; NEVER where none does.

    What has a negative confidence does not take part.
    """
    import numpy as np

    order = np.argsort(-confidence, kind="stable")[: int((confidence >= 0).sum())]
    sorted_, hits = confidence[order], np.cumsum(right[order])
    found = NEVER
    for place in range(len(order)):
        if place + 1 < len(order) and sorted_[place + 1] == sorted_[place]:
            continue
        if wilson(float(hits[place]), place + 1)[0] >= target:
            found = float(sorted_[place])
    return found


def thresholds(confidence: Floats, right: Flags, said: Sequence[int], count: int, target: float) -> list[float]:
    """A threshold for each of `count` labels, from held-out answers: which label was said, how confidently, whether rightly.

    A label with much evidence gets its own. The others share that of all answers, as long as what is known of the label does
    not speak against it: then it gets a higher one, or none.
    """
    import numpy as np

    pooled, answered = threshold(confidence, right, target), np.asarray(said)
    found = list[float]()
    for label in range(count):
        own, hit = confidence[answered == label], right[answered == label]
        if len(own) >= OWN_EVIDENCE:
            found.append(threshold(own, hit, target))
            continue
        limit = pooled
        for candidate in sorted({pooled, *(float(each) for each in own if each > pooled)}):
            above = own >= candidate
            limit = candidate
            if wilson(float(hit[above].sum()), float(above.sum()))[1] >= target:
                break
        else:
            limit = NEVER
        found.append(limit)
    return found


def separation(inside: Floats, outside: Floats) -> float:
    """The chance that something inside scores higher than something outside: the area under the ROC curve."""
    import numpy as np

    if not len(inside) or not len(outside):
        return math.nan
    both = np.concatenate([inside, outside])
    kinds, at = np.unique(both, return_inverse=True)
    counts = np.bincount(at, minlength=len(kinds))
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[at]
    return float((ranks[: len(inside)].sum() - len(inside) * (len(inside) + 1) / 2) / (len(inside) * len(outside)))


def stability(before: Sequence[float], after: Sequence[float]) -> float:
    """How far two distributions over the same kinds have moved apart: the population stability index (Siddiqi 2006).

    Under 0.1 is little, above 0.25 is much. Half a case is added to each kind, so that an empty one says no more than it can.
    """
    first, second = [each + 0.5 for each in before], [each + 0.5 for each in after]
    shares = [(one / sum(first), other / sum(second)) for one, other in zip(first, second, strict=True)]
    return sum((other - one) * math.log(other / one) for one, other in shares)
