"""Routing: which of some allow-listed workflows a case belongs to, from what they say they are for, and from examples.

It starts nothing: the workflow that asks compares the answer with names that it knows. Where a case must be looked at with
tools first, `patterns.router` makes an agent that does.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from backstay.actions import Action
from backstay.ai.agents import Agent
from backstay.ai.classifying import NONE, Classifier
from backstay.ai.judged import Judged
from backstay.errors import AuthorError
from backstay.language import Workflow

if TYPE_CHECKING:
    from backstay.ai.embeddings import Embedder


class Router(Classifier):
    """A step that names a workflow: `App(suppliers=[desk])`, `answer = await route_desk(text)`.

    to: what it may name; each says in its docstring, or its goal, what it is for. examples: texts by the name of their
    workflow, or pairs; without any it goes by what the workflows say, and is never sure. The actions are `route_NAME` and
    `learn_NAME`; the rest is as of a `Classifier`. Raises AuthorError for a workflow that does not say what it is for.
    """

    kind = "route"

    def __init__(
        self, name: str, *, to: Sequence[Workflow[..., Any]],
        examples: Sequence[tuple[str, str]] | Mapping[str, Sequence[str]] = (), target: float = 0.95, none: str = NONE,
        embeddings: Embedder | Literal["local"] | None = "local", review: float = 0.02,
    ) -> None:  # fmt: skip
        super().__init__(
            name, labels=purposes(name, to), examples=examples, target=target, none=none, embeddings=embeddings,
            review=review,
        )  # fmt: skip

    @property
    def route(self) -> Action[Judged[str]]:
        """Ask which workflow a text belongs to."""
        return self.classify


def purposes(name: str, among: Sequence[Workflow[..., Any]]) -> dict[str, str]:
    """Workflows with what they are for; raises AuthorError for one that does not say."""
    about = {each.name: purpose_of(each) for each in among}
    if silent := [each for each, text in about.items() if not text]:
        raise AuthorError(f"router {name!r}: {', '.join(silent)} has no docstring, so nobody can tell what it is for")
    return about


def purpose_of(workflow: Workflow[..., Any]) -> str:
    """What a workflow is for, in a line."""
    return workflow.goal if isinstance(workflow, Agent) else (inspect.getdoc(workflow) or "").partition("\n")[0]
