"""The snapshot's grid in numbers: seconds since `now`, sites by index, grams per kilowatt and hour at the facility."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from daemon.domain.plan import IntArray, PlanSite, Snapshot
from daemon.domain.unknown_intensity import UNKNOWN_G_PER_KWH
from forecast.intensity import FloatArray, Rung, ZoneOutlook
from forecast.regret import Z80

HOUR_SECONDS = 3600.0
EDGE_TOLERANCE_SECONDS = 1e-6  # datetimes resolve microseconds; a difference below is the same instant
TIE_SHARE = 1e-9  # costs closer than this share are equal; sums of the same cells differ in their last bits


@dataclass(frozen=True, slots=True)
class Terrain:
    """Cells of equal length after a first one that starts at `now` (x = 0). Arrays are [site, cell].

    `rate` is grams per kWh of component energy, PUE included; `paid` its prefix integral in grams per kW, with one more
    column. `spread` is the standard deviation of `rate`, `spread_paid` its prefix integral. `free` is what jobs may share.
    The last `extended` cells lie beyond the snapshot's grid and repeat its last day.
    """

    now: datetime
    first_edge: float
    step: float
    count: int
    sites: tuple[PlanSite, ...]
    index: dict[str, int]
    edges: FloatArray
    rate: FloatArray
    spread: FloatArray
    paid: FloatArray
    spread_paid: FloatArray
    rung: NDArray[np.int8]
    free: IntArray
    most_free: tuple[int, ...]  # the most that is ever free, by site
    extended: int
    unknown: frozenset[str]  # sites with hours of which nothing is known
    shares_kept: Mapping[str, float] = field(default_factory=dict)  # of promised savings, by zone

    @property
    def end(self) -> float:
        return self.first_edge + (self.count - 1) * self.step

    def seconds(self, instant: datetime) -> float:
        return (instant - self.now).total_seconds()

    def instant(self, seconds: float) -> datetime:
        return self.now + timedelta(seconds=seconds)

    def cell(self, x: float) -> int:
        """The cell that contains `x`; an instant on an edge belongs to the later cell."""
        if x < self.first_edge - EDGE_TOLERANCE_SECONDS:
            return 0
        return min(self.count - 1, 1 + int((x - self.first_edge + EDGE_TOLERANCE_SECONDS) // self.step))

    def edge_before(self, x: float) -> int:
        """The last edge at or before `x`, which may be the end of the grid."""
        return int((x - self.first_edge + EDGE_TOLERANCE_SECONDS) // self.step) + 1

    def cell_after(self, x: float) -> int:
        """One past the last cell that [.., x) touches."""
        if x <= self.first_edge + EDGE_TOLERANCE_SECONDS:
            return 1
        return min(self.count, 1 + math.ceil((x - self.first_edge - EDGE_TOLERANCE_SECONDS) / self.step))

    def grams_per_kw(self, site: int, start: float, end: float) -> float:
        """Emissions at the facility of 1 kW of component power over [start, end); the last rate goes on beyond the grid."""
        return self._integral(self.paid, self.rate, site, end) - self._integral(self.paid, self.rate, site, start)

    def spread_per_kw(self, site: int, start: float, end: float) -> float:
        """Standard deviation of `grams_per_kw`, errors of one window taken as fully correlated."""
        return self._integral(self.spread_paid, self.spread, site, end) - self._integral(self.spread_paid, self.spread, site, start)

    def _integral(self, prefix: FloatArray, rate: FloatArray, site: int, x: float) -> float:
        cell = self.cell(x)
        begin = 0.0 if cell == 0 else self.first_edge + (cell - 1) * self.step
        return prefix.item(site, cell) + rate.item(site, cell) * (x - begin) / HOUR_SECONDS


def terrain_of(snapshot: Snapshot, reach: float = 0.0) -> Terrain:
    """The snapshot's grid from `now` on, continued until at least `reach` seconds from now.

    Raises ValueError if a site's outlook or free GPUs do not fit the grid: the snapshot is then not one.
    """
    grid, past = snapshot.grid, _slots_gone(snapshot)
    step = grid.step_seconds
    first_edge = (grid.edge(past + 1) - snapshot.now).total_seconds()
    known = grid.count - past
    extended = max(0, math.ceil((reach - first_edge) / step) + 1 - known)
    edges = np.concatenate(([0.0], first_edge + step * np.arange(known + extended)))
    day = max(1, min(known, round(86400 / step)))
    layers, unknown = _layers(snapshot, past)
    rate, spread, rung, free = (_continue(layer, extended, day) for layer in layers)
    hours = np.diff(edges) / HOUR_SECONDS
    return Terrain(
        now=snapshot.now,
        first_edge=first_edge,
        step=step,
        count=known + extended,
        sites=snapshot.sites,
        index={site.name: number for number, site in enumerate(snapshot.sites)},
        edges=edges,
        rate=rate,
        spread=spread,
        paid=_prefix(rate * hours),
        spread_paid=_prefix(spread * hours),
        rung=rung.astype(np.int8),
        free=free.astype(np.int64),
        most_free=tuple(int(most) for most in free.max(axis=1)),
        extended=extended,
        unknown=unknown,
        shares_kept=snapshot.shares_kept,
    )


def _slots_gone(snapshot: Snapshot) -> int:
    """How many slots of the grid are over. Raises ValueError where all of them are, or none has begun."""
    grid = snapshot.grid
    gone = int((snapshot.now - grid.start) // grid.step)
    if not 0 <= gone < grid.count:
        span = f"{grid.start.isoformat()}..{grid.end.isoformat()}"
        raise ValueError(f"the grid must contain now: {snapshot.now.isoformat()} is outside {span}")
    return gone


def _layers(snapshot: Snapshot, past: int) -> tuple[Sequence[FloatArray], frozenset[str]]:
    """Rate, spread, rung and free GPUs of every site on the snapshot's own cells from `past` on, and sites with unknown hours."""
    outlooks = [_outlook(snapshot, site) for site in snapshot.sites]
    values = [outlook.g_per_kwh[past:] for outlook in outlooks]
    worst = max((float(np.nanmax(v)) for v in values if np.isfinite(v).any()), default=UNKNOWN_G_PER_KWH)
    unknown = frozenset(s.name for s, v in zip(snapshot.sites, values, strict=True) if not np.isfinite(v).all())
    shape = (len(values), snapshot.grid.count - past)
    rate, spread, rung, free = (np.zeros(shape) for _ in range(4))
    for row, (site, outlook) in enumerate(zip(snapshot.sites, outlooks, strict=True)):
        width = outlook.high[past:] - outlook.low[past:]
        rate[row] = site.pue * np.nan_to_num(outlook.g_per_kwh[past:], nan=max(worst, UNKNOWN_G_PER_KWH))
        spread[row] = site.pue * np.nan_to_num(width, nan=0.0) / (2 * Z80)
        rung[row] = np.where(np.isfinite(outlook.g_per_kwh[past:]), outlook.rung[past:], int(Rung.YEARLY_MEAN))
        free[row] = np.maximum(site.free_gpus[past:], 0)
    return (rate, spread, rung, free), unknown


def _outlook(snapshot: Snapshot, site: PlanSite) -> ZoneOutlook:
    outlook = snapshot.outlooks.get(site.zone)
    if outlook is None:
        raise ValueError(f"site {site.name}: the snapshot has no outlook for its zone {site.zone}")
    if len(outlook.g_per_kwh) != snapshot.grid.count or len(site.free_gpus) != snapshot.grid.count:
        raise ValueError(f"site {site.name}: outlook and free GPUs must have one value for each of the {snapshot.grid.count} slots")
    return outlook


def _continue(layer: FloatArray, extended: int, day: int) -> FloatArray:
    """The layer with its last day repeated as often as needed."""
    if extended == 0:
        return layer
    repeats = math.ceil(extended / day)
    return np.concatenate([layer, np.tile(layer[:, -day:], (1, repeats))[:, :extended]], axis=1)


def _prefix(values: FloatArray) -> FloatArray:
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
