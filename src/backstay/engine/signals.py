"""Signals that came before the run waited for them: kept in their order until a wait takes the first that fits."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from backstay import events as ev
from backstay.commands import WaitFor
from backstay.engine.frames import model_schema, read_answer
from backstay.store.payloads import private_texts, redact
from backstay.types import Json


class Signals:
    """The early signals of one run. They are sealed whole, as nobody knows yet what of them is private."""

    def __init__(self) -> None:
        self._kept: list[tuple[str, Json, str]] = []
        """Name, payload, and the pseudonym of the whole payload."""

    def keep(self, event: ev.SignalReceived) -> None:
        token = (event.refs or {}).get("/payload", "").removeprefix("seal:")
        self._kept.append((event.name, event.payload, token))

    def take(self, command: WaitFor[Any], secrets: dict[str, str]) -> tuple[Any] | None:
        """The first that fits a wait, as the workflow gets it; what its type tags is private from now on.

        Those that do not fit stay for a later wait of that name.
        """
        for place, (name, payload, token) in enumerate(self._kept):
            if name != command.name and redact(name, secrets) != command.name:
                continue
            try:
                answer = read_answer(command, payload)
            except ValidationError:
                continue
            del self._kept[place]
            if token and command.type is not None:
                secrets.update(dict.fromkeys(private_texts(payload, model_schema(command.type)), token))
            return (answer,)
        return None
