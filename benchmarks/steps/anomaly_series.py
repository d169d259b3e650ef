"""Seeded series with labelled anomalies for `benchmarks.steps.anomalies`: made up here, not a public set.

Twelve families of normal behaviour, each with anomalies of kinds that suit it. The detector's constants were chosen by the
`TUNED` ones, none by the `HELD_OUT` ones. A window of a tenth of the series, shared among its anomalies, stands around each
onset, as in the Numenta Anomaly Benchmark (Lavin and Ahmad, 2015).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

Array = Any
"""numpy.ndarray of floats."""
START: Final = 1_700_000_000 - 1_700_000_000 % 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One labelled series: seconds, values, and the windows (first and last row) that hold an anomaly."""

    name: str
    times: list[float]
    values: list[float]
    windows: list[tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How one kind of series behaves: seconds between rows, how many there are, and what may go wrong."""

    make: Callable[[np.random.Generator, Array], Array]
    step: int
    rows: tuple[int, int]
    kinds: tuple[str, ...]
    positive: bool = True
    missing: float = 0.0
    """Share of rows that are not there."""


def _ar(rng: np.random.Generator, size: int, phi: float, scale: float) -> Array:
    shocks, out, last = rng.normal(0, scale, size), np.empty(size), 0.0
    for i in range(size):
        last = out[i] = phi * last + shocks[i]
    return out


def _day(t: Array, phase: float = 0.0) -> Array:
    return np.sin(2 * np.pi * (t / 86_400 + phase))


def _weekday(t: Array) -> Array:
    return ((t // 86_400) % 7).astype(int)


# --- families that constants were chosen by ---


def temperature(rng: np.random.Generator, t: Array) -> Array:
    """A smooth day, slow weather, small noise."""
    return 20 + 4 * _day(t, rng.random()) + _ar(rng, len(t), 0.995, 0.12) + rng.normal(0, 0.3, len(t))


def processor(rng: np.random.Generator, t: Array) -> Array:
    """A busy level with short benign bursts of a heavy tail."""
    base = 30 + _ar(rng, len(t), 0.8, 1.5)
    bursts = (rng.random(len(t)) < 0.01) * rng.pareto(2.5, len(t)) * 6
    return np.minimum(base + bursts, 100)


def visits(rng: np.random.Generator, t: Array) -> Array:
    """Counts with day and week, overdispersed."""
    rate = 20 * (1.2 + _day(t, 0.6)) * np.where(_weekday(t) >= 5, 0.6, 1.0)
    return rng.poisson(rate * rng.gamma(5, 1 / 5, len(t))).astype(float)


def office(rng: np.random.Generator, t: Array) -> Array:
    """A plateau in working hours, hardly any noise."""
    hour = (t % 86_400) / 3600
    return np.where((hour >= 8) & (hour < 18), 80.0, 20.0) + rng.normal(0, rng.choice([0.2, 3.0]), len(t))


def disk(rng: np.random.Generator, t: Array) -> Array:
    """Almost always the same small value, with rare writes."""
    return 0.1 + (rng.random(len(t)) < 0.03) * rng.exponential(3, len(t)) + rng.normal(0, 0.005, len(t))


def mentions(rng: np.random.Generator, t: Array) -> Array:
    """Small counts whose bursts are heavy-tailed and come in clusters."""
    mood = np.exp(_ar(rng, len(t), 0.97, 0.12))
    return rng.negative_binomial(1.2, 1.2 / (1.2 + 8 * mood * (1.3 + _day(t)))).astype(float)


# --- families that they were not ---


def rides(rng: np.random.Generator, t: Array) -> Array:
    """A large weekly pattern with two peaks a day."""
    hour, late = (t % 86_400) / 3600, _weekday(t) >= 5
    peaks = np.exp(-((hour - 8.5) ** 2) / 4) * np.where(late, 0.3, 1.0) + 1.2 * np.exp(-((hour - 19) ** 2) / 10)
    return 12_000 * (0.15 + peaks) * np.exp(_ar(rng, len(t), 0.9, 0.03)) + rng.normal(0, 250, len(t))


def prices(rng: np.random.Generator, t: Array) -> Array:
    """A mean-reverting price with a heavy tail, now and then no row at all."""
    return np.abs(0.5 + _ar(rng, len(t), 0.9, 0.03) + rng.standard_t(3, len(t)) * 0.03)


def speeds(rng: np.random.Generator, t: Array) -> Array:
    """Road speed: high and flat, with a dip at the rush hours of working days."""
    hour = (t % 86_400) / 3600
    rush = np.exp(-((hour - 8) ** 2) / 1.5) + np.exp(-((hour - 17.5) ** 2) / 2)
    return np.clip(66 - 25 * rush * (_weekday(t) < 5) * rng.uniform(0.6, 1.2) + rng.normal(0, 3, len(t)), 3, 80)


def latency(rng: np.random.Generator, t: Array) -> Array:
    """Log-normal, with a level that drifts."""
    drift = np.linspace(0, rng.uniform(-0.5, 0.8), len(t))
    return 45 * np.exp(drift + rng.normal(0, 0.12, len(t)) + _ar(rng, len(t), 0.98, 0.02))


def batches(rng: np.random.Generator, t: Array) -> Array:
    """A job that fills and empties something, with a period that no calendar knows."""
    period = rng.integers(40, 90)
    return 10 + 50 * ((np.arange(len(t)) % period) / period) + rng.normal(0, 1.2, len(t))


def regimes(rng: np.random.Generator, t: Array) -> Array:
    """Two levels between which it changes at random: each change is normal."""
    on = np.cumsum(rng.random(len(t)) < 1 / 90) % 2
    return np.where(on == 1, 60.0, 25.0) + _ar(rng, len(t), 0.5, 1.5)


_ALL: Final = ("spike", "dip", "shift", "ramp", "flat", "noise")
TUNED: Final = {
    "temperature": Family(make=temperature, step=300, rows=(3000, 6000), kinds=(*_ALL, "season"), positive=False),
    "processor": Family(make=processor, step=300, rows=(3000, 5000), kinds=("spike", "shift", "flat", "noise", "ramp")),
    "visits": Family(make=visits, step=900, rows=(3000, 6000), kinds=("spike", "shift", "dip", "season")),
    "office": Family(make=office, step=300, rows=(3500, 4500), kinds=("spike", "season", "flat", "shift")),
    "disk": Family(make=disk, step=300, rows=(3000, 4500), kinds=("spike", "shift", "density")),
    "mentions": Family(make=mentions, step=300, rows=(6000, 12_000), kinds=("spike", "density", "shift")),
}
HELD_OUT: Final = {
    "rides": Family(make=rides, step=1800, rows=(5000, 9000), kinds=("spike", "dip", "season", "shift")),
    "prices": Family(make=prices, step=3600, rows=(1500, 2500), kinds=("spike", "shift", "noise"), missing=0.03),
    "speeds": Family(make=speeds, step=600, rows=(2000, 3000), kinds=("dip", "season", "noise"), missing=0.15),
    "latency": Family(make=latency, step=300, rows=(3000, 5000), kinds=("spike", "shift", "ramp", "noise")),
    "batches": Family(make=batches, step=300, rows=(3000, 5000), kinds=("spike", "flat", "shift", "noise")),
    "regimes": Family(make=regimes, step=300, rows=(3000, 5000), kinds=("spike", "shift", "noise", "flat")),
}


def _harm(rng: np.random.Generator, values: Array, at: int, kind: str, per_day: int) -> None:
    """Put one anomaly of a kind into the values from row `at` on."""
    before = values[max(0, at - 3 * per_day) : at]
    spread = max(float(np.std(before)), 1e-3)
    top = max(float(np.percentile(np.abs(before - np.median(before)), 99.7)), spread)
    long = int(rng.integers(20, 120))
    part = values[at : at + long]
    match kind:
        case "spike":
            part[: rng.integers(1, 6)] += top * rng.uniform(1.3, 3)
        case "dip":
            part[: rng.integers(2, 15)] -= top * rng.uniform(1.0, 2.0)
        case "shift":
            values[at : at + 4 * long] += rng.choice([-1, 1]) * top * rng.uniform(0.8, 1.5)
        case "ramp":
            part += np.linspace(0, top * rng.uniform(1.2, 2.2), len(part))
        case "flat":
            part[:] = part[0]
        case "noise":
            part += rng.normal(0, spread * rng.uniform(1.5, 3), len(part))
        case "season":
            day = values[at : at + per_day]
            day[:] = rng.choice([float(np.percentile(before, 15)), float(np.median(before))]) + (
                rng.normal(0, 0.05 * spread, len(day))
            )
        case "density":
            part += (rng.random(len(part)) < 0.3) * top * rng.uniform(0.4, 0.9)
        case _:
            raise ValueError(kind)


def series(name: str, family: Family, seed: int, *, harmed: bool = True) -> Series:
    """One series of a family; the same for the same seed. About one in six has no anomaly at all."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    rows = int(rng.integers(*family.rows))
    times = START + np.arange(rows) * float(family.step)
    values = family.make(rng, times)
    many = int(rng.choice([0, 1, 2, 2, 3, 4])) * harmed
    lengths = np.sort(rng.uniform(0.2, 0.93, many))
    onsets = [int(rows * part) for i, part in enumerate(lengths) if i == 0 or part - lengths[i - 1] > 0.1]
    for at in onsets:
        _harm(rng, values, at, str(rng.choice(family.kinds)), 86_400 // family.step)
    if family.positive:
        values = np.maximum(values, 0)
    kept = np.flatnonzero(rng.random(rows) >= family.missing)
    half = int(0.1 * rows / max(1, len(onsets)) / 2)
    windows = [tuple(np.searchsorted(kept, [at - half, min(at + half, rows - 1)])) for at in onsets]
    return Series(
        name=f"{name}-{seed}",
        times=times[kept].tolist(),
        values=values[kept].tolist(),
        windows=[(int(a), min(int(b), len(kept) - 1)) for a, b in windows],
    )


def corpus(families: dict[str, Family], each: int, seed: int = 0, *, harmed: bool = True) -> list[Series]:
    """Some series of every family; not harmed: with nothing wrong."""
    return [series(name, family, seed + i, harmed=harmed) for name, family in families.items() for i in range(each)]
