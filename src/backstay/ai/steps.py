"""Steps that learn: which fit answers, what it was learned from, and how a new one comes into use.

A fit of the examples that stand in the code answers at once: its author released it. A fit that takes in what people said
answers only when a person has seen its report and accepted it; the old ones stay.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from backstay.ai.fitting import Fit, Task
from backstay.ai.learning import Example, digest_of, distinct, learn
from backstay.errors import InvalidInput
from backstay.store.steps import Fitted, Labelled, Step, StepFile
from backstay.types import Json

if TYPE_CHECKING:
    from backstay.ai.embeddings import Embedder

CODE: Final = "the code"
"""Who says what stands in the code."""


@dataclass(frozen=True, slots=True)
class Answering:
    """The fit that answers, with its version."""

    fit: Fit
    version: int

    @property
    def by(self) -> str:
        return f"{self.fit.about} fit {self.version} ({self.fit.digest[:8]})"


class Learning:
    """One step's file in each home that it works in, and the fit that answers there. Safe for threads."""

    def __init__(
        self, *, name: str, kind: str, action: str, task: Task, examples: Sequence[Example], embedder: Embedder | None
    ) -> None:
        self.name, self.kind, self.action = name, kind, action
        self.task, self.examples, self.embedder = task, list(examples), embedder
        self._open: dict[Path, StepFile] = {}
        self._answering: dict[Path, Answering] = {}
        self._lock = threading.Lock()

    def file(self, home: Path) -> StepFile:
        """The file of a home, in which the step is known."""
        with self._lock:
            return self._file(home, "")

    def answering(self, home: Path, now: str) -> Answering:
        """The fit that answers in a home: the one that was accepted last, as long as it knows the labels of the code."""
        with self._lock:
            file = self._file(home, now)
            current = file.current(self.name)
            known = self._answering.get(home)
            if current is not None and known is not None and known.version == current.version:
                return known
            self._answering[home] = self._read(file, current, now)
            return self._answering[home]

    def close(self) -> None:
        """Close its files; they are opened again when they are needed."""
        with self._lock:
            self._answering.clear()
            while self._open:
                self._open.popitem()[1].close()

    def _file(self, home: Path, now: str) -> StepFile:
        file = self._open.get(home)
        if file is None:
            file = self._open[home] = StepFile(home)
            step = Step(
                name=self.name, kind=self.kind, action=self.action, declared=declared(self.task, self.embedder), at=now
            )
            code = [
                Labelled(text=each.text, label=each.label, origin="code", by=CODE, run="", at=now)
                for each in self.examples
            ]
            if (
                not file.steps(self.name)
                or file.step(self.name).declared != step.declared
                or code_of(file, self.name) != self.examples
            ):
                file.declare(step, code)
        return file

    def _read(self, file: StepFile, current: Fitted | None, now: str) -> Answering:
        of_code = digest_of(self.task, distinct(self.examples), self.embedder)
        if current is not None:
            fit = Fit.of_bytes(file.content(self.name, current.version))
            if fit.task == self.task and (current.origin == "person" or current.digest == of_code):
                return Answering(fit, current.version)
        for each in file.fits(self.name):
            if each.digest == of_code:  # another program with other code took its turn
                file.accept(self.name, each.version, at=now, by=CODE)
                return Answering(Fit.of_bytes(file.content(self.name, each.version)), each.version)
        lesson = learn(self.task, self.examples, self.embedder, cached(file, self.embedder))
        version = file.add_fit(
            self.name, digest=lesson.fit.digest, origin="code", at=now, by=CODE, report=lesson.fit.report,
            content=lesson.fit.as_bytes(),
        )  # fmt: skip
        file.accept(self.name, version, at=now, by=CODE)
        return Answering(lesson.fit, version)


def declared(task: Task, embedder: Embedder | None) -> dict[str, Json]:
    """What a step says of itself, as its file keeps it."""
    return {**asdict(task), "embedder": "" if embedder is None else embedder.name}


def task_of(step: Step) -> Task:
    """What a step is to tell apart."""
    return Task(**{name: step.declared[name] for name in ("labels", "target", "none")})


def code_of(file: StepFile, name: str) -> list[Example]:
    """The examples that stand in a step's code, as its file has them."""
    return [Example(each.text, each.label) for each in file.examples(name, "code")]


def cached(file: StepFile, embedder: Embedder | None) -> Any:
    """The vectors of texts, each computed once and kept by its digest; None without an embedder."""
    if embedder is None:
        return None

    def vectors(texts: Sequence[str]) -> Any:
        import numpy as np

        keys = [hashlib.sha256(f"{embedder.name}\n{text}".encode()).hexdigest() for text in texts]
        known = {key: file.vector(key) for key in keys}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if known[key] is None}
        if missing:
            made = np.asarray(embedder.embed(list(missing.values())), np.float32)
            new = {key: row.tobytes() for key, row in zip(missing, made, strict=True)}
            file.keep_vectors(new)
            known |= new
        return np.array([np.frombuffer(cast("bytes", known[key]), np.float32) for key in keys])

    return vectors


# --- a new fit ----------------------------------------------------------------------------------------------------------


def fit_again(file: StepFile, name: str, embedder: Embedder | None, *, by: str, at: str) -> Fitted:
    """Make a fit of everything that is known; it answers only when somebody accepts it.

    Its report compares it with the one in use: held-out answers of both, and what each says of the examples that came since,
    which neither was shown. Raises NotFound, InvalidInput.
    """
    step = file.step(name)
    task, current = task_of(step), file.current(name)
    known = {*task.labels, task.none}
    newest, labelled = file.newest(name), [each for each in file.examples(name) if each.label in known]
    wanted = str(step.declared.get("embedder", ""))
    if wanted and (embedder is None or embedder.name != wanted):
        raise InvalidInput(f"step {name!r} works with the vectors of {wanted!r}, which are not at hand here")
    used = embedder if wanted else None
    lesson = learn(task, [Example(each.text, each.label) for each in labelled], used, cached(file, used))
    report = {**lesson.fit.report, "newest": newest}
    if current is not None:
        old = Fit.of_bytes(file.content(name, current.version))
        fresh = file.examples(name, after=int(current.report.get("newest") or 0))
        new = {each.text: each.label for each in fresh if each.label in known}
        report["before"] = compared(current, lesson.fit.report)
        report["since"] = _since(old, new, lesson.held_out, used)
    version = file.add_fit(
        name, digest=lesson.fit.digest, origin="person", at=at, by=by, report=report, content=lesson.fit.as_bytes()
    )
    # A fit that came of the same before keeps its version; it is compared with what is in use now.
    return replace(next(each for each in file.fits(name) if each.version == version), report=report)


def compared(current: Fitted, report: Mapping[str, Json]) -> dict[str, Json]:
    """How the fit in use stands against a new one, and which labels change."""
    before, after = (_by_label(each) for each in (current.report, report))
    changes: dict[str, Json] = {}
    for label in dict.fromkeys([*before, *after]):
        one, other = before.get(label, {}), after.get(label, {})
        moved = {what: [one.get(what), other.get(what)] for what in ("examples", "found", "right", "coverage") if one.get(what) != other.get(what)}  # fmt: skip
        if moved:
            changes[label] = moved
    numbers = {
        what: current.report.get(what) for what in ("accuracy", "coverage", "sure_accuracy", "at_least", "examples")
    }
    return {"version": current.version, **numbers, "changed": changes}


def _by_label(report: Mapping[str, Json]) -> dict[str, dict[str, Json]]:
    """How a fit does with each label; of one with too few examples only how many there are."""
    told: dict[str, dict[str, Json]] = report.get("by_label") or {}
    return {
        label: {**told.get(label, {}), "examples": count}
        for label, count in (report.get("examples_by_label") or {}).items()
    }


def _since(old: Fit, new: Mapping[str, str], held_out: Mapping[str, str], embedder: Embedder | None) -> dict[str, Json]:
    """What both fits say of examples that came after the old one was made."""
    judged = {text: label for text, label in new.items() if text in held_out}
    if not judged:
        return {"examples": 0, "before": None, "after": None}
    answers = old.answers(list(judged), embedder if old.embedder else None)
    before = sum(answer.label == label for answer, label in zip(answers, judged.values(), strict=True))
    after = sum(held_out[text] == label for text, label in judged.items())
    return {"examples": len(judged), "before": round(before / len(judged), 4), "after": round(after / len(judged), 4)}
