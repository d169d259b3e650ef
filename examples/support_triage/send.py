"""Sends a mail to the door: `python -m examples.support_triage.send FILE.eml [PORT]`, as any mail program would."""

from __future__ import annotations

import smtplib
import sys
from email import policy
from email.parser import BytesParser
from pathlib import Path

from examples.support_triage.door import HOST, PORT
from examples.support_triage.post import SENDER, TIMEOUT


def main(file: str, port: str = str(PORT)) -> None:
    try:
        mail = BytesParser(policy=policy.SMTP).parsebytes(Path(file).read_bytes())
        with smtplib.SMTP(HOST, int(port), timeout=TIMEOUT) as connection:
            connection.send_message(mail, to_addrs=[SENDER])
    except (OSError, smtplib.SMTPException) as error:
        sys.exit(f"not sent: {error}")
    print(f"sent to {SENDER}")


if __name__ == "__main__":
    main(*sys.argv[1:])
