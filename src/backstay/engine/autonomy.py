"""Autonomy: the part of the client by which people grant a level to an agent, or take one back."""

from __future__ import annotations

from backstay.engine.desk import Desk
from backstay.errors import Conflict, InvalidInput
from backstay.governance.autonomy import WHAT, Place, granted
from backstay.governance.policy import Autonomy
from backstay.types import Json


class Autonomies(Desk):
    """Only a risk owner raises a level, and for a time; whoever may pull a switch lowers one."""

    async def grant_autonomy(
        self,
        agent: str,
        action: str,
        level: Autonomy,
        *,
        expires: str,
        reason: str,
        when: str = "",
        by: str | None = None,
    ) -> Json:
        """Let an agent go as far as `level` with an action, until `expires`; `when`: only with arguments that fit this.

        It counts at once. Gives what was recorded, with the evidence of the moment. A grant is a rule: one of the policy
        that is stricter still counts. Raises InvalidInput naming what does not fit, NotAllowed.
        """
        by = self._allow(by, "policy")
        place = Place(agent, action, when)
        self._check_place(place)
        told = granted(place, level, expires=expires, reason=reason, now=self._stamp())
        told["evidence"] = self._runner.agents.trust.evidence(place)[0].as_json()
        await self._runner.system.record(WHAT, agent, told, by=by)
        return told

    async def revoke_autonomy(
        self, agent: str, action: str, *, reason: str, when: str = "", by: str | None = None
    ) -> None:
        """Take back what was granted; an agent that declares that it executes proposes from then on.

        Raises Conflict when there is nothing to take back.
        """
        by = self._allow(by, "switch")
        place, trust = Place(agent, action, when), self._runner.agents.trust
        self._check_place(place)
        if not reason.strip():
            raise InvalidInput("say why: a reason is kept with each change", {"reason": "is empty"})
        known = trust.levels.at(place, self._stamp())
        if (known is None or known.cause != "granted") and trust.declared(agent) != "execute":
            raise Conflict(f"nothing was granted to agent {agent!r} for {action!r}; `backstay autonomy` lists what was")
        await trust.lower(place, "revoked", reason, by)

    def _check_place(self, place: Place) -> None:
        """A name that nothing here goes by, or an action that only reads, needs no level."""
        trust = self._runner.agents.trust
        if place.agent not in trust.agents:
            known = f"there are {', '.join(sorted(trust.agents))}" if trust.agents else "none has run here yet"
            raise InvalidInput(f"there is no agent {place.agent!r}; {known}", {"agent": "unknown"})
        if place.action not in trust.changes:
            raise InvalidInput(
                f"{place.action!r} is no action that changes anything; there are {', '.join(sorted(trust.changes)) or 'none'}",
                {"action": "unknown, or only reads"},
            )
