"""A replay of what a real poller was told: at every moment only what it knew then, restatements and outages as they were.

Files: `timestamp` (epoch seconds of the poll), `zone_datetime` (the UTC hour the value is for), `status`, `zone_name`,
`carbon_intensity_avg`, ... as the CO2 Signal pollers of Sukprasert et al. wrote them; gzip or plain.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forecast.intensity import LIFECYCLE_AVERAGE, FloatArray, Series
from forecast.replay.recording import NothingToReplay
from forecast.timeline import HOUR, floor_to


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll was told: the value of one hour in gCO2e/kWh."""

    at: datetime
    hour: datetime
    g_per_kwh: float


def read_polls(path: Path) -> tuple[str, list[Poll]]:
    """The zone of a file and its polls in order of time. Raises NothingToReplay for a file without any, OSError, KeyError."""
    open_text = gzip.open if path.suffix == ".gz" else open
    with open_text(path, "rt", encoding="utf-8", newline="") as text:
        rows = [row for row in csv.DictReader(text) if row["status"] == "ok"]
    if not rows:
        raise NothingToReplay(f"{path.name} holds no polls that went well")
    polls = [
        Poll(
            datetime.fromtimestamp(float(row["timestamp"]), UTC),
            floor_to(datetime.fromisoformat(row["zone_datetime"]), HOUR),
            float(row["carbon_intensity_avg"]),
        )
        for row in rows
    ]
    return rows[0]["zone_name"], sorted(polls, key=lambda poll: poll.at)


class KnownThen(Mapping[str, Series]):
    """Hourly series by zone as they were known at `now()`, to be played as `Recording(KnownThen(...))`."""

    def __init__(self, polls: Mapping[str, list[Poll]], now: Callable[[], datetime]) -> None:
        self._told, self._now = {zone: _Told.of(each) for zone, each in polls.items()}, now

    def __getitem__(self, zone: str) -> Series:
        first, values = self._told[zone].until(self._now())
        return Series(zone, LIFECYCLE_AVERAGE, first, values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._told)

    def __len__(self) -> int:
        return len(self._told)


@dataclass(frozen=True, slots=True)
class _Told:
    """One zone's polls as columns, in order of time; `hours` count from `first`."""

    first: datetime
    at: FloatArray
    hours: NDArray[np.int64]
    values: FloatArray

    @classmethod
    def of(cls, polls: list[Poll]) -> _Told:
        ordered = sorted(polls, key=lambda poll: poll.at)
        first = min(poll.hour for poll in ordered)
        return cls(
            first,
            np.array([poll.at.timestamp() for poll in ordered]),
            np.array([(poll.hour - first) // HOUR for poll in ordered]),
            np.array([poll.g_per_kwh for poll in ordered]),
        )

    def until(self, now: datetime) -> tuple[datetime, FloatArray]:
        """The first hour, and the value last told of each hour up to the newest known one; NaN where none was told."""
        count = int(np.searchsorted(self.at, now.timestamp(), side="right"))
        hours = self.hours[:count]
        values = np.full(int(hours.max(initial=-1)) + 1, np.nan)
        values[hours] = self.values[:count]  # of several values for one hour the last stays
        return self.first, values
