"""Signals that came before the run waited for them: kept in their order until a wait takes the first that fits."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from backstay import events as ev
from backstay.commands import WaitFor
from backstay.engine.frames import model_schema, read_answer
from backstay.store.payloads import private_texts, redact
from backstay.types import Received


class Signals:
    """The early signals of one run. They are sealed whole, as nobody knows yet what of them is private."""

    def __init__(self) -> None:
        self._kept: list[ev.SignalReceived] = []

    def keep(self, event: ev.SignalReceived) -> None:
        self._kept.append(event)

    def take(self, command: WaitFor[Any], secrets: dict[str, str]) -> tuple[Any] | None:
        """The first that fits a wait, as the workflow gets it; what its type tags is private from now on.

        Those that do not fit stay for a later wait of that name.
        """
        for place, event in enumerate(self._kept):
            if event.name != command.name and redact(event.name, secrets) != command.name:
                continue
            try:
                answer = read_answer(command, event.payload)
            except ValidationError:
                continue
            del self._kept[place]
            token = (event.refs or {}).get("/payload", "").removeprefix("seal:")
            if token and command.type is not None:
                secrets.update(dict.fromkeys(private_texts(event.payload, model_schema(command.type)), token))
            if command.details:
                received: Received[Any] = Received(value=answer, by=event.by, at=datetime.fromisoformat(event.at))
                return (received,)
            return (answer,)
        return None
