"""The application: its workflow, and the queues of those who decide, with their calendars, members and reasons."""

from __future__ import annotations

from pathlib import Path

from backstay import App, Client, Queue
from backstay.governance.queues import Escalation
from examples.leave_request import actions
from examples.leave_request.hr import Hr
from examples.leave_request.models import LeaveRequest
from examples.leave_request.process import request_leave
from examples.leave_request.sites import HAMBURG, KRAKOW

REASONS = ("understaffed", "deadline", "other")
ESCALATE = (Escalation(after="2bd", to="head-of-operations"),)

QUEUES = (
    Queue(
        name="lead-support", owner="marek", about="Leave of the support team", members=("marek",), calendar=KRAKOW,
        within="2bd", remind=("1bd",), escalate=ESCALATE, reasons=REASONS,
    ),
    Queue(
        name="lead-sales", owner="clara", about="Leave of the sales team", members=("clara",), calendar=HAMBURG,
        within="2bd", remind=("1bd",), escalate=ESCALATE, reasons=REASONS,
    ),
    Queue(
        name="head-of-operations", owner="helena", about="Leave of the leads, and what they left undecided",
        members=("helena",), calendar=HAMBURG, within="2bd", remind=("1bd",), priority=5, reasons=REASONS,
    ),
    Queue(
        name="hr", owner="hanna", about="Long and unpaid leave", members=("hanna", "hugo"), calendar=HAMBURG,
        within="5bd", remind=("3bd",), lease="4h", reasons=REASONS,
    ),
    Queue(name="manual-backlog", owner="hr-service", about="What the HR system did not take"),
    Queue(name="operators", owner="hr-service", about="Cases that cannot go on until something is mended"),
)  # fmt: skip

app = App("leave-request", workflows=[request_leave], queues=QUEUES)


def set_up(home: Path) -> Hr:
    """Point the actions at the HR system in `home`, which is made if there is none. Safe to repeat."""
    actions.use(home)
    return actions.hr()


async def ask_for_leave(client: Client, request: LeaveRequest, *, form: str) -> str:
    """Start the case of a form in the employee's name; a form that is sent twice is one case."""
    return await client.start(request_leave, {"request": request}, key=form, by=request.employee)
