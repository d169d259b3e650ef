"""A leave request as a workflow: from the wish to leave that was taken, withdrawn, refused or declined."""

from __future__ import annotations

from backstay import ActionFailed, approval, note, now, race, sleep, wait_for, workflow
from examples.leave_request.actions import book_leave, cancel_booking, find_person, look_up_facts, notify
from examples.leave_request.models import LeaveRequest, Outcome, Withdrawal
from examples.leave_request.rules import deciders, is_own, why_refused


@workflow
async def request_leave(request: LeaveRequest) -> Outcome:
    """Check a request, have it decided, book it once, and undo that if the employee changes their mind in time."""
    person = await find_person(request.employee)
    if person is None:
        return Outcome(status="refused", reason=f"HR does not know {request.employee}")
    facts = await look_up_facts(request, await now())
    refusal = why_refused(request, facts)
    if refusal != "":
        await notify(request.employee, "Your leave was refused", refusal)
        return Outcome(status="refused", reason=refusal)

    leave = f"{facts.days} days of {request.kind} leave, {request.first_day} to {request.last_day}"
    decided_by: list[str] = []
    for queue in deciders(request, person, facts):
        show = {"employee": request.employee, "leave": leave, "request": request, "facts": facts}
        while True:
            first = await race(
                approval(queue, show=show, exclude=decided_by),
                wait_for("withdraw", type=Withdrawal, details=True),
                sleep(until=facts.begins_at),
            )
            if first.index != 1 or is_own(first.value, request):
                break
            await note(f"{first.value.by} cannot withdraw it; it is asked again")
        if first.index == 1:
            return Outcome(status="withdrawn", reason=first.value.value.reason, decided_by=decided_by)
        if first.index == 2:
            await notify(request.employee, "Nobody decided about your leave", "It would have begun now: please work.")
            return Outcome(status="expired", decided_by=decided_by)
        decision = first.value
        decided_by = [*decided_by, decision.by]
        if not decision.approved:
            reason = f"{decision.code}: {decision.reason}"
            await notify(request.employee, "Your leave was declined", reason)
            return Outcome(status="declined", reason=reason, decided_by=decided_by)

    try:
        booking = await book_leave(request)
    except ActionFailed as failure:
        await notify(request.employee, "Your leave could not be booked", failure.message)
        return Outcome(status="not booked", reason=failure.message, decided_by=decided_by)
    await notify(request.employee, "Your leave is booked", f"{facts.days} working days, {booking}")
    await notify(request.substitute, "You stand in", f"{request.employee}, {request.first_day} to {request.last_day}")

    while True:
        later = await race(wait_for("withdraw", type=Withdrawal, details=True), sleep(until=facts.begins_at))
        if later.index == 1:
            return Outcome(status="taken", booking=booking, decided_by=decided_by)
        if is_own(later.value, request):
            break
        await note(f"{later.value.by} cannot withdraw it")
    await cancel_booking(booking)
    await notify(request.substitute, "You need not stand in", f"{request.employee} works after all")
    return Outcome(status="cancelled", reason=later.value.value.reason, booking=booking, decided_by=decided_by)
