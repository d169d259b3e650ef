"""The processes that the Backstay side runs: a step adds one, like the steps of the peers."""

from __future__ import annotations

import time

from backstay import action, approval, workflow

moments: list[float] = []
"""When each step's body ran; the benchmark empties it."""


@action(effect="read")
async def look(number: int) -> int:
    moments.append(time.perf_counter())
    return number + 1


@action(effect="write")
async def change(number: int) -> int:
    moments.append(time.perf_counter())
    return number + 1


@workflow
async def read_steps(steps: int) -> int:
    """Take `steps` steps that change nothing."""
    number = 0
    for _ in range(steps):
        number = await look(number)
    return number


@workflow
async def write_steps(steps: int) -> int:
    """Take `steps` steps that each write their intent first."""
    number = 0
    for _ in range(steps):
        number = await change(number)
    return number


@workflow
async def parked(number: int) -> bool:
    """Wait for one decision and end with it."""
    decision = await approval("deciders", show=number)
    return decision.approved
