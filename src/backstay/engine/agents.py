"""Agents: what is kept about them besides their runs: what they used up today, and how far each may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstay.engine.spending import Spending
from backstay.engine.trust import Trust
from backstay.events import Event

if TYPE_CHECKING:
    from backstay.engine.activation import Activation
    from backstay.engine.runner import Runner


class Agents:
    """Hears of every event of every run once it is committed."""

    def __init__(self, runner: Runner) -> None:
        self.spending, self.trust = Spending(runner), Trust(runner)

    async def load(self) -> None:
        """Take over what the journal says, before any run goes on."""
        await self.spending.load()
        await self.trust.load()

    def hear(self, case: Activation, event: Event) -> None:
        """Take in an event; what concerns no agent is passed over."""
        if case.machine.acting:
            self.spending.hear(case, event)
            self.trust.hear(case, event)
