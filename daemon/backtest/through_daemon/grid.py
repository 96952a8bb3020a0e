"""The grid of a replay: what is recorded up to the moved clock, and what a forecast would have said of the hours to come."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np

from daemon.backtest.outlooks import Outlook
from daemon.backtest.through_daemon.requests import zone_name
from daemon.backtest.world import World, terrain_on
from forecast.grid import Grid, regrid
from forecast.intensity import IntensityKind, Rung, Series, ZoneOutlook
from forecast.regret import Z80
from forecast.timeline import HOUR, ceil_to, floor_to


class ReplayGrid:
    """What daemons ask of a grid, answered from the world's truth and an outlook's belief. gCO2e per kWh, without PUE."""

    def __init__(self, world: World, outlook: Outlook, kind: IntensityKind, now: Callable[[], datetime]) -> None:
        self._world, self._outlook, self._kind, self._now = world, outlook, kind, now
        self._belief = terrain_on(world, outlook.first().copy())
        self._rows = {zone_name(row): row for row in range(len(world.sites))}
        self._believed: tuple[datetime, float] | None = None  # the hour in which the belief was last renewed, and how far

    def outlook(self, zone: str, start: datetime, step: timedelta, steps: int, now: datetime) -> ZoneOutlook:
        """Hours before the running one as they were, the others as believed `now`; NaN beyond the record."""
        grid, row = Grid(start, step, steps), self._rows[zone]
        self._believe(now, self._world.seconds(grid.end))
        begun, pue = self._cells_before(now), self._world.sites[row].pue
        mean, spread = self._belief.rate[row] / pue, self._belief.spread[row] / pue
        mean[:begun], spread[:begun] = self._world.rate[row, :begun] / pue, 0.0
        middle, width = (regrid(values, self._world.start, self._world.step, grid) for values in (mean, Z80 * spread))
        rung = np.full(steps, int(Rung.OWN_FORECAST), dtype=np.int8)
        sources = ("the replay's forecast",)
        return ZoneOutlook(zone, self._kind, now, grid.start, step, middle, middle - width, middle + width, rung, sources)

    def observed(self, zone: str, start: datetime, end: datetime) -> Series:
        """The hours that touch [start, end), NaN where they have not ended or the world's record does not reach."""
        first, row = floor_to(start, HOUR), self._rows[zone]
        grid = Grid(first, HOUR, int((ceil_to(end, HOUR) - first) / HOUR))
        values = self._world.rate[row, : self._cells_before(self._now())] / self._world.sites[row].pue
        return Series(zone, self._kind, first, regrid(values, self._world.start, self._world.step, grid))

    def _believe(self, now: datetime, reach: float) -> None:
        """What is known changes by the hour: ask anew in a new one, or where somebody looks further ahead than before."""
        hour = floor_to(now, HOUR)
        if self._outlook.is_static or (self._believed is not None and self._believed[0] == hour and self._believed[1] >= reach):
            return
        self._outlook.renew(self._belief, self._world.seconds(now), reach)
        self._believed = (hour, reach)

    def _cells_before(self, now: datetime) -> int:
        """How many cells of the world lie before the running hour."""
        return max(0, int(self._world.seconds(floor_to(now, HOUR)) // self._world.step_seconds))
