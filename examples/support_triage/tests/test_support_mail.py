"""Mail that comes in is read within bounds, whatever somebody sends; mail that goes out leaves once, or nobody knows."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.support_triage.arrivals import BYTES, parsed, received
from examples.support_triage.demo import MAILS, SAYS_SO, demonstrate
from examples.support_triage.post import Smtp
from examples.support_triage.tests.desk import DANA, LAMP, desk, scripted

# --- in -----------------------------------------------------------------------------------------------------------


def written(text: str = "Hello", *, sender: str = DANA, **fields: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["Subject"] = sender, fields.get("subject", "Hi")
    message.set_content(text)
    return message


def test_a_mail_is_read_with_its_lines_and_the_names_of_its_attachments() -> None:
    message = written("One\r\n\r\nTwo  words", sender=f"Dana <{DANA.upper()}>", subject="Grüße  aus Köln")
    message.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="../lamp.png")
    mail = parsed(message.as_bytes())
    assert (mail.sender, mail.subject, mail.lines) == (DANA, "Grüße aus Köln", ["One", "Two words"])
    assert (mail.attachments, mail.problem) == (["../lamp.png"], "")


def test_of_html_only_the_words_are_read() -> None:
    message = written()
    message.set_content("<style>p{}</style><p>Please refund&nbsp;ORD-1042</p><script>evil()</script>", subtype="html")
    assert parsed(message.as_bytes()).lines == ["Please refund ORD-1042"]


def nested(depth: int) -> bytes:
    head = b"From: a@b.example\n"
    for level in range(depth):
        head += b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (level, level)
    return head


PROBLEMS = {
    "larger": (b"From: a@b.example\n\n" + b"x" * BYTES, "it is larger than 1000000 bytes"),
    "long header": (b"X: y\n" * 10_000 + b"\n", "its header is longer than 20000 bytes"),
    "parts in parts": (nested(5_000), "it has more than 30 parts"),
    "zero bytes": (b"From: a@b.example\n\n\0", "it holds zero bytes, as no mail does"),
    "nothing": (b"", "it has no header, so it is no mail"),
    "no sender": (b"Subject: x\n\nhello", "it does not say from which one address it comes"),
    "two senders": (b"From: a@b.example, c@d.example\n\nhello", "it does not say from which one address it comes"),
    "two headers": (b"From: a@b.example\nFrom: c@d.example\n\nx", "it does not say from which one address it comes"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_cannot_be_read_says_why(name: str) -> None:
    raw, problem = PROBLEMS[name]
    assert parsed(raw).problem == problem


def test_what_is_long_is_cut() -> None:
    mail = parsed(written("word " * 100_000, subject="s" * 900).as_bytes())
    assert (mail.problem, len(mail.subject)) == ("", 300)
    assert sum(map(len, mail.lines)) <= 20_000


def test_a_character_set_that_nobody_knows_loses_no_mail() -> None:
    raw = b"From: a@b.example\nContent-Type: text/plain; charset=klingon\n\nPlease \xff refund"
    assert parsed(raw).lines == ["Please \N{REPLACEMENT CHARACTER} refund"]


@given(st.binary(max_size=400), st.sampled_from([b"", b"From: a@b.example\nContent-Type: text/plain", nested(3)]))
def test_no_bytes_whatever_make_reading_fail(noise: bytes, head: bytes) -> None:
    mail = parsed(head + noise)
    assert mail.problem or mail.sender


def test_every_mail_of_the_example_can_be_read() -> None:
    assert {file.name: received(file).problem for file in MAILS.glob("*.eml")}.keys() >= {LAMP}
    assert not any(received(file).problem for file in MAILS.glob("*.eml"))


# --- out ----------------------------------------------------------------------------------------------------------


class Talk(socketserver.StreamRequestHandler):
    """One conversation of a small mail server; the text of each mail that it takes is kept."""

    def handle(self) -> None:
        server = self.server
        assert isinstance(server, MailServer)
        self._say("220 ready")
        while line := self.rfile.readline():
            command = line[:4].upper()
            if command == b"DATA":
                self._say("354 go on")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                if server.refuses:
                    self._say("554 no")
                    continue
                server.taken.append(text.decode())
                if server.hangs_up:
                    return
            elif command == b"QUIT":
                self._say("221 bye")
                return
            self._say("250 fine")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class MailServer(socketserver.ThreadingTCPServer):
    """Speaks SMTP on loopback. refuses: says no to each mail. hangs_up: takes a mail, and is gone before it says so."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, *, refuses: bool = False, hangs_up: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Talk)
        self.refuses, self.hangs_up = refuses, hangs_up
        self.taken: list[str] = []

    @property
    def way(self) -> Smtp:
        return Smtp("127.0.0.1", self.server_address[1])


@contextmanager
def mail_server(**manners: bool) -> Iterator[MailServer]:
    with MailServer(**manners) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


async def test_an_approved_reply_leaves_over_smtp_once(home: Path) -> None:
    with mail_server() as server:
        async with desk(home, scripted(), server.way) as it:
            run = await it.arrives(LAMP)
            assert server.taken == []
            await it.approves("replies")
            assert (await it.ending(run))["status"] == "refunded"
        (text,) = server.taken
        assert f"To: {DANA}" in text
        assert "Subject: Re: This lamp is a disgrace!! [T-000001]" in text


async def test_a_reply_that_the_server_refused_is_sent_when_somebody_tries_again(home: Path) -> None:
    with mail_server(refuses=True) as server:
        async with desk(home, scripted(), server.way) as it:
            run = await it.arrives(LAMP)
            await it.approves("replies")
            assert (it.sent(), it.queues()) == ([], ["manual-backlog"])
            server.refuses = False
            await it.it.client.retry(it.item("manual-backlog"), by="ines")
            assert (await it.ending(run))["status"] == "refunded"
        assert len(server.taken) == 1


async def test_a_server_that_cannot_be_reached_has_taken_nothing(home: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = Smtp("127.0.0.1", free.getsockname()[1])
        async with desk(home, scripted(), nobody) as it:
            await it.arrives(LAMP)
            await it.approves("replies")
            assert (it.sent(), it.queues()) == ([], ["manual-backlog"])


async def test_where_nobody_knows_whether_a_reply_left_a_person_says_so_and_it_is_not_sent_again(home: Path) -> None:
    with mail_server(hangs_up=True) as server:
        async with desk(home, scripted(), server.way) as it:
            run = await it.arrives(LAMP)
            await it.approves("replies")
            (wait,) = it.it.client.inbox()
            assert (wait.kind, it.it.status(run)) == ("unknown", "waiting")
            await it.it.client.settle(wait.id, "happened", by="ines", result="M-000001")
            assert (await it.ending(run))["status"] == "refunded"
        assert len(server.taken) == 1


# --- the demonstration --------------------------------------------------------------------------------------------


async def test_the_demonstration_says_that_its_model_is_a_script_and_can_be_told_twice(home: Path) -> None:
    told = await demonstrate(home)
    assert told[0] == SAYS_SO
    assert "1-lamp.eml               waits: replies" in told
    assert any("2 refunds made, 1 mails left the house" in line for line in told)
    assert told[-4] == f"What waits:    uv run backstay inbox --home {home}"
    assert await demonstrate(home) == told
