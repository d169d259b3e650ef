"""Every error Backstay raises, as one tree grouped by who must act.

A message says what happened, to which name, and what to do; `code` is stable and documented.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backstay.language.diagnostics import Diagnostic


class BackstayError(Exception):
    """Base of all errors that Backstay raises on purpose."""

    code = "BACKSTAY"


# --- the author of a workflow or an action must act -------------------------------------------------


class AuthorError(BackstayError):
    """The code that was handed to Backstay must change."""

    code = "AUTHOR"


class WorkflowRefused(AuthorError):
    """A workflow or rule is outside the checked language; `diagnostics` says where, why and what instead."""

    code = "REFUSED"

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n\n".join(str(diagnostic) for diagnostic in self.diagnostics))


class ActionRefusedAtImport(AuthorError):
    """An action's signature cannot be given a closed schema."""

    code = "ACTION"


# --- an operator must act ---------------------------------------------------------------------------


class OperatorError(BackstayError):
    """The installation needs attention; no data was lost."""

    code = "OPERATOR"


class StoreLocked(OperatorError):
    """Another process owns this store."""

    code = "LOCKED"


class StoreUnavailable(OperatorError):
    """The store could not commit (disk full, I/O error); nothing that was acknowledged is lost."""

    code = "UNAVAILABLE"


class WriteRefused(OperatorError):
    """What was to be written breaks a rule of the store; trying again cannot help, so its run needs attention."""

    code = "WRITE_REFUSED"


class StoreFenced(OperatorError):
    """Another worker took this store over; this one must stop."""

    code = "FENCED"


class StoreMismatch(OperatorError):
    """The file is not a Backstay store, or comes from a newer version."""

    code = "STORE"


class DefinitionMissing(OperatorError):
    """A run is pinned to a definition that the store no longer holds."""

    code = "NO_DEFINITION"


class JournalMismatch(OperatorError):
    """A journal does not fit its definition; the run is parked, never failed."""

    code = "MISMATCH"

    def __init__(self, message: str, *, seq: int | None = None, line: int | None = None) -> None:
        self.seq, self.line = seq, line
        super().__init__(message)


class JournalCorrupted(OperatorError):
    """A stored event no longer matches its hash chain."""

    code = "CORRUPTED"


# --- the caller of the client must act --------------------------------------------------------------


class RequestError(BackstayError):
    """A request to the client could not be carried out as asked; nothing was changed."""

    code = "REQUEST"


class NotFound(RequestError):
    """No run, item, workflow or queue has that name."""

    code = "NOT_FOUND"


class InvalidInput(RequestError):
    """Input does not fit its schema; `fields` maps each field's path to what is wrong with it."""

    code = "INVALID"

    def __init__(self, message: str, fields: dict[str, str] | None = None) -> None:
        self.fields = fields or {}
        super().__init__(message)


class NotAllowed(RequestError):
    """This principal may not do that."""

    code = "NOT_ALLOWED"


class Conflict(RequestError):
    """Somebody was faster: the item was already decided, claimed, withdrawn, or the run has ended."""

    code = "CONFLICT"


# --- a workflow may catch these ---------------------------------------------------------------------


class ProcessError(BackstayError):
    """Base of the errors that reach workflow code through an `await`; `except ProcessError` catches all."""

    code = "PROCESS"


class ActionFailed(ProcessError):
    """An action raised an error that is not retried, or ran out of attempts with `on_failure="raise"`.

    `action` is its name, `type` the class name of the error, `message` its redacted text, `attempts` how often it ran.
    """

    code = "ACTION_FAILED"

    def __init__(self, action: str, type: str, message: str, attempts: int) -> None:
        self.action, self.type, self.message, self.attempts = action, type, message, attempts
        super().__init__(f"action {action!r} failed after {attempts} attempt(s): {type}: {message}")


class ActionDenied(ProcessError):
    """The gateway or a person refused the action; `stage` and `reason` say which and why.

    Where a person rejected it, `by` is who, and `reason_code` the code that they chose of their queue's `reasons`; both are
    empty where a stage refused it or its time ran out. `code` is the error's own, as with every other.
    """

    code = "ACTION_DENIED"

    def __init__(self, action: str, stage: str, reason: str, *, reason_code: str = "", by: str = "") -> None:
        self.action, self.stage, self.reason = action, stage, reason
        self.reason_code, self.by = reason_code, by
        super().__init__(f"action {action!r} was denied by {stage}: {reason}")


class ActionDrafted(ProcessError):
    """A rule wants the action written down and not done; `reason` says why."""

    code = "ACTION_DRAFTED"

    def __init__(self, action: str, stage: str, reason: str) -> None:
        self.action, self.stage, self.reason = action, stage, reason
        super().__init__(f"action {action!r} was written down and not done: {reason}")


class TimedOut(ProcessError):
    """Nothing arrived within the time that the workflow allowed."""

    code = "TIMED_OUT"

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} did not happen in time")


class ChildFailed(ProcessError):
    """A child run failed or was cancelled."""

    code = "CHILD_FAILED"

    def __init__(self, workflow: str, run: str, message: str) -> None:
        self.workflow, self.run, self.message = workflow, run, message
        super().__init__(f"child {workflow!r} ({run}) did not finish: {message}")


class ProgramLimit(ProcessError):
    """Workflow code spun, or built a value beyond the size that one step may build."""

    code = "PROGRAM_LIMIT"


# --- a workflow raises this to end itself ------------------------------------------------------------


class Cancelled(BaseException):
    """Raise it in a workflow to end the run as cancelled: what it confirmed is undone in reverse first.

    No handler takes it on its way, as a run that is cancelled must not go on; `reason` is recorded.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


# --- an action's author raises these to tell the engine what to do -----------------------------------


class NotRetryable(BackstayError):
    """Raise from an action when another attempt cannot help (bad data, refused by the target)."""

    code = "NOT_RETRYABLE"


class NeedsReview(NotRetryable):
    """Raise from an action when nothing happened and a person must look first: the call waits in its queue for a retry."""

    code = "REVIEW"


class NotInstalled(NeedsReview):
    """Raise from an action when this machine lacks something: the call waits in its queue, whatever its `on_failure`."""

    code = "NOT_INSTALLED"


class BudgetCrossed(NotRetryable):
    """What is asked for might use up more than is left; nothing was sent."""

    code = "BUDGET"


class OutcomeUnknown(BackstayError):
    """Raise from an action or its probe when it cannot tell whether the effect happened; a person settles it."""

    code = "UNKNOWN"


class Interrupted(BaseException):
    """Thrown into workflow code to end it (cancel, deadline); workflow code cannot catch it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
