"""A knowledge base: an organisation's own documents, found again with citations, by those who may read them.

What is found depends only on what they may read for whom the case acts: other documents change no passage, count or score.
"""

from __future__ import annotations

import asyncio
import fnmatch
import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from backstay.actions import Action, CallContext
from backstay.ai.embeddings import local_embedder
from backstay.ai.knowledge import asking
from backstay.ai.knowledge.fitting import Fit, features, fit
from backstay.ai.knowledge.passages import passages
from backstay.ai.knowledge.ranking import View
from backstay.ai.knowledge.sources import UNFINISHED, DocumentSource, Loaded, survey
from backstay.ai.sentences import folded_words
from backstay.canonical import json_text
from backstay.errors import AuthorError, NotFound
from backstay.governance.approvals import folded
from backstay.store.knowledge import Found, KnowledgeFile, Version, Who, Written
from backstay.types import IdempotencyKey, iso

if TYPE_CHECKING:
    from backstay.ai.embeddings import Embedder

MOST: Final = 50
"""Passages that one question gives."""
VIEWS: Final = 16
"""So many views are kept; those who may read the same share one."""
CHANGED: Final = 0.1
"""What was learnt holds as long as no larger share of the passages came or went."""
PORTION: Final = 20
"""Documents that are read, and kept, at once."""
EMBEDDED: Final = 64
"""Passages that are embedded, and kept, at once."""


class Passage(BaseModel):
    """A passage that was found, with what it takes to find it again."""

    document: str
    """Its name in the base."""
    title: str
    heading: list[str]
    """The headings above it, the outermost first."""
    page: int | None
    """From 1, where the document has pages."""
    number: int
    """Which passage of the document it is, from 1."""
    version: str
    """SHA-256 of the document as it was read."""
    citation: str
    """DOCUMENT#NUMBER@VERSION: what the base's `cite` resolves, also when the document has changed since."""
    text: str
    score: float
    """What it was ranked by; it can be compared within one answer only."""


class Retrieved(BaseModel):
    """What a base answers: passages, best first, and whether it holds what was asked for at all."""

    passages: list[Passage]
    in_base: float = Field(ge=0, le=1)
    """Calibrated probability that it holds what was asked for."""
    sure: bool
    """Whether that is enough for the base's target: what a workflow branches on."""
    by: str
    """What ranked and judged: the base, what it ranks by, and the version of its fit."""
    why: str = ""


class Indexed(BaseModel):
    """What became of documents that were to be read."""

    read: int = 0
    unreadable: list[str] = []
    """"NAME: WHY" for each that has no text that can be read; these are not counted as read."""
    gone: int = 0
    embedded: int = 0


class Survey(BaseModel):
    """What there is to do until a base is up to date."""

    documents: int
    """That there are in all."""
    portions: list[list[str]]
    """Names of those that are new or have changed."""
    gone: list[str]
    """Those that are no more."""


class KnowledgeBase:
    """Documents to look things up in: `App(suppliers=[handbook])`, `await retrieve_handbook(query)`.

    name: unique in its application; the actions are `retrieve_NAME`, `cite_NAME`, and what `reindex` uses. sources: where
    its documents come from. access: pattern of names -> who may read them ("ann", "group:hr", "role:auditor", "everyone");
    the first pattern that fits counts, and what none fits nobody may read. Without it everybody may read everything.
    embeddings: "local" for weights that are on the machine, if there are any; None for words alone; or an embedder. target: how often "it is in this base" must be right. trusted: the house
    wrote all of it, so that it is not text from outside. Raises AuthorError naming what does not fit.
    """

    def __init__(
        self,
        name: str,
        *,
        sources: Sequence[DocumentSource],
        about: str = "",
        access: Mapping[str, Collection[str]] | None = None,
        embeddings: Embedder | Literal["local"] | None = "local",
        target: float = 0.9,
        trusted: bool = False,
    ) -> None:
        where = f"knowledge base {name!r}"
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,39}", name):
            raise AuthorError(f"{where}: a name has letters, digits and _, begins with a letter, and is short")
        if isinstance(sources, str) or any(not hasattr(each, "survey") for each in sources):
            raise AuthorError(f"{where}: sources: a list of sources, such as [Folder(PATH)], not {sources!r:.80}")
        if not sources:
            raise AuthorError(f"{where}: sources: it has none, so there is nothing to find")
        if not 0.5 <= target < 1:
            raise AuthorError(f"{where}: target must lie between 0.5 and 1, not {target!r}")
        self.name, self.sources, self.about = name, tuple(sources), about or f"the documents of {name}"
        self.access = (
            {"*": (asking.EVERYONE,)} if access is None else {each: tuple(who) for each, who in access.items()}
        )
        if single := next((each for each, who in (access or {}).items() if isinstance(who, str)), None):
            raise AuthorError(f"{where}: access: {single!r} needs a list of readers, such as ['group:hr']")
        self._embeddings, self.target, self.trusted = embeddings, target, trusted
        self._open: dict[Path, KnowledgeFile] = {}
        self._views: OrderedDict[Any, tuple[View, Fit]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def actions(self) -> Sequence[Action[Any]]:
        return [self.retrieve, self.cite, self.survey, self.ingest, self.embed, self.finish]

    @cached_property
    def embedder(self) -> Embedder | None:
        """What makes vectors."""
        return local_embedder() if isinstance(self._embeddings, str) else self._embeddings

    # --- what cases use ---

    @cached_property
    def retrieve(self) -> Action[Retrieved]:
        """Look something up."""

        async def retrieve(
            query: Annotated[str, Field(min_length=1, max_length=2000)],
            context: CallContext,
            k: Annotated[int, Field(ge=1, le=MOST)] = 5,
        ) -> Retrieved:
            who = await asyncio.to_thread(asking.of_case, context)
            return await asyncio.to_thread(self.look_up, context.home, query, who, k)

        retrieve.__doc__ = (
            f"Look up {self.about}. query: a question or words. k: how many passages at most. Cite what you use by its "
            "citation. in_base is the probability that the answer is here at all; where sure is false, say so."
        )
        return self._read(retrieve, "retrieve")

    @cached_property
    def cite(self) -> Action[Passage]:
        """What a citation refers to."""

        async def cite(citation: str, context: CallContext) -> Passage:
            who = await asyncio.to_thread(asking.of_case, context)
            return await asyncio.to_thread(self.cited, context.home, citation, who)

        cite.__doc__ = f"What a citation of {self.about} refers to, in the version that was cited."
        return self._read(cite, "cite")

    def _read(self, fn: Any, verb: str) -> Action[Any]:
        return Action(
            fn=fn,
            name=f"{verb}_{self.name}",
            effect="read",
            untrusted=not self.trusted,
            on_failure="raise",
            timeout="5m",
        )

    def look_up(self, home: Path, query: str, who: Who, k: int = 5) -> Retrieved:
        """What those may read who ask, best first."""
        import numpy as np

        view, learnt = self._view(home, who)
        if not len(view):
            return Retrieved(
                passages=[], in_base=0, sure=False, by=f"{self.name}, empty", why="there is nothing to read here"
            )
        (asked,) = view.ask([query])
        scores = view.scores(asked, learnt.settings)
        order = [int(place) for place in np.argsort(-scores, kind="stable")[:k] if scores[place] > 0]
        told = features(view, asked)
        confidence = learnt.confidence(told) if order else 0.0
        sure = confidence >= learnt.needed(self.target)
        found = [_passage(each, float(scores[place])) for place, each in zip(order, view.read(order), strict=True)]
        return Retrieved(
            passages=found, in_base=round(confidence, 4), sure=sure, by=_by(self.name, view, learnt), why=_why(told, learnt, sure)
        )  # fmt: skip

    def cited(self, home: Path, citation: str, who: Who) -> Passage:
        """Raises NotFound, in the same words where there is no such passage and where they may not read it."""
        match = re.fullmatch(r"(.+)#(\d{1,9})@([0-9a-f]{8,64})", citation.strip())
        found = self._file(home).cited(self.name, who, match[1], int(match[2]), match[3]) if match else None
        if found is None:
            raise NotFound(f"{citation!r} refers to nothing in knowledge base {self.name!r} that may be read here")
        return _passage(found, 0.0)

    # --- keeping it up to date ---

    @cached_property
    def survey(self) -> Action[Survey]:
        """What there is to do."""

        async def survey(context: CallContext) -> Survey:
            return await asyncio.to_thread(self.look_around, context.home)

        survey.__doc__ = f"See which of {self.about} are new, have changed or are gone."
        return Action(fn=survey, name=f"survey_{self.name}", effect="read", on_failure="raise", timeout="10m")

    @cached_property
    def ingest(self) -> Action[Indexed]:
        """Read some documents."""

        async def ingest(names: list[str], key: IdempotencyKey, context: CallContext) -> Indexed:
            return await asyncio.to_thread(self.take_in, context.home, names, iso(context.now))

        ingest.__doc__ = f"Read some of {self.about} into the base. What is there in the same version is left as it is."
        return self._change(ingest, "ingest")

    @cached_property
    def embed(self) -> Action[int]:
        """Make vectors for what has none."""

        async def embed(key: IdempotencyKey, context: CallContext) -> int:
            return await asyncio.to_thread(self.make_vectors, context.home)

        embed.__doc__ = f"Make vectors for the next passages of {self.about} that have none; gives how many."
        return self._change(embed, "embed")

    @cached_property
    def finish(self) -> Action[int]:
        """Forget what is gone."""

        async def finish(gone: list[str], key: IdempotencyKey, context: CallContext) -> int:
            return await asyncio.to_thread(self.let_go, context.home, gone, iso(context.now))

        finish.__doc__ = f"Find those of {self.about} no more that are gone; gives how many there were."
        return self._change(finish, "finish")

    def _change(self, fn: Any, verb: str) -> Action[Any]:
        """Each says what is to be so afterwards. Done twice it is the same, so every key is honoured."""
        return Action(fn=fn, name=f"{verb}_{self.name}", effect="write", on_failure="raise", timeout="10m")

    def look_around(self, home: Path) -> Survey:
        """Compare what there is with what the base holds."""
        there, held = survey(self.sources), self._file(home).versions(self.name)
        new = sorted(name for name, (_, version) in there.items() if held.get(name) != version)
        portions = [new[start : start + PORTION] for start in range(0, len(new), PORTION)]
        return Survey(documents=len(there), portions=portions, gone=sorted(set(held) - set(there)))

    def take_in(self, home: Path, names: Collection[str], at: str) -> Indexed:
        """Read documents; what is no more there is left to `let_go`."""
        wanted, read, unreadable = set(names), 0, list[str]()
        loaded = (each for source in self.sources for each in source.load(wanted))
        while some := list(islice(loaded, PORTION)):
            read += self._file(home).put(self.name, [self._version(each) for each in some if each.sections], at)
            unread = [each for each in some if not each.sections]
            self._file(home).put(self.name, [self._version(each) for each in unread], at)
            unreadable += [f"{each.name}: {each.problem or 'it has no text'}" for each in unread]
        return Indexed(read=read, unreadable=unreadable)

    def make_vectors(self, home: Path) -> int:
        """Embed the next passages; 0 where there are none left, or no embedder."""
        if self.embedder is None:
            return 0
        import numpy as np

        file = self._file(home)
        left = file.unembedded(self.name, EMBEDDED)
        if left:
            texts = ["\n".join(dict.fromkeys([title, *heading, text])) for _, title, heading, text in left]
            rows = np.asarray(self.embedder.embed(texts), np.float32)
            file.embed(self.name, [(each[0], row.tobytes()) for each, row in zip(left, rows, strict=True)])
        return len(left)

    def let_go(self, home: Path, gone: Collection[str], at: str) -> int:
        """End what is gone, unless it has come back."""
        file = self._file(home)
        there = survey(self.sources) if gone else {}
        count = file.drop(self.name, [name for name in gone if name not in there], at)
        file.looked_at(self.name, at)
        return count

    def index(self, home: Path, at: str) -> Indexed:
        """All of it at once, without a workflow: what `backstay knowledge index` and tests do."""
        todo = self.look_around(home)
        done = self.take_in(home, [name for portion in todo.portions for name in portion], at)
        gone, embedded = self.let_go(home, todo.gone, at), 0
        while made := self.make_vectors(home):
            embedded += made
        return done.model_copy(update={"gone": gone, "embedded": embedded})

    # --- within ---

    async def close(self) -> None:
        """Close its files; they are opened again when they are needed."""
        with self._lock:
            self._views.clear()
            while self._open:
                self._open.popitem()[1].close()

    def may_read(self, name: str) -> frozenset[str]:
        """Who may read a document of this name."""
        fitting = next((who for pattern, who in self.access.items() if fnmatch.fnmatchcase(name, pattern)), ())
        return frozenset(_reader(each) for each in fitting)

    def _file(self, home: Path) -> KnowledgeFile:
        with self._lock:
            if home not in self._open:
                file = KnowledgeFile(home)
                access = hashlib.sha256(
                    json_text({each: list(who) for each, who in self.access.items()}).encode()
                ).hexdigest()
                readers = {name: self.may_read(name) for name in file.names(self.name)}
                file.prepare(self.name, access, "" if self.embedder is None else self.embedder.name, readers)
                self._open[home] = file
            return self._open[home]

    def _view(self, home: Path, who: Who) -> tuple[View, Fit]:
        """What these may read now, with what was learnt from it."""
        file = self._file(home)
        key = home, file.generation(self.name), tuple(sorted(tuple(sorted(each)) for each in who))
        with self._lock:
            if key in self._views:
                self._views.move_to_end(key)
                return self._views[key]
        view = View(file, self.name, who, self.embedder)
        made = self._known(key, view)
        if made is None:
            made = view, self._learnt(file, view)
        with self._lock:
            self._views[key] = made
            while len(self._views) > VIEWS:
                self._views.popitem(last=False)
        return made

    def _learnt(self, file: KnowledgeFile, view: View) -> Fit:
        """What there is to learn of exactly these passages: from the file, if it was learnt before."""
        embedder = self.embedder.name if self.embedder is not None and view.embedded else ""
        named = hashlib.sha256(json_text([view.ids, embedder]).encode()).hexdigest()
        if (kept := file.fit(self.name, named)) is not None:
            return Fit.read(kept)
        learnt = fit(view)
        file.keep_fit(self.name, named, learnt.written(), VIEWS)
        return learnt

    def _known(self, key: tuple[Path, int, Any], view: View) -> tuple[View, Fit] | None:
        """What was learnt before of this view: by others who may read the same, or by the same when it was little else."""
        home, generation, who = key
        with self._lock:
            kept = list(self._views.items())
        for at, (other, learnt) in reversed(kept):
            if at[:2] == (home, generation) and other.ids == view.ids:
                return other, learnt
            if (at[0], at[2]) == (home, who) and abs(learnt.passages - len(view)) <= CHANGED * len(view):
                return view, learnt
        return None

    def _version(self, loaded: Loaded) -> Version:
        title = folded_words(loaded.title)
        written = [
            Written(
                page=each.page, heading=each.heading, text=each.text, title_words=title,
                heading_words=folded_words(" ".join(each.heading)), body_words=folded_words(each.text),
            )
            for each in passages(loaded.sections)
        ]  # fmt: skip
        return Version(
            name=loaded.name, version=loaded.version, title=loaded.title, readers=self.may_read(loaded.name), passages=written,
            problem=loaded.problem,
        )  # fmt: skip


def _reader(name: str) -> str:
    kind, colon, title = name.partition(":")
    return f"{kind}:{folded(title)}" if colon and kind in ("group", "role") else folded(name)


def _passage(found: Found, score: float) -> Passage:
    return Passage(
        document=found.document, title=found.title, heading=list(found.heading), page=found.page, number=found.number,
        version=found.version.removesuffix(UNFINISHED), citation=f"{found.document}#{found.number}@{found.version[:12]}", text=found.text,
        score=round(score, 6),
    )  # fmt: skip


def _by(name: str, view: View, learnt: Fit) -> str:
    ranked = ["words", *(["feedback"] if learnt.settings.feedback else [])]
    if view.embedder is not None and learnt.settings.vectors:
        ranked.append(f"{learnt.settings.vectors:g} {view.embedder.name}")
    return f"{name}, {' + '.join(ranked)}, fit {learnt.version}"


def _why(told: Sequence[float], learnt: Fit, sure: bool) -> str:
    if learnt.model is None:
        return "the base is too small to know how sure it may be"
    held = f"the best passages hold {told[0]:.0%} of what is rare in the question"
    return held if sure else f"{held}, which is not enough to be sure"
