"""The door by which mail comes in over SMTP: what is taken is a case before the sender hears that it was taken.

`python -m examples.support_triage.door [HOME] [PORT]` opens it on the loopback interface, until Ctrl-C. It takes no more than
`BYTES` a mail, and only mail to the house. Whoever puts it on a network puts a mail server in front of it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from backstay import Client
from backstay.errors import BackstayError, OperatorError
from examples.support_triage.app import arrive, set_up, triaging
from examples.support_triage.arrivals import BYTES, parsed
from examples.support_triage.post import SENDER

HOST: Final = "127.0.0.1"
PORT: Final = 8025


class Taking:
    """What happens to a mail at the door."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        del server, session, options
        if address.casefold() != SENDER:
            return f"550 5.1.1 nobody here is called that; write to {SENDER}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        del server, session
        raw = envelope.content
        try:
            await arrive(self._client, parsed(raw if isinstance(raw, bytes) else raw.encode()))
        except BackstayError:
            return "451 4.3.0 it cannot be taken just now; try again"
        return "250 2.0.0 taken"


@asynccontextmanager
async def smtp_door(client: Client, port: int = 0) -> AsyncGenerator[int, None]:
    """Take mail on the loopback interface; gives the port, any free one for 0."""
    try:
        from aiosmtpd.smtp import SMTP
    except ImportError as error:
        raise OperatorError(f"this needs the extra 'mail': pip install 'backstay[mail]' ({error})") from error
    handler, loop = Taking(client), asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(handler, hostname="support.nordkai.example", data_size_limit=BYTES, loop=loop), HOST, port
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def serve(home: Path, port: int) -> None:
    """Keep the door open."""
    set_up(home)
    async with triaging.open(home) as client, smtp_door(client, port) as opened:
        print(f"SMTP on {HOST}:{opened}, mail to {SENDER}; what waits: uv run backstay inbox --home {home}")
        await asyncio.Event().wait()


def main(home: str = ".backstay/support", port: str = str(PORT)) -> None:
    try:
        asyncio.run(serve(Path(home), int(port)))
    except KeyboardInterrupt:
        print("closed")
    except (BackstayError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
