"""Spending: what agents used up today, read from the journal when the store is opened, and kept up from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstay import events as ev
from backstay.events import Event, SystemRecorded
from backstay.governance.budgets import ASKED, BUDGET
from backstay.store.acting import acted
from backstay.store.views import system_events
from backstay.types import Json

if TYPE_CHECKING:
    from backstay.engine.activation import Activation
    from backstay.engine.runner import Runner


class Spending:
    """Keeps the budgets of agents' days up to date."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def load(self) -> None:
        """Take over what was used up today, and record budgets that are new, changed or gone."""
        days, runner = self._runner.gateway.days, self._runner
        if days.budgets:
            midnight = runner.clock.stamp()[:10]
            for run, agents, event in acted(runner.reader, "spent_after", midnight, runner.payloads):
                days.spent.hear(run, days.concerned(agents), event)
        wanted: dict[str, Json] = {name: budget.as_json() for name, budget in days.budgets.items()}
        known = {
            event.subject: event.detail
            for event in system_events(runner.reader, BUDGET)
            if isinstance(event, SystemRecorded)
        }
        for name in [*wanted, *(name for name in known if name not in wanted)]:
            if known.get(name) != wanted.get(name):
                await runner.system.record(BUDGET, name, wanted.get(name))

    def hear(self, case: Activation, event: Event) -> None:
        """Take in an event of a run, once it is committed."""
        if self._runner.gateway.days.budgets:
            if isinstance(event, ev.CallReturned) and event.action == ASKED:
                event = self._runner.payloads.restore(event, {}, [])
            self._runner.gateway.days.hear(case.row.id, [name for name, _ in case.machine.acting], event)
