"""The last rung: yearly life-cycle means of many zones, bundled so that no daemon is ever without any value."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files

from forecast.intensity import LIFECYCLE_AVERAGE, IntensityKind, PeriodMean
from forecast.timeline import Interval


def yearly_means(zone: str, kind: IntensityKind) -> tuple[PeriodMean, ...]:
    """Bundled yearly means of `zone`, oldest first; those of its parent zone (`SE` for `SE-SE3`) where it has none of its own.

    Empty for an unknown zone and for every kind but life-cycle average: the table holds no other, and kinds are never mixed.
    """
    if kind != LIFECYCLE_AVERAGE:
        return ()
    table = _bundled_table()
    parent = zone
    while parent not in table:
        parent, separator, _ = parent.rpartition("-")
        if not separator:
            return ()
    own = "" if parent == zone else f" of parent zone {parent}"
    return tuple(PeriodMean(zone, mean.interval, mean.g_per_kwh, kind, f"{mean.source}{own}", mean.release) for mean in table[parent])


def bundled_zones() -> tuple[str, ...]:
    """Zones the bundled table knows, in alphabetical order."""
    return tuple(sorted(_bundled_table()))


@cache
def _bundled_table() -> dict[str, list[PeriodMean]]:
    table: dict[str, list[PeriodMean]] = {}
    with files("forecast").joinpath("data/yearly_lifecycle.csv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(line for line in lines if not line.startswith("#")):
            year = int(row["year"])
            interval = Interval(datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
            mean = PeriodMean(row["zone"], interval, float(row["g_per_kwh"]), LIFECYCLE_AVERAGE, row["source"], row["release"])
            table.setdefault(mean.zone, []).append(mean)
    for means in table.values():
        means.sort(key=lambda mean: mean.interval)
    return table
