"""The application: its workflows, the queues with those who own them, and how its files are set up in a home
folder.
"""

from __future__ import annotations

from pathlib import Path

from backstay import App, Client, Models, Queue
from examples.accounts_payable import actions, erp
from examples.accounts_payable.inbox_folder import InboxFolder
from examples.accounts_payable.investigation import investigator
from examples.accounts_payable.models import Document
from examples.accounts_payable.process import pay_invoice, process_invoice

INVOICES = Path(__file__).parent / "invoices"
"""The example's own invoices: real files, some of them hostile."""

QUEUES = (
    Queue(name="unreadable", owner="ap-clerks", about="Files from which no invoice can be read"),
    Queue(name="invoice-review", owner="ap-clerks", about="Invoices that a person should read"),
    Queue(name="vendor-set-up", owner="vendor-master-data", about="Vendors to set up, unblock or confirm"),
    Queue(name="missing-po", owner="purchasing", about="Invoices without an order"),
    Queue(name="possible-duplicate", owner="ap-clerks", about="A number that this vendor used before"),
    Queue(name="coding", owner="cost-centre-owners", about="Lines of which nothing says who pays"),
    Queue(name="mismatch", owner="purchasing", about="Order, receipt and invoice disagree"),
    Queue(name="ap-approvers", owner="head-of-finance", about="Totals above the threshold"),
    Queue(name="manual-backlog", owner="it-service", about="Postings that the ERP did not take"),
    Queue(name="treasury", owner="treasurer", about="Payments to release"),
    Queue(name="operators", owner="it-service", about="Cases that cannot go on until something is mended"),
)

WORKFLOWS = [process_invoice, pay_invoice, investigator]

app = App("accounts-payable", workflows=WORKFLOWS, queues=QUEUES)


def assisted(models: Models) -> App:
    """The same application with an agent that looks into every exception before a person does."""
    return App("accounts-payable", workflows=WORKFLOWS, queues=QUEUES, models=models, settings={"investigate": True})


def set_up(home: Path) -> None:
    """Make `home` ready: seed the ERP if it is new, and point the actions at it. Safe to repeat."""
    erp.seed(home / "erp.db")
    actions.use(home)


async def start_case(client: Client, inbox: InboxFolder, document: Document) -> str:
    """Start the case of a document, once however often it is tried, and tell the inbox that it exists."""
    run = await client.start(
        process_invoice,
        {"document": document},
        key=document.digest,
        by="inbox",
        trigger=f"file {document.name}",
    )
    inbox.acknowledge(document)
    return run


async def run_folder_once(client: Client, home: Path, folder: Path = INVOICES, *, settle: float = 0.2) -> InboxFolder:
    """Start a case for every document in a folder, in order, and return when nothing moves any more."""
    inbox = InboxFolder(folder, home, settle=settle)
    await start_cases(client, inbox)  # first what an earlier worker took and did not start
    await inbox.settled()
    await start_cases(client, inbox)
    await client.idle()
    return inbox


async def start_cases(client: Client, inbox: InboxFolder) -> None:
    """Start the case of every document that has none yet, in the order of arrival."""
    for document in inbox.waiting():
        await start_case(client, inbox, document)
