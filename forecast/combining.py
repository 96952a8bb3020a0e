"""The provider's forecast and ours as one: each corrected by its own archived record, weighed by recent skill at each lead time.

The provider knows the weather: it ranks hours well, and misses levels. Its bias is taken out, lead by lead, as far as its
archived forecasts and what came afterwards show one; then the two are blended with the weights that would have erred least.
Where the provider's forecast ends, ours goes on from where the blend stands. Everything learnt is shrunk towards knowing
nothing by the days it was learnt from (bias: none; weights: equal; bounds: ours).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from forecast.anomalies import BoolArray
from forecast.grid import Grid, regrid
from forecast.intensity import FloatArray, Series, Vintage
from forecast.scoring import IntArray, targets
from forecast.skill import settled
from forecast.timeline import HOUR, floor_to

LEARNT_FROM = timedelta(days=28)
HORIZON = 96
LEAD_BUCKETS = ((0, 6), (6, 12), (12, 24), (24, 48), (48, 72), (72, HORIZON))
ISSUE_EVERY = timedelta(hours=6)
"""Forecasts issued sooner after each other say nearly the same; one of them is enough."""

FEWEST_DAYS = 3
"""Days of issue with known outcomes, before which the provider's forecast is left as it is."""

BIAS_PRIOR_DAYS, WEIGHT_PRIOR_DAYS, WIDTH_PRIOR_DAYS = 4.0, 4.0, 10.0
WIDTH_LIMITS = (0.5, 3.0)
MISS_SHARE = 0.1
JOIN_HOURS = 12.0
"""Time in which what is left of the difference at the provider's last hour falls to a third."""

DEFAULT_BAND = (0.8, 1.25)
"""Central 80 % relative to the middle where no forecast states bounds, as on the ladder."""


@dataclass(frozen=True, slots=True)
class Combination:
    """What was learnt of a zone's two forecasters, by lead in hours: g/kWh to add to the provider's, its weight in the blend (ours
    has the rest), factors on the distance of our bounds from the middle. `days` of issue were looked at."""

    bias: FloatArray
    weight: FloatArray
    lower: FloatArray
    upper: FloatArray
    days: int


def learn_combination(vendor: Sequence[Vintage], own: Sequence[Vintage], record: Series, now: datetime) -> Combination | None:
    """What the archives of LEARNT_FROM show, by an hourly record; None where fewer than FEWEST_DAYS have known outcomes.

    Only what was issued, and has come, before `now` is looked at, and of each archive only the source that issued last. Where we
    issued nothing, weights stay equal and bounds ours.
    """
    issued = _thinned(_of_the_newest_source([vintage for vintage in vendor if now - LEARNT_FROM <= vintage.issued_at <= now]))
    own = _of_the_newest_source(own)
    if not issued:
        return None
    starts = [floor_to(vintage.issued_at, HOUR) for vintage in issued]
    origins = np.array([(start - record.start) // HOUR for start in starts], dtype=np.int64)
    known = settled(record, now)
    actual = np.where((origins >= 0)[:, None], targets(known, np.clip(origins, 0, len(known)), HORIZON), np.nan)
    theirs = np.array([_on_leads(vintage.g_per_kwh, vintage, start) for vintage, start in zip(issued, starts, strict=True)])
    ours = np.array([_band_at(own, start) for start in starts])
    days = np.array([start.toordinal() for start in starts])
    return _learnt(actual, theirs, ours, days)


def combine(vendor: Vintage, own: Vintage | None, how: Combination | None) -> tuple[Vintage, Vintage | None]:
    """The provider's forecast, corrected and blended with ours over its own span, and ours with what follows joined to it.

    Both keep their times and rungs; their sources name what they are made of. Without anything learnt the first is the provider's
    as it is; without ours the second is None.
    """
    if own is None:
        return (vendor if how is None else _corrected(vendor, how)), None
    leads = _lead_of(vendor)
    middle = _like(own.g_per_kwh, own, vendor)
    theirs = vendor.g_per_kwh if how is None else vendor.g_per_kwh + how.bias[leads]
    weight = np.ones(len(leads)) if how is None else how.weight[leads]
    blend = np.maximum(np.where(np.isnan(middle), theirs, weight * theirs + (1 - weight) * np.nan_to_num(middle)), 0.0)
    low, high = _bounds(blend, own, middle, vendor, how)
    source = vendor.source if how is None else f"{vendor.source}, corrected and blended with {own.source}"
    blended = replace(vendor, source=source, g_per_kwh=blend, low=low, high=high)
    return blended, _joined(blended, own)


def _of_the_newest_source(vintages: Sequence[Vintage]) -> list[Vintage]:
    """Without the forecasts of a source that another took the place of: its record says nothing about the other."""
    if not vintages:
        return []
    source = max(vintages, key=lambda each: each.issued_at).source
    return [vintage for vintage in vintages if vintage.source == source]


def _thinned(vintages: Sequence[Vintage]) -> list[Vintage]:
    """At most one forecast for each ISSUE_EVERY, the first of each."""
    kept: dict[datetime, Vintage] = {}
    for vintage in sorted(vintages, key=lambda each: each.issued_at):
        kept.setdefault(floor_to(vintage.issued_at, ISSUE_EVERY), vintage)
    return list(kept.values())


def _on_leads(values: FloatArray, vintage: Vintage, start: datetime) -> FloatArray:
    """Hourly means for the HORIZON hours from `start` on, NaN where the forecast has none."""
    return regrid(values, vintage.start, vintage.step, Grid(start, HOUR, HORIZON))


def _band_at(own: Sequence[Vintage], start: datetime) -> FloatArray:
    """(3, HORIZON): low, middle and high of the newest of our forecasts issued in the hour of `start` or up to ISSUE_EVERY before."""
    fitting = [each for each in own if start - ISSUE_EVERY <= each.issued_at < start + HOUR]
    if not fitting:
        return np.full((3, HORIZON), np.nan)
    newest = max(fitting, key=lambda each: each.issued_at)
    middle = _on_leads(newest.g_per_kwh, newest, start)
    bounds = (newest.low, newest.high)
    low, high = (np.full(HORIZON, np.nan) if each is None else _on_leads(each, newest, start) for each in bounds)
    return np.array([low, middle, high])


def _learnt(actual: FloatArray, theirs: FloatArray, ours: FloatArray, days: IntArray) -> Combination | None:
    """By bucket of leads, drawn as lines between the middles of the buckets."""
    rows = []
    for first, stop in LEAD_BUCKETS:
        hours = slice(first, stop)
        rows.append(_learnt_at(actual[:, hours], theirs[:, hours], ours[:, :, hours], days))
    if rows[0] is None:
        return None
    told = [row for row in rows if row is not None]  # buckets beyond what the provider forecasts have nothing to learn
    middles = [(first + stop - 1) / 2 for first, stop in LEAD_BUCKETS[: len(told)]]
    bias, weight, lower, upper = (np.interp(np.arange(HORIZON), middles, column) for column in np.array(told).T[:4])
    return Combination(bias, weight, lower, upper, int(told[0][4]))


def _learnt_at(actual: FloatArray, theirs: FloatArray, ours: FloatArray, days: IntArray) -> tuple[float, float, float, float, float] | None:
    """Bias, weight, lower and upper factor of one bucket, and the days they come from; None for fewer than FEWEST_DAYS."""
    known = np.isfinite(actual) & np.isfinite(theirs)
    count = len(np.unique(days[known.any(axis=1)]))
    if count < FEWEST_DAYS:
        return None
    bias = float((actual - theirs)[known].mean()) * count / (count + BIAS_PRIOR_DAYS)
    low, middle, high = ours[:, 0], ours[:, 1], ours[:, 2]
    both = known & np.isfinite(middle)
    weight = _weight((theirs + bias - actual)[both], (middle - actual)[both], count)
    blend = weight * (theirs + bias) + (1 - weight) * middle
    factors = (_width((blend - actual), middle - low, both, count), _width((actual - blend), high - middle, both, count))
    return bias, weight, *factors, float(count)


def _weight(their_errors: FloatArray, our_errors: FloatArray, days: int) -> float:
    """The provider's share in the blend with the least squared error, in 0..1, shrunk towards one half."""
    difference = our_errors - their_errors
    spread = float(np.mean(difference**2)) if len(difference) else 0.0
    if spread <= 0:
        return 0.5
    best = min(max(float(np.mean(our_errors * difference)) / spread, 0.0), 1.0)
    return (days * best + WEIGHT_PRIOR_DAYS * 0.5) / (days + WEIGHT_PRIOR_DAYS)


def _width(beyond: FloatArray, width: FloatArray, both: BoolArray, days: int) -> float:
    """The factor on our distance between middle and bound beyond which a tenth of the outcomes would have fallen."""
    usable = both & (width > 0)
    if not usable.any():
        return 1.0
    wanted = float(np.quantile(beyond[usable] / width[usable], 1 - MISS_SHARE))
    wanted = min(max(wanted, WIDTH_LIMITS[0]), WIDTH_LIMITS[1])
    return float(wanted ** (days / (days + WIDTH_PRIOR_DAYS)))


def _lead_of(vintage: Vintage) -> IntArray:
    """Whole hours of lead of each step, the last one learnt at most."""
    first = (vintage.start - floor_to(vintage.issued_at, HOUR)) / HOUR
    leads = first + np.arange(len(vintage.g_per_kwh)) * (vintage.step / HOUR)
    whole: IntArray = np.clip(np.floor(leads), 0, HORIZON - 1).astype(np.int64)
    return whole


def _like(values: FloatArray, own: Vintage, vendor: Vintage) -> FloatArray:
    """Our values on the provider's steps."""
    return regrid(values, own.start, own.step, Grid(vendor.start, vendor.step, len(vendor.g_per_kwh)))


def _corrected(vendor: Vintage, how: Combination) -> Vintage:
    values = np.maximum(vendor.g_per_kwh + how.bias[_lead_of(vendor)], 0.0)
    return replace(vendor, source=f"{vendor.source}, corrected", g_per_kwh=values)


def _bounds(
    blend: FloatArray, own: Vintage, middle: FloatArray, vendor: Vintage, how: Combination | None
) -> tuple[FloatArray | None, FloatArray | None]:
    """Our distances from the middle, as much wider or narrower as the blend's own record says; the provider's own where nothing
    was learnt or we state none."""
    if how is None or own.low is None or own.high is None:
        return vendor.low, vendor.high
    leads = _lead_of(vendor)
    low = blend - how.lower[leads] * (middle - _like(own.low, own, vendor))
    high = blend + how.upper[leads] * (_like(own.high, own, vendor) - middle)
    return np.maximum(np.where(np.isnan(low), blend * DEFAULT_BAND[0], low), 0.0), np.where(np.isnan(high), blend * DEFAULT_BAND[1], high)


def _joined(blended: Vintage, own: Vintage) -> Vintage:
    """Ours, moved to where the blend ends, and back to itself with time."""
    hours = (own.start - blended.start) / HOUR + np.arange(len(own.g_per_kwh)) * (own.step / HOUR)
    present = np.flatnonzero(np.isfinite(blended.g_per_kwh))
    if not len(present):
        return own
    last = int(present[-1]) * (blended.step / HOUR)
    middle = _like(own.g_per_kwh, own, blended)[present[-1]]
    if np.isnan(middle):
        return own
    offset = (float(blended.g_per_kwh[present[-1]]) - float(middle)) * np.exp(-np.maximum(hours - last, 0.0) / JOIN_HOURS)
    moved = [None if each is None else np.maximum(each + offset, 0.0) for each in (own.g_per_kwh, own.low, own.high)]
    source = f"{own.source}, joined to the provider's"
    return replace(own, source=source, g_per_kwh=np.maximum(own.g_per_kwh + offset, 0.0), low=moved[1], high=moved[2])
