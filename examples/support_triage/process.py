"""Support as a workflow: from a mail that arrived to a ticket that is settled, and a reply that a person approved.

With a model configured, an agent looks into the ticket first: it drafts the reply and may start a refund. What it does
not settle, and everything without a model, is settled by people. What a mail is about is said by the agent, by the AI step
where that is switched on and sure, or else by a person, from whom the step learns.
"""

from __future__ import annotations

from datetime import datetime

from backstay import ActionDenied, ActionFailed, TimedOut, now, setting, sleep, start, task, wait_for, workflow
from examples.support_triage.actions import (
    add_to_thread,
    alert,
    close_ticket,
    customer_by_id,
    find_sender,
    is_open,
    open_ticket,
    open_ticket_from_backlog,
    orders_named,
    raise_priority,
    refund_policy,
    route_ticket,
    search_orders,
    send_reply,
    ticket_record,
)  # fmt: skip
from examples.support_triage.intents import classify_intent, learn_intent
from examples.support_triage.investigation import support_agent
from examples.support_triage.models import Handled, Mail, MailRead, Outcome, SenderJudged, Triaged
from examples.support_triage.refunds import refund_order
from examples.support_triage.rules import (
    PRIORITY,
    QUEUE,
    WHICH_ORDER,
    due_at,
    lacks_order,
    packet,
    problem_of,
    read_by_person,
    said_in,
    unsettled,
)  # fmt: skip


@workflow
async def keep_promise(ticket: str, due: datetime) -> str:
    """The timer of a ticket: when nobody has settled it in time, the leads hear of it, and it comes first."""
    await sleep(until=due)
    if not await is_open(ticket):
        return "kept"
    await raise_priority(ticket)
    await alert("support-leads", f"{ticket} was not settled in time")
    return "broken"


@workflow
async def triage_mail(mail: Mail) -> Outcome:
    """Check a mail, open its ticket, let the agent or a person settle it, and send what a person approved."""
    while problem_of(mail):
        read = await task("unreadable-mail", show={"mail": mail, "problem": problem_of(mail)}, form=MailRead)
        if read.verdict == "drop":
            return Outcome(status="dropped")
        mail = read_by_person(mail, read)

    sender = await find_sender(mail.sender)
    if sender.blocked:
        return Outcome(status="refused")
    customer = sender.customer
    while customer is None:
        judged = await task("unknown-sender", show={"mail": mail}, form=SenderJudged)
        if judged.verdict == "drop":
            return Outcome(status="dropped")
        customer = await customer_by_id(judged.customer_id)

    priority, due = PRIORITY(tier=customer.tier), due_at(customer, await now())
    try:
        ticket = await open_ticket(mail, customer.id, priority, due)
    except ActionFailed as failure:
        await alert("it-service", f"no ticket can be opened: {failure.message}")
        ticket = await open_ticket_from_backlog(mail, customer.id, priority, due)
    ticket = (await ticket_record(ticket)).ticket  # what the helpdesk says of it counts, whatever words the mail uses
    await start(keep_promise, ticket, due, detached=True, key=f"promise {ticket}")

    named = await orders_named(mail)
    if lacks_order(mail, named):
        await send_reply(ticket, WHICH_ORDER, "template")
        try:
            answer = await wait_for("reply", type=Mail, within="7d")
        except TimedOut:
            await close_ticket(ticket, "unanswered")
            return Outcome(status="unanswered", ticket=ticket, intent="refund")
        await add_to_thread(ticket, answer)
        mail, named = answer, await orders_named(answer)

    moment = await now()
    asked = {"ticket": ticket, "customer": customer, "mail": mail, "today": moment.date()}
    finding = await support_agent(asked) if await setting("assist") else None
    record = await ticket_record(ticket)
    why, intent = unsettled(finding, record), ""
    if finding is not None and finding.output is not None and finding.reason == "goal-met":
        intent, queue = finding.output.intent, QUEUE(intent=finding.output.intent)
        if not why:
            await route_ticket(ticket, intent, finding.output.sentiment, queue)
            try:
                await send_reply(ticket, record.draft, "draft")
                await close_ticket(ticket, finding.output.decision)
                return Outcome(status=finding.output.decision, ticket=ticket, intent=intent, by="agent")
            except ActionDenied as refusal:
                why = f"the draft was not approved: {refusal.reason}"
        else:
            queue = "support-leads"
            await route_ticket(ticket, intent, finding.output.sentiment, queue)

    facts = packet(
        ticket, customer, mail, named, await search_orders(ticket), await refund_policy(), record, finding, why
    )
    if not intent:
        judged = await classify_intent(said_in(mail)) if await setting("classify") else None
        if judged is not None and judged.sure and not judged.review:
            intent, sentiment = judged.value, "calm"
        else:
            facts = {**facts, "judged": judged}
            triaged = await task("triage", show=facts, form=Triaged, title=f"{ticket}: what is it about?")
            intent, sentiment = triaged.intent, triaged.sentiment
            if judged is not None:
                await learn_intent(said_in(mail), intent, judged)
        queue = QUEUE(intent=intent)
        await route_ticket(ticket, intent, sentiment, queue)
    while True:
        handled = await task(queue, show={**facts, "why": why}, form=Handled, title=f"{ticket}: {why}")
        if handled.verdict != "refund":
            break
        refund = await refund_order(ticket, handled.order, handled.amount)
        if refund.status == "refunded":
            break
        why = f"not refunded: {refund.reason}"
    if handled.text:
        await send_reply(ticket, handled.text, "person")
    status = {"refund": "refunded", "answer": "answered", "close": "closed"}[handled.verdict]
    await close_ticket(ticket, status)
    return Outcome(status=status, ticket=ticket, intent=intent, by="person")
