"""The honest ladder: for every step the best source that has a value, and the truth about which one that was.

Pure: what is known comes in as values, an outlook goes out. Only one kind of intensity ever stands on a ladder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from forecast.climatology import Climatology
from forecast.grid import Grid, regrid
from forecast.intensity import FloatArray, IntensityKind, PeriodMean, Rung, Series, Vintage, ZoneOutlook
from forecast.soundness import sound
from forecast.timeline import HOUR, as_utc, floor_to

FORECAST_MAX_AGE = timedelta(hours=6)
"""A forecast issued longer ago than this is stale: the vendor's and ours are made hourly, so six were missed."""

# Central 80 % interval relative to the mean where a source states none. A lower rung is never narrower than a higher one.
_ESTIMATED_HOUR = (0.85, 1.2)
"""Restatements of estimated hours seen in recorded answers: 71 to 62, 97 to 116, 102 to 114 g/kWh."""
_FORECAST = (0.8, 1.25)
"""Published 96 h forecasts (CarbonCast, DE, life cycle, 2021) miss by 7 % on the first day and 17 % on the fourth on average;
a central 80 % interval reaches about 1.6 times as far on each side."""
_MEAN_OF_THE_MONTH = (0.73, 1.25)
"""10 % and 90 % quantiles of (hour / mean of its month), median of 27 zones, 2021-2023; below likewise."""
_MEAN_OF_ANOTHER_MONTH = (0.57, 1.35)
_MEAN_OF_A_YEAR = (0.55, 1.4)


@dataclass(frozen=True, slots=True)
class ZoneKnowledge:
    """Everything known about one zone at one moment; what is not known is None or empty."""

    history: Series | None = None
    vendor: Vintage | None = None
    own: Vintage | None = None
    climatology: Climatology | None = None
    monthly: Sequence[PeriodMean] = ()
    yearly: Sequence[PeriodMean] = ()
    doubts: Sequence[str] = ()
    """What was taken out of `history` because it must not be believed, a sentence each."""
    bridges: Sequence[Vintage] = ()
    """What was forecast for hours that went by unrecorded, the best first; used for the past only."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """What one source has to say on the grid; NaN where it has no value."""

    rung: Rung
    source: str
    mean: FloatArray
    low: FloatArray
    high: FloatArray


def build_outlook(
    zone: str, kind: IntensityKind, knowledge: ZoneKnowledge, start: datetime, step: timedelta, steps: int, now: datetime
) -> ZoneOutlook:
    """The outlook of `zone` on the given grid as known at `now`: per step the best rung with a value of exactly this kind.

    Past steps and the running one come from the record where it has them. Knowledge of another zone or kind is left out, never
    converted. A step without any value is NaN. `low <= g_per_kwh <= high` wherever there is a value.
    """
    grid = Grid(start, step, steps)
    mean, low, high = (np.full(steps, np.nan) for _ in range(3))
    rung = np.full(steps, Rung.YEARLY_MEAN, dtype=np.int8)
    sources: list[str] = []
    for layer in _layers(zone, kind, knowledge, grid, as_utc(now)):
        taken = np.isnan(mean) & ~np.isnan(layer.mean)
        if taken.any():
            mean[taken], rung[taken] = layer.mean[taken], layer.rung
            low[taken], high[taken] = np.fmin(layer.low, layer.mean)[taken], np.fmax(layer.high, layer.mean)[taken]
            sources.append(f"{layer.rung.label}: {layer.source}")
        if not np.isnan(mean).any():
            break
    return ZoneOutlook(zone, kind, as_utc(now), grid.start, step, mean, low, high, rung, tuple(sources))


def _layers(zone: str, kind: IntensityKind, knowledge: ZoneKnowledge, grid: Grid, now: datetime) -> Iterator[_Layer]:
    """The sources of this zone and kind that may be used at `now`, best first; evaluated only as far as the caller reads."""
    fits = (zone, kind)
    if knowledge.history is not None and (knowledge.history.zone, knowledge.history.kind) == fits:
        yield _observed(knowledge.history, knowledge.doubts, grid, now)
    for vintage in (knowledge.vendor, knowledge.own):
        if vintage is not None and (vintage.zone, vintage.kind) == fits and is_fresh(vintage, now):
            yield _forecast(vintage, grid)
    for vintage in knowledge.bridges:
        if (vintage.zone, vintage.kind) == fits:
            yield _bridge(vintage, grid, now)
    climatology = knowledge.climatology
    if climatology is not None and (climatology.zone, climatology.kind) == fits:
        yield _Layer(Rung.CLIMATOLOGY, climatology.source, *climatology.on(grid))
    yield from _monthly([mean for mean in knowledge.monthly if (mean.zone, mean.kind) == fits], grid, now)
    yield from _yearly([mean for mean in knowledge.yearly if (mean.zone, mean.kind) == fits], grid, now)


def is_fresh(vintage: Vintage, now: datetime) -> bool:
    """Whether a forecast was known at `now` and is not older than FORECAST_MAX_AGE."""
    return vintage.known_at <= now and now - vintage.issued_at <= FORECAST_MAX_AGE


def known_at(history: Series, now: datetime) -> Series:
    """The part of a recorded series that has begun at `now`; archives imported for a replay may reach into its future."""
    begun = (as_utc(now) - history.start) // history.step + 1
    count = int(min(max(begun, 0), len(history.values)))
    estimated = None if history.estimated is None else history.estimated[:count]
    return replace(history, values=history.values[:count], estimated=estimated)


def _observed(history: Series, doubts: Sequence[str], grid: Grid, now: datetime) -> _Layer:
    recorded, notes = sound(known_at(history, now))
    mean = regrid(recorded.values, recorded.start, recorded.step, grid)
    low, high = mean, mean
    if recorded.estimated is not None:
        share = regrid(recorded.estimated.astype(np.float64), recorded.start, recorded.step, grid)
        low, high = mean * (1 - share * (1 - _ESTIMATED_HOUR[0])), mean * (1 + share * (_ESTIMATED_HOUR[1] - 1))
    return _Layer(Rung.OBSERVED, "; ".join(("recorded", *doubts, *notes)), mean, low, high)


def _forecast(vintage: Vintage, grid: Grid) -> _Layer:
    mean = regrid(vintage.g_per_kwh, vintage.start, vintage.step, grid)
    bounds = []
    for stated, factor in zip((vintage.low, vintage.high), _FORECAST, strict=True):
        bound = mean * factor if stated is None else regrid(stated, vintage.start, vintage.step, grid)
        bounds.append(np.where(np.isnan(bound), mean * factor, bound))
    return _Layer(vintage.rung, f"{vintage.source}, issued {vintage.issued_at:%Y-%m-%dT%H:%MZ}", mean, bounds[0], bounds[1])


def _bridge(vintage: Vintage, grid: Grid, now: datetime) -> _Layer:
    """What a forecast said about the hours before the running one."""
    layer = _forecast(vintage, grid)
    gone_by = max(0, min(grid.steps, (floor_to(now, HOUR) - grid.start) // grid.step))
    layer.mean[gone_by:] = np.nan
    return layer


def _monthly(means: Sequence[PeriodMean], grid: Grid, now: datetime) -> Iterator[_Layer]:
    """One layer per monthly mean in use: a finished month for its own hours, else the same (or a neighbouring) month before."""
    finished = [mean for mean in means if mean.interval.end <= now and mean.interval.duration < timedelta(days=32)]
    starts = grid.starts()
    months = sorted({(start.year, start.month) for start in starts})
    step_months = [(start.year, start.month) for start in starts]
    for month in months:
        mean = _mean_for_month(finished, month)
        if mean is not None:
            steps = np.array([step_month == month for step_month in step_months])
            is_its_own = (mean.interval.start.year, mean.interval.start.month) == month
            spread = _MEAN_OF_THE_MONTH if is_its_own else _MEAN_OF_ANOTHER_MONTH
            yield _constant(Rung.MONTHLY_MEAN, mean, f"mean of {mean.interval.start:%Y-%m}", steps, spread)


def _mean_for_month(finished: Sequence[PeriodMean], month: tuple[int, int]) -> PeriodMean | None:
    """The month itself, else the newest of the same calendar month, else of a neighbouring one; among equals the last given."""
    best: PeriodMean | None = None
    best_rank: tuple[int, datetime] | None = None
    for mean in finished:
        apart = (mean.interval.start.month - month[1]) % 12
        distance = min(apart, 12 - apart)
        if distance > 1:
            continue
        own = mean.interval.start.year == month[0] and distance == 0
        rank = (2 if own else -distance, mean.interval.start)
        if best_rank is None or rank >= best_rank:
            best, best_rank = mean, rank
    return best


def _yearly(means: Sequence[PeriodMean], grid: Grid, now: datetime) -> Iterator[_Layer]:
    """The newest finished year, or the oldest known one where none is finished: an old replay still needs a value."""
    years = [mean for mean in means if mean.interval.duration > timedelta(days=360)]
    if years:
        finished = [mean for mean in years if mean.interval.end <= now]
        mean = max(finished, key=lambda each: each.interval) if finished else min(years, key=lambda each: each.interval)
        yield _constant(Rung.YEARLY_MEAN, mean, f"mean of {mean.interval.start:%Y}", np.ones(grid.steps, dtype=np.bool_), _MEAN_OF_A_YEAR)


def _constant(rung: Rung, mean: PeriodMean, period: str, steps: NDArray[np.bool_], spread: tuple[float, float]) -> _Layer:
    values = np.where(steps, mean.g_per_kwh, np.nan)
    release = f", release {mean.release}" if mean.release else ""
    return _Layer(rung, f"{period}, {mean.source}{release}", values, values * spread[0], values * spread[1])


def newest_value_age(history: Series | None, now: datetime) -> timedelta | None:
    """How long ago the newest recorded interval ended (at least zero), or None where nothing is recorded."""
    if history is None:
        return None
    recorded, _ = sound(known_at(history, now))
    present = np.flatnonzero(~np.isnan(recorded.values))
    if not len(present):
        return None
    return max(timedelta(0), as_utc(now) - (recorded.start + (int(present[-1]) + 1) * recorded.step))
