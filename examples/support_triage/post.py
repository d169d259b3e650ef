"""How mail leaves the house: into a folder, one file each, or over SMTP to a configured host.

Whatever goes wrong before the other side has taken the mail is `NotDelivered`; after anything else it may have left.
"""

from __future__ import annotations

import os
import smtplib
from email.message import EmailMessage
from pathlib import Path
from typing import Final, Protocol

from examples.support_triage.helpdesk import Outgoing

SENDER: Final = "support@nordkai.example"
TIMEOUT: Final = 10.0


class NotDelivered(Exception):
    """The mail surely did not leave."""


class Post(Protocol):
    """A way out of the house."""

    def deliver(self, mail: Outgoing, message_id: str) -> None:
        """Hand a mail over; raises NotDelivered when it surely did not leave."""
        ...

    def delivered(self, message_id: str) -> bool | None:
        """Whether a mail has left; None when nobody can tell."""
        ...


class Folder:
    """Mail as files in `folder`, named by message id: writing one twice is writing it once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def deliver(self, mail: Outgoing, message_id: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"{message_id}.part"
        part.write_bytes(_message(mail, message_id).as_bytes())
        os.replace(part, self._file(message_id))

    def delivered(self, message_id: str) -> bool | None:
        return self._file(message_id).exists()

    def _file(self, message_id: str) -> Path:
        return self.folder / f"{message_id}.eml"


class Smtp:
    """Mail over SMTP to `host`:`port`."""

    def __init__(self, host: str, port: int = 25) -> None:
        self.host, self.port = host, port

    def deliver(self, mail: Outgoing, message_id: str) -> None:
        try:
            connection = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT)
        except (OSError, smtplib.SMTPException) as error:
            raise NotDelivered(f"{self.host} cannot be reached: {error}") from error
        with connection:
            try:
                connection.send_message(_message(mail, message_id))
            except smtplib.SMTPServerDisconnected:
                raise  # perhaps after the last line: it may have been taken
            except smtplib.SMTPException as error:
                raise NotDelivered(f"{self.host} did not take it: {error}") from error

    def delivered(self, message_id: str) -> bool | None:
        """The protocol has no question for this."""
        del message_id
        return None


def _message(mail: Outgoing, message_id: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = SENDER, mail.recipient
    message["Subject"] = " ".join(mail.subject.split())
    message["Message-ID"] = f"<{message_id}@nordkai.example>"
    message.set_content(mail.text)
    return message
