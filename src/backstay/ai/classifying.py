"""Classification: which of some labels a text belongs to, how likely that is right, and "none of these".

It learns from labelled examples, works without a network, and says when it is not sure. What a person then says becomes an
example of the next fit, which somebody accepts.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, cast

from pydantic import BaseModel, Field

from backstay.actions import Action, CallContext
from backstay.ai.fitting import Answer, Fit, Task
from backstay.ai.judged import Judged
from backstay.ai.learning import EVIDENCE, Example, learn
from backstay.ai.observations import Case, NotObserved
from backstay.ai.steps import Answering, Learning
from backstay.errors import AuthorError, InvalidInput, NotRetryable
from backstay.store.steps import Labelled, Outcome
from backstay.types import IdempotencyKey, iso

if TYPE_CHECKING:
    from backstay.ai.embeddings import Embedder

NONE: Final = "none of these"
"""What is answered where no label fits."""

Text: TypeAlias = Annotated[str, Field(max_length=100_000, description="What is to be judged.")]


class Learned(BaseModel):
    """What became of a person's word."""

    label: str
    by: str
    """The person."""
    right: bool | None
    """Whether the step had said the same; None where it was not asked."""


class Classifier:
    """A step that tells labels apart: `App(suppliers=[intent])`, `answer = await classify_intent(text)`.

    name: unique in its application; the actions are `classify_NAME` and `learn_NAME`. labels: each with what it means, "" where
    its name says it. examples: (text, label) pairs, or texts by label; five of each, twenty in all, are enough to begin. target: the
    share of answers that must be right where it is sure. none: the answer where no label fits; it may have examples too.
    embeddings: "local" for weights that are on the machine, if there are any; None for words alone; or an embedder.
    review: the share of sure answers that is drawn for a person to look at. Raises AuthorError naming what does not fit.
    """

    kind = "classify"

    def __init__(
        self, name: str, *, labels: Mapping[str, str] | Sequence[str],
        examples: Sequence[tuple[str, str]] | Mapping[str, Sequence[str]] = (), target: float = 0.95, none: str = NONE,
        embeddings: Embedder | Literal["local"] | None = "local", review: float = 0.02,
    ) -> None:  # fmt: skip
        self.name, self.review = name, review
        self._embeddings: Any = embeddings
        what = f"{self.kind} {name!r}"
        self.task = Task(labels=_told(labels, what), target=target, none=none)
        self._examples = _examples(examples, what)
        self._check()

    def _check(self) -> None:
        what = f"{self.kind} {self.name!r}"
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,39}", self.name):
            raise AuthorError(f"{what}: a name has letters, digits and _, begins with a letter, and is short")
        if len(self.task.labels) < 2:
            raise AuthorError(f"{what}: labels: there must be two or more to tell apart")
        if self.task.none in self.task.labels:
            raise AuthorError(f"{what}: none: {self.task.none!r} is a label too")
        for name, share in (("target", self.task.target), ("review", self.review)):
            if isinstance(share, bool) or not isinstance(share, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise AuthorError(f"{what}: {name}: a number, not {share!r:.80}")
        if not 0.5 <= self.task.target < 1:
            raise AuthorError(f"{what}: target: a share of right answers from 0.5 to below 1, not {self.task.target}")
        if not 0 <= self.review <= 1:
            raise AuthorError(f"{what}: review: a share from 0 to 1, not {self.review}")
        known = {*self.task.labels, self.task.none}
        if isinstance(self._embeddings, str) and self._embeddings != "local":
            raise AuthorError(f"{what}: embeddings: 'local', None or an embedder, not {self._embeddings!r}")
        if wrong := sorted({each.label for each in self._examples} - known):
            raise AuthorError(f"{what}: examples: {wrong[0]!r} is no label; there are {', '.join(sorted(known))}")

    @cached_property
    def learning(self) -> Learning:
        """Its examples and fits in each home."""
        from backstay.ai.embeddings import local_embedder

        embedder = local_embedder() if self._embeddings == "local" else self._embeddings
        return Learning(
            name=self.name, kind=self.kind, action=self.classify.name, task=self.task, examples=self._examples,
            embedder=embedder,
        )  # fmt: skip

    @property
    def actions(self) -> Sequence[Action[Any]]:
        return [self.classify, self.learn]

    @cached_property
    def classify(self) -> Action[Judged[str]]:
        """Ask which label a text belongs to. The result holds none of the text: a label, and words of the step."""

        async def classify(text: Text, context: CallContext) -> Judged[str]:
            return await asyncio.to_thread(self._judged, text, context)

        labels = ", ".join([*self.task.labels, self.task.none])
        classify.__doc__ = f"Say which of these a text is: {labels}; and whether that is sure."
        return Action(fn=classify, name=f"{self.kind}_{self.name}", effect="read", timeout="30m")

    @cached_property
    def learn(self) -> Action[Learned]:
        """Keep what a person said a text is. It takes effect with the next fit that somebody accepts."""

        async def keep(
            text: Text, label: str, key: IdempotencyKey, context: CallContext, answer: Judged[str] | None = None
        ) -> Learned:
            return await asyncio.to_thread(self._learned, text, label, answer, key, context)

        keep.__doc__ = (
            "Keep what a person said a text is, as an example to learn from. A person must have said it in this case. "
            "answer: what the step had said, so that it is counted whether that was right."
        )
        return Action(
            fn=keep, name=f"learn_{self.name}", effect="write", sinks=frozenset({"label"}), on_failure="raise"
        )

    def try_on(self, texts: Sequence[str]) -> list[Answer]:
        """What the examples of the code alone would let it say of texts: to try a step before it runs, and to test it."""
        if isinstance(texts, str) or not all(isinstance(each, str) for each in texts):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInput(f"texts: a list of texts, not {texts!r:.80}", {"texts": "is no list of texts"})
        return self._tried.answers(texts, self.learning.embedder)

    @cached_property
    def _tried(self) -> Fit:
        return learn(self.task, self._examples, self.learning.embedder).fit

    async def close(self) -> None:
        """Close its files; they are opened again when they are needed."""
        if "learning" in self.__dict__:
            self.learning.close()

    # --- in a thread ---

    def _judged(self, text: str, context: CallContext) -> Judged[str]:
        answering = self.learning.answering(context.home, iso(context.now))
        if not re.search(r"\w", text):
            return Judged[str](
                value=self.task.none, confidence=0.0, sure=False, by=answering.by, why="there are no words in it"
            )
        (answer,) = answering.fit.answers([text], self.learning.embedder)
        return Judged[str](
            value=answer.label, confidence=round(answer.confidence, 4), sure=answer.sure, by=answering.by,
            why=why(answer, answering), review=answer.sure and drawn(self.review, self.name, context.run, text),
        )  # fmt: skip

    def _learned(self, text: str, label: str, answer: Judged[str] | None, key: str, context: CallContext) -> Learned:
        if label not in (*self.task.labels, self.task.none):
            known = ", ".join([*self.task.labels, self.task.none])
            raise NotRetryable(f"label: {label!r} is none of {known}")
        case = Case(context)
        person, _ = case.answered(label)
        if answer is not None and not case.gave(
            (self.classify.name, f"weigh_{self.name}"), answer.model_dump(mode="json")
        ):
            raise NotObserved("answer: the step has not given this answer in this case")
        file, at = self.learning.file(context.home), iso(context.now)
        said = Labelled(text=case.clean(text), label=label, origin="person", by=person, run=context.run, at=at)
        file.add(self.name, {key: said})
        if answer is None:
            return Learned(label=label, by=person, right=None)
        file.note(self.name, key, Outcome(
            fit=answer.by, said=str(answer.value), truth=label, confidence=answer.confidence, sure=answer.sure, by=person,
            run=context.run, at=at,
        ))  # fmt: skip
        return Learned(label=label, by=person, right=answer.value == label)


def _told(labels: Mapping[str, str] | Sequence[str], what: str) -> dict[str, str]:
    """Labels with what they mean."""
    listed = [] if isinstance(labels, str) else list(labels)
    if isinstance(labels, str) or any(not isinstance(each, str) or not each.strip() for each in listed):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise AuthorError(f"{what}: labels: a list of names, or names with what they mean, not {labels!r:.80}")
    if twice := next((each for each in listed if listed.count(each) > 1), None):
        raise AuthorError(f"{what}: labels: {twice!r} is there twice")
    return dict(labels) if isinstance(labels, Mapping) else dict.fromkeys(listed, "")


def _examples(given: Sequence[tuple[str, str]] | Mapping[str, Sequence[str]], what: str) -> list[Example]:
    """Labelled texts, from either form."""
    if isinstance(given, Mapping):
        if single := next((label for label, texts in given.items() if isinstance(texts, str)), None):
            raise AuthorError(f"{what}: examples: {single!r} needs a list of texts")
        pairs: list[Any] = [(text, label) for label, texts in given.items() for text in texts]
    else:
        pairs = list(given)
    if (wrong := next((each for each in pairs if not _is_pair(each)), None)) is not None:
        raise AuthorError(f"{what}: examples: (text, label) pairs, not {wrong!r:.80}")
    if (empty := next((label for text, label in pairs if not text.strip()), None)) is not None:
        raise AuthorError(f"{what}: examples: one of {empty!r} has no text")
    return [Example(text, label) for text, label in pairs]


def _is_pair(each: Any) -> bool:
    return isinstance(each, tuple | list) and [*map(type, cast("list[Any]", each))] == [str, str]


def drawn(share: float, *what: str) -> bool:
    """Whether something is in a sample of a share: always the same for the same."""
    number = int.from_bytes(hashlib.sha256("\n".join(what).encode()).digest()[:8])
    return number < share * 2**64


def why(answer: Answer, answering: Answering) -> str:
    """Why an answer is not sure, or what spoke for it, in words; none of the text's."""
    fit = answering.fit
    trust, task = fit.trust, fit.task
    target = f"{task.target:.0%}"
    if "evidence" in fit.report:
        return f"too few examples: {EVIDENCE} or more are needed before anything is sure"
    if answer.label == task.none:
        return f"it is unlike the examples of every label; the nearest is {answer.second!r}"
    limit = trust.limits[list(task.labels).index(answer.label)]
    if answer.sure:
        return f"{target} of such answers are right from {limit:.2f} on"
    if answer.inside < trust.safe:
        return f"it is hardly like the examples; next best: {answer.second!r}"
    if limit > 1:
        return (
            f"no confidence is enough for {target} with what is known of {answer.label!r}; next best: {answer.second!r}"
        )
    return f"{target} asks for {limit:.2f}; next best: {answer.second!r}"
