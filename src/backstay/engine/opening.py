"""Opening: what the engine records when a run begins to wait for something other than an action."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from backstay import events as ev
from backstay.commands import Approval, Call, Draw, Note, Sleep, Start, Task, WaitFor
from backstay.engine.frames import Open, model_schema
from backstay.engine.items import wake
from backstay.engine.stages import UNPLANNED
from backstay.errors import InvalidInput
from backstay.events import Refs
from backstay.governance.approvals import call_digest, proposal_digest
from backstay.governance.plans import Plan
from backstay.governance.schedule import Schedule
from backstay.store.journal import Write
from backstay.store.payloads import escape, redact
from backstay.store.views import Wait, WaitKind
from backstay.types import Done, Duration, Json, iso, journalable, seconds

if TYPE_CHECKING:
    from backstay.engine.activation import Activation
    from backstay.engine.runner import Runner


class Opener:
    """Stages the opening event of a command, and the row that makes its wait visible, into a write."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def open(self, case: Activation, leaf: Open, write: Write) -> None:
        """Begin one new command that is not a call."""
        command: Any = leaf.command
        OPENERS[type(command)](self, case, leaf, command, write)

    def approval(self, case: Activation, leaf: Open, command: Approval, write: Write) -> None:
        refs: Refs = {}
        bound = self._bind(case, command.action) if command.action is not None else {}
        times = self._runner.items.schedule(command.queue, command.within, command.until, expires=True)
        show = self._show(case, write, command.show, "/show", refs)
        evidence = self._show(case, write, command.evidence, "/evidence", refs)
        exclude = self._show(case, write, [name for name in command.exclude if name], "/exclude", refs)
        rules, named = self._runner.gateway.policy.digest, redact(command.title, case.machine.secrets)
        event = ev.ApprovalRequested(
            at=self._stamp(), command=leaf.id, site=leaf.site, queue=command.queue, show=show, evidence=evidence,
            due=times.due, plan=times.told, calendar=times.calendar, quorum=command.quorum, reject=command.reject,
            policy=rules, shown=proposal_digest(bound.get("digest"), rules, show, evidence, refs),
            path=case.machine.take_path(), title=named, exclude=exclude or None,
            **self._pack_bound(case, write, bound, refs), refs=refs or None,
        )  # fmt: skip
        title = named or bound.get("action") or _title(event.show) or "approval"
        case.stage(write, event)
        case.put_wait(write, self._item(case, leaf, "approval", command.queue, title, times))

    def _bind(self, case: Activation, call: Call[Any]) -> dict[str, Any]:
        """What a bound approval is tied to: the digest that the gateway will ask for."""
        args = to_jsonable_python(call.args)
        action = self._runner.gateway.actions.get(call.action)
        interface = action.interface_digest if action else ""
        digest = call_digest(version=case.row.version, action=call.action, interface=interface, args=args)
        if case.machine.secrets or (action is not None and action.seals_arguments):
            digest = self._runner.payloads.mac(digest)
        return {"action": call.action, "args": args, "digest": digest}

    def _pack_bound(self, case: Activation, write: Write, bound: dict[str, Any], refs: Refs) -> dict[str, Any]:
        action = self._runner.gateway.actions.get(bound.get("action", ""))
        if action is None:
            return bound
        schema = action.interface["arguments"] if action.seals_arguments else None
        packed = self._runner.payloads.pack(write, bound["args"], "/args", refs, schema, case.machine.secrets)
        return {**bound, "args": packed}

    def task(self, case: Activation, leaf: Open, command: Task[Any], write: Write) -> None:
        refs: Refs = {}
        times = self._runner.items.schedule(command.queue, command.within, command.until, expires=False)
        named = redact(command.title, case.machine.secrets)
        event = ev.TaskOpened(
            at=self._stamp(), command=leaf.id, site=leaf.site, queue=command.queue, title=named, due=times.due,
            plan=times.plan or None, calendar=times.calendar,
            show=self._show(case, write, command.show, "/show", refs), form=form_schema(command.form),
            path=case.machine.take_path(), refs=refs or None,
        )  # fmt: skip
        case.stage(write, event)
        title = named or _title(event.show) or "task"
        case.put_wait(write, self._item(case, leaf, "task", command.queue, title, times))

    def sleep(self, case: Activation, leaf: Open, command: Sleep, write: Write) -> None:
        due = (
            iso(_aware(command.until))
            if command.until is not None
            else self._due(0 if command.duration is None else command.duration)
        )
        case.stage(
            write,
            ev.TimerSet(
                at=self._stamp(), command=leaf.id, site=leaf.site, due=due or "", path=case.machine.take_path()
            ),
        )
        case.put_wait(write, self._wait(case, leaf, "timer", "", "sleep", wake=due))

    def wait_for(self, case: Activation, leaf: Open, command: WaitFor[Any], write: Write) -> None:
        due = self._due(command.within)
        case.stage(
            write,
            ev.WaitOpened(
                at=self._stamp(),
                command=leaf.id,
                site=leaf.site,
                name=command.name,
                due=due,
                path=case.machine.take_path(),
            ),
        )
        case.put_wait(write, self._wait(case, leaf, "signal", "", command.name, due=due, wake=due))

    def draw(self, case: Activation, leaf: Open, command: Draw[Any], write: Write) -> None:
        values: dict[str, Callable[[], Json]] = {
            "now": self._stamp,
            "random": self._runner.clock.chance,
            "new_id": self._runner.clock.new_id,
            "setting": lambda: journalable(self._runner.settings.get(command.name), f"setting {command.name!r}"),
        }
        refs, value = Refs(), values[command.kind]()
        if command.kind == "setting":  # the others are ours: nothing in them is private or large
            value = self._runner.payloads.pack(write, value, "/value", refs, None, case.machine.secrets)
        event = ev.Drawn(
            at=self._stamp(), command=leaf.id, site=leaf.site, what=command.kind, value=value,
            name=command.name, path=case.machine.take_path(), refs=refs or None,
        )  # fmt: skip
        case.stage(write, event)

    def note(self, case: Activation, leaf: Open, command: Note, write: Write) -> None:
        refs: Refs = {}
        event = ev.Noted(
            at=self._stamp(), command=leaf.id, site=leaf.site, text=redact(command.text, case.machine.secrets),
            data=self._show(case, write, command.data, "/data", refs), path=case.machine.take_path(), refs=refs or None,
        )  # fmt: skip
        case.stage(write, event)

    def start(self, case: Activation, leaf: Open, command: Start[Any], write: Write) -> None:
        """Create the child in the same write: either both the parent knows of it and it exists, or neither."""
        try:
            _check_planned(case, command.workflow)
            child = self._runner.create(
                write, command.workflow, leaf.args, key=redact(command.key, case.machine.secrets),
                by=case.machine.started.by, requester=case.machine.started.requester,
                parent=(case.row.id, leaf.id), trigger=f"run {case.row.id}", secrets=case.machine.secrets,
                labels=case.labels, acting=case.machine.acting, plan=self._handed(case, command.workflow),
            )  # fmt: skip
        except InvalidInput as error:
            fault = ev.Fault(type="InvalidInput", message=redact(str(error), case.machine.secrets))
            case.stage(
                write,
                ev.ChildStarted(
                    at=self._stamp(),
                    command=leaf.id,
                    site=leaf.site,
                    workflow=command.workflow,
                    run="",
                    path=case.machine.take_path(),
                ),
            )
            case.stage(write, ev.ChildEnded(at=self._stamp(), command=leaf.id, status="failed", reason=fault.message))
            return
        case.stage(
            write,
            ev.ChildStarted(
                at=self._stamp(),
                command=leaf.id,
                site=leaf.site,
                workflow=command.workflow,
                run=child,
                detached=command.detached,
                path=case.machine.take_path(),
            ),
        )
        if not command.detached:
            self._runner.awaited.add(child)
            case.put_wait(write, self._wait(case, leaf, "child", "", f"child {command.workflow}", subject=child))

    def _handed(self, case: Activation, workflow: str) -> Plan | None:
        """The plan that an agent hands on to its helper; nothing else has one."""
        program, callee = case.machine.program, self._runner.workflows.get(workflow)
        if not program.agent or callee is None or not callee.program.agent:
            return None
        return case.plan.handed(program.interfaces.keys(), callee.program.interfaces.keys())

    # --- small parts ---

    def _stamp(self) -> str:
        return self._runner.clock.stamp()

    def _due(self, within: Duration | None) -> str | None:
        return None if within is None else self._runner.clock.stamp_after(seconds(within))

    def _show(self, case: Activation, write: Write, value: Any, pointer: str, refs: Refs) -> Json:
        if value is None:
            return None
        sealed = self._seal_models(write, value, pointer, refs, case.machine.secrets)
        return self._runner.payloads.pack(write, sealed, pointer, refs, None, case.machine.secrets)

    def _seal_models(self, write: Write, value: Any, pointer: str, refs: Refs, secrets: Mapping[str, str]) -> Json:
        """The value as JSON; each model in it, however deep in lists and objects, is sealed by its own type."""
        if isinstance(value, Mapping):
            items = cast("Mapping[Any, Any]", value).items()
            plain = {str(to_jsonable_python({key: 0}).popitem()[0]): item for key, item in items}
            return {k: self._seal_models(write, v, f"{pointer}/{escape(k)}", refs, secrets) for k, v in plain.items()}
        if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
            parts = cast("Sequence[Any]", value)
            return [
                self._seal_models(write, part, f"{pointer}/{place}", refs, secrets) for place, part in enumerate(parts)
            ]
        schema = model_schema(type(value)) if isinstance(value, BaseModel) or is_dataclass(value) else None
        return self._runner.payloads.seal_tagged(write, to_jsonable_python(value), pointer, refs, schema, secrets)

    def _item(
        self, case: Activation, leaf: Open, kind: WaitKind, queue: str, title: str, times: Schedule
    ) -> Wait:  # fmt: skip
        wait = self._wait(case, leaf, kind, queue, title, due=times.due)
        return wake(wait._replace(priority=self._runner.items.queues.of(queue).priority), times.plan)

    def _wait(
        self, case: Activation, leaf: Open, kind: WaitKind, queue: str, title: str, *,
        due: str | None = None, wake: str | None = None, subject: str = "",
    ) -> Wait:  # fmt: skip
        return Wait(
            run=case.row.id, command=leaf.id, kind=kind, queue=queue, title=title[:300], opened_at=self._stamp(),
            due_at=due, wake_at=wake, requester=case.row.requester, subject=subject,
        )  # fmt: skip


OPENERS: dict[type[Any], Callable[..., None]] = {
    Approval: Opener.approval,
    Task: Opener.task,
    Sleep: Opener.sleep,
    WaitFor: Opener.wait_for,
    Draw: Opener.draw,
    Note: Opener.note,
    Start: Opener.start,
}
"""How each command other than a call begins."""


def _check_planned(case: Activation, workflow: str) -> None:
    """An agent starts a workflow only as far as that belongs to its case; to another agent it hands its plan on."""
    program = case.machine.program
    callee = program.interfaces.get(workflow)
    if program.agent and callee is not None and callee.kind == "workflow" and case.plan.verdict(workflow) != "allow":
        raise InvalidInput(f"{workflow!r}: {UNPLANNED}")


def form_schema(form: Any) -> Json:
    """JSON Schema of what a person fills in; None for a task that is just reported done."""
    return None if form is Done else model_schema(form)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _title(value: Json) -> str:
    """One line about a value, for lists."""
    if isinstance(value, dict):
        plain = {key: item for key, item in value.items() if isinstance(item, str | int | float) and item != ""}
        value = ", ".join(f"{key}={item}" for key, item in plain.items())
    return " ".join(str(value).split())[:200] if value else ""
