"""The tools of an office agent: mail, files, calendar, bank and web, declared as a careful author would declare them."""

from __future__ import annotations

import base64
from typing import Any, Literal

from pydantic import BaseModel

from backstay import action, workflow
from backstay.types import FromOutside
from tests.ai.attacks.world import did, seen


class Mail(BaseModel):
    id: str
    sender: FromOutside[str]
    subject: FromOutside[str]
    body: FromOutside[str]
    attachments: FromOutside[list[str]]


class Listed(BaseModel):
    id: str
    name: FromOutside[str]
    size: int


class Contact(BaseModel):
    name: str
    email: str


class Appointment(BaseModel):
    id: str
    title: str
    start: str
    participants: list[str]
    note: FromOutside[str]


class Booking(BaseModel):
    id: str
    account: str
    amount: str
    name: str
    subject: FromOutside[str]


def _mails(wanted: str = "") -> list[Mail]:
    found = [Mail(id=key, **mail) for key, mail in seen("mails").items()]
    return [mail for mail in found if wanted.casefold() in f"{mail.sender} {mail.subject} {mail.body}".casefold()]


# --- reading ------------------------------------------------------------------------------------------


@action(effect="read")
def unread_mails() -> list[Mail]:
    """All mails that nobody has read yet."""
    return _mails()


@action(effect="read")
def search_mails(query: str) -> list[Mail]:
    """Mails in whose sender, subject or body this stands."""
    return _mails(query)


@action(effect="read")
def find_contact(name: str) -> list[Contact]:
    """People of the address book of whose name this is a part."""
    return [
        Contact(name=who, email=mail) for who, mail in seen("contacts").items() if name.casefold() in who.casefold()
    ]


@action(effect="read")
def list_files() -> list[Listed]:
    """Id, name and size of each file."""
    return [Listed(id=key, name=file["name"], size=file["size"]) for key, file in seen("files").items()]


@action(effect="read", untrusted=True)
def read_file(name: str) -> str:
    """The text of a file, by its id or its name."""
    return next(file["text"] for key, file in seen("files").items() if name in (key, file["name"]))


@action(effect="read")
def list_events() -> list[Appointment]:
    """All appointments."""
    return [Appointment(id=key, **event) for key, event in seen("events").items()]


@action(effect="read")
def list_transactions() -> list[Booking]:
    """The latest transactions of the account; the account is the other side's."""
    booked = seen("transactions").items()
    return [
        Booking(id=key, account=t["to"] if t["from"] == "me" else t["from"], amount=t["amount"], name=t["name"], subject=t["subject"])
        for key, t in booked
    ]  # fmt: skip


@action(effect="read")
def standing_orders() -> dict[str, dict[str, str]]:
    """The standing orders by id."""
    return seen("standing_orders")


@action(effect="read", untrusted=True)
def decode(text: str, form: Literal["base64", "reversed"]) -> str:
    """Decode a text."""
    return base64.b64decode(text).decode() if form == "base64" else text[::-1]


@action(effect="read")
def lookup(key: str) -> dict[str, str]:
    """Look a key up in the records; the answer repeats it."""
    return {"asked": key, "found": "nothing"}


@action(effect="read", untrusted=True, sinks=["url"])
def get_page(url: str) -> str:
    """The text of a page of the web."""
    did("get_page", url=url)
    return seen("pages").get(url, "not found")


@action(effect="read", untrusted=True, sinks=["query"])
def search_web(query: str) -> str:
    """Ask a public search engine."""
    did("search_web", query=query)
    return str(seen("search")["results"])


# --- changing -----------------------------------------------------------------------------------------


@action(effect="irreversible", sinks=["to", "attachments"])
def send_mail(to: list[str], subject: str, body: str, attachments: list[str] = []) -> str:  # noqa: B006
    """Send a mail, with files attached by their ids."""
    return did("send_mail", to=to, subject=subject, body=body, attachments=attachments)


@action(effect="irreversible", sinks=["mail_id"])
def delete_mail(mail_id: str) -> str:
    """Delete a mail."""
    return did("delete_mail", mail_id=mail_id)


@action(effect="write")
def create_file(name: str, text: str) -> str:
    """Write a new file into the own folder."""
    return did("create_file", name=name, text=text)


@action(effect="irreversible", sinks=["file_id"])
def delete_file(file_id: str) -> str:
    """Delete a file for good."""
    return did("delete_file", file_id=file_id)


@action(effect="irreversible", sinks=["file_id", "email", "public"])
def share_file(file_id: str, email: str = "", public: bool = False) -> str:
    """Give somebody access to a file, or everybody."""
    return did("share_file", file_id=file_id, email=email, public=public)


@action(effect="write", sinks=["participants", "start"])
def create_event(title: str, start: str, participants: list[str] = [], note: str = "") -> str:  # noqa: B006
    """Put an appointment into the calendar; the participants get an invitation."""
    return did("create_event", title=title, start=start, participants=participants, note=note)


@action(effect="write", sinks=["event_id", "start"])
def move_event(event_id: str, start: str) -> str:
    """Move an appointment."""
    return did("move_event", event_id=event_id, start=start)


@action(effect="write", sinks=["event_id"])
def cancel_event(event_id: str) -> str:
    """Cancel an appointment."""
    return did("cancel_event", event_id=event_id)


@action(effect="irreversible", sinks=["account", "amount", "day"])
def pay(account: str, amount: str, subject: str = "", day: str = "") -> str:
    """Transfer money in euros, at once or on a day."""
    return did("pay", account=account, amount=amount, subject=subject, day=day)


@action(effect="irreversible", sinks=["order_id", "account", "amount", "day"])
def change_standing_order(order_id: str, account: str = "", amount: str = "", day: str = "") -> str:
    """Change what a standing order pays, to whom, or when."""
    return did("change_standing_order", order_id=order_id, account=account, amount=amount, day=day)


@action(effect="irreversible", sinks=["password"])
def change_password(password: str) -> str:
    """Set another password for the account."""
    return did("change_password", password=password)


@action(effect="irreversible", sinks=["name", "email"])
def invite_user(name: str, email: str) -> str:
    """Invite somebody into the workspace."""
    return did("invite_user", name=name, email=email)


@action(effect="irreversible", sinks=["url"])
def post_page(url: str, text: str) -> str:
    """Post a text to a page of the web."""
    return did("post_page", url=url, text=text)


@workflow
async def onboard(name: str, email: str) -> str:
    """Give a new colleague access: an invitation and a welcome mail."""
    await invite_user(name, email)
    return await send_mail([email], "Welcome", "Welcome on board.")


@workflow
async def settle_bill(bill: dict[str, Any]) -> str:
    """Pay a bill: account and amount."""
    return await pay(bill["account"], bill["amount"])


READS = (
    unread_mails, search_mails, find_contact, list_files, read_file, list_events, list_transactions, standing_orders,
    decode, lookup, get_page, search_web,
)  # fmt: skip
CHANGES = (
    send_mail, delete_mail, create_file, delete_file, share_file, create_event, move_event, cancel_event, pay,
    change_standing_order, change_password, invite_user, post_page,
)  # fmt: skip
WORKFLOWS = (onboard, settle_bill)
TOOLS = (*READS, *CHANGES, *WORKFLOWS)
