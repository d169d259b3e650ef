"""Learns a fit from labelled examples: five of each label, twenty in all, are enough to begin, thousands make it better.

Which mix of words and meaning, and how smooth, is chosen by what a fit says of examples that it was not shown; so are its
confidence and its thresholds. How texts look that belong to no label is learned by leaving out whole labels. Deterministic.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from backstay.ai.calibration import NEVER, Logistic, separation, sharpness_of, threshold, thresholds, wilson
from backstay.ai.features import Rows, TfIdf, folded, words_in
from backstay.ai.fitting import Fit, Task, Trust, centred, evidence_of, faded, joined
from backstay.ai.ridge import LANDMARKS, Solved, solve
from backstay.errors import InvalidInput
from backstay.types import Json

if TYPE_CHECKING:
    from backstay.ai.embeddings import Embedder

ALGORITHM: Final = 2
"""Counted up when the same examples lead to another fit: the digest of a fit says all that it came from."""

MIXES: Final = (0.8, 0.9, 0.7, 1.0, 0.0)
"""How much of the kernel is meaning; the rest is words."""

REACHES: Final = (1.0, 2.0)
PENALTIES: Final = (0.05, 0.1, 0.2, 0.4, 0.8)

CHOOSING: Final = 1000
"""So many examples choose mix, reach and penalty; all of them make the fit."""

OUTSIDE: Final = 0.05
"""So many texts, for each that belongs to a label, are taken to belong to none when confidence is calibrated."""

COPIES: Final = 0.95
"""Texts so alike in their words are left out together: to know one by its copy proves nothing."""

EVIDENCE: Final = 20
"""With fewer examples nothing is said about how good a fit is."""

STRANGE: Final = 0.01
"""The share of what belongs that may be taken for unlike, where nobody has shown what does not belong."""

ODD: Final = 0.05
"""The share of right answers that may be given up so that what is hardly like anything seen is never sure."""

Numbers: TypeAlias = Any
"""An array of numpy, which is loaded when something is learned."""


@dataclass(frozen=True, slots=True)
class Example:
    """A text, and what somebody says it is."""

    text: str
    label: str


@dataclass(frozen=True, slots=True)
class _Data:
    """What is learned from: the labelled texts, then one text for each label that says what it means."""

    texts: list[str]
    labels: list[int]
    own: int
    """How many of them somebody labelled."""
    words: TfIdf
    rows: Rows
    vectors: Numbers | None
    count: int
    """Of labels."""
    classes: int
    """The labels, and one more where somebody showed what belongs to none."""

    def take(self, which: Sequence[int]) -> tuple[Numbers, Numbers | None, list[int]]:
        """Inner products of words, cosines of meaning, and labels of some of them."""
        some = self.rows.take(which)
        cosines = None
        if self.vectors is not None:
            seen = centred(self.vectors, self.vectors.mean(axis=0))[which]
            cosines = seen @ seen.T
        return some.alike(some, len(self.words)), cosines, [self.labels[each] for each in which]


@dataclass(frozen=True, slots=True)
class _Choice:
    mix: float
    reach: float
    penalty: float


class Lesson(NamedTuple):
    """A fit, and what it says of each labelled text when it has not seen that."""

    fit: Fit
    held_out: dict[str, str]


def learn(
    task: Task, examples: Sequence[Example], embedder: Embedder | None = None,
    vectors: Callable[[Sequence[str]], Numbers] | None = None,
) -> Lesson:  # fmt: skip
    """Fit a task. vectors: gives those of the embedder, perhaps from a cache.

    Raises InvalidInput where there are fewer than two labels, an example has another, or there is nothing to learn from.
    """
    _check(task, examples)
    kept = distinct(examples)
    made = vectors if vectors is not None or embedder is None else embedder.embed
    data = _data(task, kept, made)
    choice, losses = _choose(data)
    landmarks = _spread(data.labels, LANDMARKS)
    fit, solved, alike, cosines = _solved(task, data, choice, landmarks, embedder)
    trust, report = _trust(fit, data, solved, (landmarks, alike, cosines))
    counted = Counter(each.label for each in kept)
    report |= {
        "examples": len(kept), "repeated": len(examples) - len(kept), "labels": len(task.labels), "target": task.target,
        "embedder": fit.embedder, "mix": choice.mix, "reach": choice.reach, "penalty": choice.penalty, "tried": losses,
        "examples_by_label": {label: counted[label] for label in [*task.labels, task.none]},
    }  # fmt: skip
    names = [*task.labels, task.none]
    said = {data.texts[row]: names[int(solved.held_out[row].argmax())] for row in range(data.own)}
    return Lesson(replace(fit, trust=trust, report=report, digest=digest_of(task, kept, embedder)), said)


def digest_of(task: Task, examples: Sequence[Example], embedder: Embedder | None) -> str:
    """Names a fit by all that it comes from."""
    name = "" if embedder is None else embedder.name
    said = [ALGORITHM, asdict(task), sorted((each.text, each.label) for each in examples), name]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _check(task: Task, examples: Sequence[Example]) -> None:
    if len(task.labels) < 2:
        raise InvalidInput("labels: there must be two or more to tell apart", {"labels": "too few"})
    if not 0.5 <= task.target < 1:
        raise InvalidInput(
            f"target: a share of right answers from 0.5 to below 1, not {task.target}", {"target": "out of range"}
        )
    known = {*task.labels, task.none}
    if unknown := sorted({each.label for each in examples} - known):
        raise InvalidInput(
            f"examples: {unknown[0]!r} is no label; there are {', '.join(sorted(known))}", {"label": "unknown"}
        )


def distinct(examples: Sequence[Example]) -> list[Example]:
    """Each text once, with the label that came last: a later word corrects an earlier one."""
    found = {" ".join(words_in(folded(each.text))): each for each in examples}
    return [each for text, each in found.items() if text]


def _data(task: Task, own: Sequence[Example], vectors: Callable[[Sequence[str]], Numbers] | None) -> _Data:
    places = {label: place for place, label in enumerate([*task.labels, task.none])}
    told = [f"{label}: {about}" if about else label for label, about in task.labels.items()]
    texts = [*(each.text for each in own), *(text.replace("_", " ").replace("-", " ") for text in told)]
    words = TfIdf.learned(texts)
    return _Data(
        texts=texts, labels=[*(places[each.label] for each in own), *range(len(told))], own=len(own), words=words,
        rows=words.rows(texts), vectors=None if vectors is None else vectors(texts), count=len(told),
        classes=len(told) + any(each.label == task.none for each in own),
    )  # fmt: skip


# --- choosing ---------------------------------------------------------------------------------------------------------


def _choose(data: _Data) -> tuple[_Choice, dict[str, Json]]:
    """The mix, reach and penalty under which held-out examples are likeliest, and how the mixes compare.

    Without vectors only words are left. With too few examples to tell, meaning leads and words help.
    """
    which = _spread(data.labels, CHOOSING)
    alike, cosines, labels = data.take(which)
    judged = [place for place, each in enumerate(which) if each < data.own]
    mixes = MIXES if cosines is not None else (0.0,)
    if len(judged) < EVIDENCE:
        return _Choice(mixes[0], REACHES[0], 0.2), {}
    groups, found = copies(alike, labels), dict[_Choice, tuple[float, float]]()
    truth = [labels[each] for each in judged]
    for mix, reach in product(mixes, REACHES):
        if mix == 0 and reach != REACHES[0]:
            continue
        kernel = mixed(alike, cosines, mix, reach)
        for penalty in PENALTIES:
            held = solve(kernel, range(len(which)), labels, data.classes, penalty, groups).held_out[judged]
            right = float((held.argmax(axis=1) == truth).mean())
            found[_Choice(mix, reach, penalty)] = sharpness_of(held, truth)[1], right
    best = min(found, key=lambda each: found[each][0])
    told: dict[str, Json] = {}
    for mix in mixes:
        loss, right = min(values for each, values in found.items() if each.mix == mix)
        told[_named(mix)] = {"log_loss": round(loss, 4), "accuracy": round(right, 4)}
    return best, told


def _named(mix: float) -> str:
    return "words" if mix == 0 else "meaning" if mix == 1 else f"{mix:.0%} meaning"


def mixed(alike: Numbers, cosines: Numbers | None, mix: float, reach: float) -> Numbers:
    """The kernel: likeness of words and of meaning in one."""
    import numpy as np

    words = alike.astype(np.float64)
    return words if cosines is None or not mix else (1 - mix) * words + mix * faded(cosines.astype(np.float64), reach)


def _spread(labels: Sequence[int], most: int) -> list[int]:
    """At most so many examples, as even over the labels as can be; the last of each first, so all descriptions are there."""
    if len(labels) <= most:
        return list(range(len(labels)))
    turn, ranked = Counter[int](), list[tuple[int, int]]()
    for place in range(len(labels) - 1, -1, -1):
        ranked.append((turn[labels[place]], place))
        turn[labels[place]] += 1
    return sorted(place for _, place in sorted(ranked)[:most])


def copies(alike: Numbers, labels: Sequence[int]) -> list[list[int]]:
    """Groups of examples of one label whose words are nearly the same."""
    import numpy as np

    top = list(range(len(labels)))
    for one, other in np.argwhere(np.triu(alike > COPIES, 1)):
        if labels[one] == labels[other]:
            top[other] = min(top[other], top[one])
    groups: dict[int, list[int]] = {}
    for each in range(len(labels)):
        groups.setdefault(top[each], []).append(each)
    return [group for group in groups.values() if len(group) > 1]


# --- solving ----------------------------------------------------------------------------------------------------------


def _solved(
    task: Task, data: _Data, choice: _Choice, landmarks: list[int], embedder: Embedder | None
) -> tuple[Fit, Solved, Numbers, Numbers | None]:
    import numpy as np

    marked = data.rows.take(landmarks)
    alike = data.rows.alike(marked, len(data.words))
    cosines, centre = None, np.zeros(1, np.float32)
    if data.vectors is not None and choice.mix:
        centre = data.vectors.mean(axis=0)
        seen = centred(data.vectors, centre)
        cosines = seen @ seen[landmarks].T
    kernel = mixed(alike, cosines, choice.mix, choice.reach)
    groups = copies(alike, data.labels) if len(landmarks) == len(data.labels) else []
    solved = solve(kernel, landmarks, data.labels, data.classes, choice.penalty, groups)
    near = None if cosines is None or data.vectors is None else data.vectors[landmarks]
    fit = Fit(
        task=task, embedder=embedder.name if embedder is not None and cosines is not None else "", words=data.words,
        mix=choice.mix, reach=choice.reach, centre=centre,
        by_words=marked.turned_times(((1 - choice.mix) * solved.weights).astype(np.float32), len(data.words)),
        landmarks=np.zeros((0, 1), np.float32) if near is None else near,
        belonging=np.asarray([data.labels[each] < data.count for each in landmarks]),
        by_meaning=(choice.mix * solved.weights).astype(np.float32),
        trust=Trust(sharpness=1.0, right=_nothing(5), inside=_nothing(5), scale=_nothing(1), floor=0.0, safe=1.0, strange=0.5, limits=()), digest="",
    )  # fmt: skip
    return fit, solved, alike, None if near is None or data.vectors is None else data.vectors @ near.T


def _nothing(width: int) -> Logistic:
    """What says nothing either way."""
    import numpy as np

    return Logistic(np.zeros(width), 0.0)


# --- how far it can be relied on --------------------------------------------------------------------------------------


def _trust(
    fit: Fit, data: _Data, solved: Solved, near: tuple[list[int], Numbers, Numbers | None]
) -> tuple[Trust, dict[str, Json]]:
    """What held-out answers say of the fit, and of texts that belong to no label."""
    import numpy as np

    own, truth = data.own, np.asarray(data.labels[: data.own], np.int64)
    belongs = truth < data.count
    count = int(belongs.sum())
    if count < EVIDENCE:
        guess = Logistic(np.zeros(1), -math.log(data.count))  # as likely right as any of the labels, and none of them
        trust = replace(fit.trust, sharpness=8.0, scale=guess, limits=(NEVER,) * (data.count + 1))
        return trust, {"evidence": f"{count} examples say too little about it: {EVIDENCE} are needed"}
    held, left = solved.held_out[:own, : data.count], solved.unlike[:own, : data.count]
    sharpness, _ = sharpness_of(held[belongs], truth[belongs].tolist())
    (like, unlike), (known, strangely) = _nearest(data, *near), _known(data)
    facts = evidence_of(held, sharpness, like[:own], known[:own])
    strange = evidence_of(left, sharpness, unlike[:own], strangely[:own])[belongs]
    right = held.argmax(axis=1) == truth
    trust = _weighed(replace(fit.trust, sharpness=sharpness), facts, strange, belongs, right)
    within, confidence = trust.inside(facts), trust.scale(joined(trust, facts)[:, None])
    taken = solved.held_out[:own].argmax(axis=1) == data.count
    floor = _floor(np.where(taken, -1.0, within), right, belongs)
    none = taken | (within < floor)
    said, right = np.where(none, data.count, held.argmax(axis=1)), np.where(none, ~belongs, right)
    shown = bool((~belongs).any())
    trust = replace(
        trust, floor=floor, strange=float((right[none].sum() + 1) / (none.sum() + 2)) if shown else 0.5,
        safe=max(floor, float(np.quantile(within[right & ~none], ODD))) if (right & ~none).any() else 1.0,
    )  # fmt: skip
    confidence = np.where(none, (1 - within) * trust.strange, confidence)
    able, one, target = np.where(none | (within >= trust.safe), confidence, -1.0), ~none, fit.task.target
    limits = [
        *thresholds(able[one], right[one], said[one].tolist(), data.count, target),
        threshold(able[none], right[none], target) if shown else NEVER,
    ]
    report = held_out_report(fit.task, able, confidence, right, said.tolist(), truth.tolist(), limits)
    apart = separation(trust.inside(facts[belongs]), trust.inside(strange))
    report["unlike"] = {"auroc": round(apart, 4), "share": round(float(none.mean()), 4)}
    return replace(trust, limits=tuple(limits)), report


def _weighed(trust: Trust, facts: Numbers, strange: Numbers, belongs: Numbers, right: Numbers) -> Trust:
    """How much each fact says about whether an answer is right, and whether a text belongs to a label."""
    import numpy as np

    count, shown = int(belongs.sum()), int((~belongs).sum())
    every, odd = np.vstack([facts, strange]), np.zeros(len(strange), bool)
    good, inside = np.concatenate([right, odd]), np.concatenate([belongs, odd])
    share = np.concatenate([np.ones(len(facts)), np.full(len(strange), OUTSIDE)])
    each = np.concatenate([np.where(belongs, 1.0, min(count / max(shown, 1), 10.0)), np.ones(len(strange))])
    trust = replace(trust, right=Logistic.learned(every, good, share), inside=Logistic.learned(every, inside, each))
    return replace(trust, scale=Logistic.learned(joined(trust, every)[:, None], good, share, penalty=1e-3))


def _nearest(data: _Data, landmarks: list[int], alike: Numbers, cosines: Numbers | None) -> tuple[Numbers, Numbers]:
    """How like each example is to the nearest other one, and to the nearest of another label."""
    import numpy as np

    count = len(data.labels)
    if cosines is None:
        return np.zeros(count), np.zeros(count)
    labels = np.asarray(data.labels)
    same = labels[:, None] == labels[landmarks][None, :]
    itself = np.arange(count)[:, None] == np.asarray(landmarks)[None, :]
    cosines = np.where(labels[landmarks][None, :] == data.count, -1.0, cosines)
    others = np.where(itself | (same & (alike > COPIES)), -1.0, cosines)
    return others.max(axis=1), np.where(same, -1.0, cosines).max(axis=1)


def _known(data: _Data) -> tuple[Numbers, Numbers]:
    """How much of each example's words other examples have, and those of other labels."""
    import numpy as np

    count, labels = data.words.frequencies, np.asarray(data.labels)
    known, strangely = np.zeros(len(labels)), np.zeros(len(labels))
    for label in range(data.classes):
        group = np.flatnonzero(labels == label)
        columns = data.rows.take(group).columns
        known[group] = data.rows.known_to(count - 1, group)
        strangely[group] = data.rows.known_to(count - np.bincount(columns, minlength=len(count)), group)
    return known, strangely


def _floor(within: Numbers, right: Numbers, belongs: Numbers) -> float:
    """Below which a text is none of the labels: where most answers are right, if somebody showed what does not belong."""
    import numpy as np

    lowest = float(np.quantile(within[belongs], STRANGE))
    if (~belongs).sum() < 5:
        return min(lowest, 0.5)
    cuts = np.unique(np.concatenate([[0.0], within, [lowest]]))
    gained = [(right & (within >= cut)).sum() + (~belongs & (within < cut)).sum() for cut in cuts]
    return float(cuts[int(np.argmax(gained))])


def held_out_report(
    task: Task, able: Numbers, confidence: Numbers, right: Numbers, said: Sequence[int], truth: Sequence[int],
    limits: Sequence[float],
) -> dict[str, Json]:  # fmt: skip
    """How good answers are, how many are sure, and how good those are; for each label too."""
    import numpy as np

    names, said_, truth_ = [*task.labels, task.none], np.asarray(said), np.asarray(truth)
    sure = able >= np.asarray(limits)[said_]
    labels: dict[str, Json] = {}
    for place, name in enumerate(names):
        of_it, answered = truth_ == place, said_ == place
        if not of_it.any() and not answered.any():
            continue
        labels[name] = {
            "examples": int(of_it.sum()), "found": _share(right & of_it, of_it), "right": _share(right & answered, answered),
            "coverage": _share(sure & of_it, of_it), "threshold": None if limits[place] > 1 else round(limits[place], 4),
        }  # fmt: skip
    bins = np.clip((confidence * 10).astype(int), 0, 9)
    off = sum(abs(float((right[bins == each]).mean() - confidence[bins == each].mean())) * float((bins == each).mean()) for each in range(10) if (bins == each).any())  # fmt: skip
    return {
        "accuracy": round(float(right.mean()), 4), "coverage": round(float(sure.mean()), 4),
        "sure_accuracy": _share(right & sure, sure), "sure": int(sure.sum()),
        "at_least": round(wilson(float((right & sure).sum()), float(sure.sum()))[0], 4),
        "calibration_error": round(off, 4), "by_label": labels,
        "confidences": np.bincount(bins, minlength=10).tolist(),
        "answers": {name: int((said_ == place).sum()) for place, name in enumerate(names)},
    }  # fmt: skip


def _share(some: Numbers, of: Numbers) -> float | None:
    return round(float(some.sum() / of.sum()), 4) if of.any() else None
