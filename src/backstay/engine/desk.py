"""The desk: what every part of the client needs to look something up and to change a waiting item."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from pydantic import ValidationError

from backstay.actions import Action, invalid
from backstay.engine.activation import Activation
from backstay.engine.frames import Open, adapter_for
from backstay.engine.runner import ATTENTION, Runner
from backstay.errors import Conflict, InvalidInput, NotAllowed, NotFound
from backstay.governance.approvals import check_person, folded
from backstay.governance.principals import NO_KEY, Capability
from backstay.store.journal import Write
from backstay.store.payloads import EARLY
from backstay.store.views import Run, Wait, find_run, read_wait
from backstay.types import DATA_CLASS, Json, journalable

EARLY_SCHEMA: Final = {DATA_CLASS: EARLY}
"""Schema of what nobody can describe yet: it is sealed whole."""

LISTED: Final = 200
"""Rows a list gives unless asked for more."""

LONGEST_SUBJECT: Final = 100
"""Characters of what somebody typed that the record of a refusal keeps."""


class Desk:
    """One store, as the parts of the client see it."""

    def __init__(self, runner: Runner, owners: Mapping[str, str]) -> None:
        self._runner = runner
        self._owners = owners
        self._reader = runner.reader
        self._who: str | None = None
        """The principal that this client is bound to; None is whoever owns the process and the store's files."""
        self._key = ""
        """Id of the API key that it was bound with: it must still count at each call."""

    def run(self, run: str) -> Run:
        """A run by its id, or by an unambiguous part of at least four characters."""
        self._see()
        return find_run(self._reader, run)

    def waits_of(self, run: str) -> list[Wait]:
        """What a run waits for."""
        self._see()
        return [read_wait(row) for row in self._reader.all("waits_of_run", (find_run(self._reader, run).id,))]

    def counts(self) -> dict[str, dict[str, int]]:
        """How many runs stand where: workflow -> status -> number."""
        self._see()
        found: dict[str, dict[str, int]] = {}
        for row in self._reader.all("runs_by_status"):
            found.setdefault(row["workflow"], {})[row["status"]] = row["runs"]
        return found

    async def _change_item(
        self,
        item: str,
        kinds: tuple[str, ...],
        change: Callable[[Activation, Write, Wait], bool | None],
        *,
        by: str,
        needs: Capability = "see",
        own: bool = False,
    ) -> None:
        """Change a waiting item, named RUN/COMMAND, or by its run when only one of the kinds waits there.

        change: stages it, and says True when the workflow has its answer by that. needs: what somebody must be able to do
        to hear anything of an item. own: whoever asked for it may change it so without that.
        """
        with self._recorded(by, item[:LONGEST_SUBJECT]):
            self._check_active(by)
        run, _, command = item.partition("/")
        async with self._runner.door:
            activation = self._loaded(run)
            while activation.inflight:  # what is on its way may open the item, or decide it
                await activation.applied()
                activation = self._loaded(run)
            row = activation.row
            with self._recorded(by, f"{row.id}/{command}" if command else row.id):
                if own and folded(by) == folded(row.requester):
                    self._check_active(by)
                else:
                    self._runner.directory.check(by, needs)
            wait = pick(activation, item, command, kinds)
            with self._recorded(by, wait.id):
                await self._runner.deliver(wait.run, lambda case, write: change(case, write, wait))

    # --- who asks, and whether they may ---

    def _by(self, by: str | None) -> str:
        """Who asks for a change: whom this client is bound to, else who is named.

        Raises InvalidInput when nobody is; NotAllowed for another name than the bound one, and for a key that ended.
        """
        if self._who is None:
            if by is None:
                raise InvalidInput("say who asks for this: by=NAME, or client.acting(NAME)", {"by": "is missing"})
            with self._recorded(by, "by"):
                check_person(by)
            return by
        with self._recorded(self._who, "by"):
            if by is not None:
                check_person(by)
                if folded(by) != folded(self._who):
                    raise NotAllowed(f"this client acts as {self._who!r} and cannot act as {by!r}")
            if self._key and not self._runner.directory.valid(self._key, self._stamp()):
                raise NotAllowed(NO_KEY)
        return self._who

    def _allow(self, by: str | None, capability: Capability) -> str:
        """Who asks; raises NotAllowed, and records that, unless they may do such things at all."""
        named = self._by(by)
        with self._recorded(named, capability):
            self._runner.directory.check(named, capability)
        return named

    def _requester(self, name: str | None, by: str) -> str | None:
        """For whom `by` asks, if for somebody else; raises NotAllowed, InvalidInput."""
        if name is None:
            return None
        with self._recorded(by, "requester"):
            name = self._runner.directory.requester(name, by)
        return None if folded(name) == folded(by) else name

    def _see(self) -> None:
        """Raise NotAllowed, and record that, when this client is bound to somebody who may not see."""
        if self._who is not None:
            self._allow(None, "see")

    def _check_active(self, by: str) -> None:
        """Raise NotAllowed for whoever may do nothing at all: unknown, revoked, or acting for somebody who is."""
        fault = self._runner.directory.fault(by)
        if fault:
            raise NotAllowed(f"{fault} and may do nothing")

    @contextmanager
    def _recorded(self, by: str, what: str) -> Generator[None]:
        """Record it when what is tried here is not allowed."""
        try:
            yield
        except NotAllowed as denied:
            self._denied(by, what, denied)
            raise

    def _denied(self, by: str, what: str, why: NotAllowed, **more: Json) -> None:
        """Record an attempt that was refused; nobody waits for that."""
        self._runner.system.record("denied", what, {"why": str(why), **more}, by=str(by))

    def _loaded(self, run: str) -> Activation:
        try:
            return self._runner.loaded(run)
        except NotFound:
            return self._runner.loaded(find_run(self._reader, run).id)
        except ATTENTION:
            self._runner.dispatch.activate(run)  # it fails there as well, and so comes before an operator
            raise

    def _leaf(self, case: Activation, wait: Wait) -> Open:
        if not case.loaded:
            raise Conflict(f"run {wait.run} needs attention; `backstay retry` it, then it can be answered")
        leaf = case.machine.find(wait.command)
        if leaf is None:
            raise Conflict(f"{wait.id} does not wait any more")
        return leaf

    def _stamp(self) -> str:
        return self._runner.clock.stamp()


def pick(case: Activation, item: str, command: str, kinds: tuple[str, ...]) -> Wait:
    """The one wait of a run that is meant; raises Conflict saying what waits there instead."""
    waits = list(case.waits.values())
    found = [wait for wait in waits if (wait.command == command if command else wait.kind in kinds)]
    if not found and case.row.ended:
        raise Conflict(f"{item} does not wait for that: run {case.row.id} has {case.row.status}")
    if not found:
        raise Conflict(f"{item} does not wait for that: it was decided, withdrawn or has expired{hint(waits)}")
    if len(found) > 1:
        raise Conflict(f"run {case.row.id} waits for more than one thing; name one of {', '.join(w.id for w in found)}")
    if found[0].kind not in kinds:
        raise Conflict(f"{found[0].id} is of kind {found[0].kind!r}, not {' or '.join(kinds)}")
    return found[0]


def hint(waits: list[Wait]) -> str:
    listed = ", ".join(f"{wait.command} ({wait.kind})" for wait in waits if wait.queue)
    return f"; what waits there: {listed}" if listed else ""


def check_answer(shape: Any, value: Json, what: str) -> Json:
    """Validate what a person or sender gave against the type the workflow asked for, and write it as JSON."""
    if shape is None:
        return journalable(value, what)
    adapter = adapter_for(shape)
    try:
        return journalable(adapter.dump_python(adapter.validate_python(value), mode="json", by_alias=True), what)
    except ValidationError as error:
        raise invalid(what, error) from None


def as_declared(action: Action[Any], result: Json) -> tuple[Json, Json]:
    """A result that a person gave, written as the action itself would, and the schema that says what of it is private."""
    answer = check_answer(action.result, result, f"the result of action {action.name!r}")
    return answer, action.interface["result"] if action.seals_result else None


def clean(case: Activation, text: Any) -> Any:
    """What a person wrote, without the private texts that the run knows."""
    return (
        case.runner.payloads.clean(text, case.machine.secrets if case.loaded else {}) if isinstance(text, str) else text
    )
