"""`Extractor`: a document read as a pydantic model, with honest confidence in each field, learning from corrections.

`extract_NAME` reads; `learn_NAME` keeps what people said is right. Both are actions, so that the gateway, the journal and
replay hold for them.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import GenericAlias
from typing import Any, Final, Generic, TypeAlias, TypeVar

from pydantic import BaseModel

from backstay.actions import Action, CallContext
from backstay.ai.documents.model import Document
from backstay.ai.extraction.answering import answer, private
from backstay.ai.extraction.consulting import asked, consulted, told_by
from backstay.ai.extraction.fields import Shape
from backstay.ai.extraction.fits import answering, lessons_of
from backstay.ai.extraction.learning import habits, lesson, same
from backstay.ai.extraction.reading import VendorHabits, prepare, read
from backstay.ai.extraction.scoring import Fit, shipped
from backstay.ai.observations import Case, NotObserved
from backstay.ai.summaries import Prompt
from backstay.ai.transcripts import Reply
from backstay.errors import AuthorError
from backstay.judged import Extraction
from backstay.store.steps import Labelled, Step, StepFile
from backstay.types import IdempotencyKey, iso

M = TypeVar("M", bound=BaseModel)

Records: TypeAlias = "Sequence[Mapping[str, Any]] | Callable[[], Iterable[Mapping[str, Any]]]"
"""Master data: records by the model's fields, such as vendors with their accounts; or what gives them when it is asked."""

LOCAL: Final = "labels and layout"
UNRECOGNISED: Final = "no sender recognised, nothing learned of places"


class Learned(BaseModel):
    """What became of a correction."""

    vendor: str
    """Whose next papers it helps; empty where the sender was not recognised."""
    places: list[str]
    """Fields of which it is now known where this sender puts them."""
    absent: list[str]
    """Fields whose right value stands nowhere on the paper as it was read."""
    why: str = ""
    """Why nothing was learned of places, if so."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Answering(Action[Any]):
    """An action that gives an extraction of a model, which the source of its function cannot name."""

    declared: Mapping[str, Any]
    """Parameters, and `return`."""

    @cached_property
    def hints(self) -> dict[str, Any]:
        return dict(self.declared)


def _answering(work: Callable[..., Any], name: str, model: type[BaseModel], **parameters: Any) -> Action[Any]:
    """The action; its function is named after it, so that no source is taken for what it gives."""
    work.__annotations__ = {**parameters, "return": GenericAlias(Extraction, (model,))}
    work.__code__ = work.__code__.replace(co_name=name)
    declared = {**parameters, "return": Extraction[model]}
    return Answering(fn=work, name=name, effect="read", untrusted=True, on_failure="raise", declared=declared)


class Extractor(Generic[M]):
    """Reads documents as a model: `App(suppliers=[invoice])`, and in a workflow `await extract_invoice(document)`.

    name: unique in its application; the actions are `extract_NAME` and `learn_NAME`. model: what is read; fields are found by
    their names, titles and aliases in several languages. target: the accuracy that is asked of what is `sure`. labels: more
    phrases that stand beside a field's value, by its path. ours: names and numbers of ourselves, which are never the sender's.
    records: master data that is compared. role: of the model that reads too in the workflow `Consulting(invoice)`. Raises
    AuthorError naming what does not fit.
    """

    def __init__(
        self, name: str, model: type[M], *, target: float = 0.95, labels: Mapping[str, Sequence[str]] | None = None,
        ours: Sequence[str] = (), records: Records = (), role: str = "careful",
    ) -> None:  # fmt: skip
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,39}", name):
            raise AuthorError(
                f"extractor {name!r}: a name has letters, digits and _, begins with a letter, and is short"
            )
        if not 0 < target < 1:
            raise AuthorError(f"extractor {name!r}: target is an accuracy between 0 and 1, not {target!r}")
        if not (isinstance(model, type) and issubclass(model, BaseModel)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise AuthorError(f"extractor {name!r}: model: a pydantic model, not {model!r:.80}")
        if isinstance(ours, str) or any(isinstance(each, str) for each in (labels or {}).values()):
            raise AuthorError(f"extractor {name!r}: {'ours' if isinstance(ours, str) else 'labels'}: texts go in lists")
        self.name, self.model, self.target = name, model, target
        self.ours, self.records, self.role = tuple(ours), records, role
        try:
            self.shape = Shape(model, labels)
        except AuthorError as error:
            raise AuthorError(f"extractor {name!r}: {error}") from None
        self._open: dict[Path, StepFile] = {}
        self._lock = threading.Lock()

    @property
    def actions(self) -> Sequence[Action[Any]]:
        return [self.extract, self.learn, self.prompt, self.asks, self.check]

    @cached_property
    def extract(self) -> Action[Extraction[M]]:
        """Read a document. Its result is text from outside."""

        async def extract(document: Document, context: CallContext) -> Any:
            return await asyncio.to_thread(self._read, document, context, None)

        extract.__doc__ = (
            f"Read a document as {self.model.__name__}: each field with its confidence, and where it stands."
        )
        return _answering(extract, f"extract_{self.name}", self.model, document=Document, context=CallContext)

    @cached_property
    def learn(self) -> Action[Learned]:
        """Keep what a person said is right about a document."""

        async def learn(document: Document, right: Any, key: IdempotencyKey, context: CallContext) -> Learned:
            return await asyncio.to_thread(self._learn, document, right, key, context)

        learn.__annotations__ = {
            "document": Document, "right": self.model, "key": IdempotencyKey, "context": CallContext, "return": Learned,
        }  # fmt: skip
        learn.__doc__ = (
            "Keep where the right values of a document stand, for the next of its sender, and for the next fit. Only what a "
            "person has said in a task of this case is learned."
        )
        return Action(fn=learn, name=f"learn_{self.name}", effect="write", sinks=frozenset(), on_failure="raise")

    @cached_property
    def prompt(self) -> Action[Prompt]:
        """What a model is asked about a document."""

        async def prompt(document: Document) -> Prompt:
            return asked(self.shape, document, self.role)[0]

        prompt.__doc__ = "A document as it is put to a model."
        return Action(fn=prompt, name=f"prompt_{self.name}", effect="read", untrusted=True, on_failure="raise")

    @cached_property
    def asks(self) -> Action[str]:
        """The tool by which a model answers."""

        async def fields(document: Document) -> str:
            return asked(self.shape, document, self.role)[1]

        fields.__doc__ = "The tool by which a model says what a document holds, as JSON."
        return Action(fn=fields, name=f"fields_{self.name}", effect="read", on_failure="raise")

    @cached_property
    def check(self) -> Action[Extraction[M]]:
        """Take what a model read, where it holds."""

        async def check(document: Document, reply: Reply, context: CallContext) -> Any:
            return await asyncio.to_thread(self._read, document, context, reply)

        check.__doc__ = "A document as it was read, with what a model says of it."
        return _answering(check, f"check_{self.name}", self.model, document=Document, reply=Reply, context=CallContext)

    def _read(self, document: Document, context: CallContext, reply: Reply | None) -> Extraction[M]:
        file = self._file(context)
        known = habits(lessons_of(file, self.name))
        return self.read(document, known, reply, answering(file, self.name))

    def read(
        self, document: Document, known: Iterable[VendorHabits] = (), reply: Reply | None = None, fit: Fit | None = None
    ) -> Extraction[M]:
        """Read a document, without an application.

        known: what is remembered of vendors. reply: what a model said of it. fit: the weights; None for those that ship.
        """
        fit = fit or shipped()
        records = self.records() if callable(self.records) else self.records
        outcome = read(prepare(document, self.shape, self.ours), self.shape, fit, records=records, habits=known)
        by, problems = f"{LOCAL} fit {fit.version}", list[str]()
        if reply is not None:
            problems, by = consulted(outcome, told_by(reply), f"model {reply.model}"), f"{by}, model {reply.model}"
        return answer(document, self.shape, outcome, fit, self.target, by, self.model, problems)

    async def close(self) -> None:
        """Close its files; they are opened again when they are needed."""
        while self._open:
            self._open.popitem()[1].close()

    def _learn(self, document: Document, right: M, key: str, context: CallContext) -> Learned:
        case, file = Case(context), self._file(context)
        person, values = self._said(case, values_of(right))
        evidence = prepare(document, self.shape, self.ours)
        hidden = [each.name for each in self.shape.fields if private(each) or _sealed(values.get(each.name), case)]
        told = lesson(
            document.digest,
            evidence,
            self.shape,
            values,
            answering(file, self.name),
            hidden,
            lambda text: _sealed(text, case),
        )
        example = Labelled(
            text=told.model_dump_json(),
            label=told.vendor,
            origin="person",
            by=person,
            run=context.run,
            at=iso(context.now),
        )
        file.add(self.name, {key: example})
        if not (told.vendor and told.keys):
            return Learned(vendor="", places=[], absent=told.absent, why=UNRECOGNISED)
        return Learned(vendor=told.vendor, places=sorted(told.habits), absent=told.absent)

    def _said(self, case: Case, right: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Who said last, in a task of the case, and which of the right values persons said there; raises NotObserved."""
        said, found, people = list(case.said()), dict[str, Any](), set[str]()
        for wanted in self.shape.fields:
            value = right.get(wanted.name)
            by = next((who for who, leaf in said if leaf not in (None, "") and same(wanted.fits(leaf), value)), None)
            if value not in (None, "") and by is not None:
                found[wanted.name] = value
                people.add(by)
        if not found:
            raise NotObserved("right: no person has said any of these values in a task of this case")
        return next(who for who, _ in said if who in people), found

    def _file(self, context: CallContext) -> StepFile:
        with self._lock:
            file = self._open.get(context.home)
            if file is None:
                file = self._open[context.home] = StepFile(context.home)
                declared = {"model": self.model.__name__, "target": self.target, "labels": [], "none": ""}
                at = iso(context.now)
                file.declare(
                    Step(name=self.name, kind="extract", action=self.extract.name, declared=declared, at=at), ()
                )
            return file


def _sealed(value: Any, case: Case) -> bool:
    """Whether a case keeps a value under a pseudonym."""
    return isinstance(value, str) and case.clean(value) != value


def values_of(model: BaseModel) -> dict[str, Any]:
    """The values of a model by path; lists are left out."""
    found: dict[str, Any] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            found |= {f"{name}.{inner}": each for inner, each in values_of(value).items()}
        elif not isinstance(value, list | tuple):
            found[name] = value
    return found
