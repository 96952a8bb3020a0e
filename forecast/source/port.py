"""The port behind which every source of live carbon intensity lives. Who implements it need not inherit from it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from forecast.intensity import IntensityKind, PeriodMean, Reading, Vintage


class IntensitySource(Protocol):
    """Live values, recent history and forecasts of some zones, all of one kind.

    Every question raises a SourceError, and nothing else, for whatever the provider does. None of them sleeps: a source that
    may not ask now raises HeldBack, one that has no such thing at all raises NotInPlan.
    """

    @property
    def kind(self) -> IntensityKind:
        """The kind of every value that comes from here."""

    def serves(self, zone: str) -> bool:
        """Whether this source can be asked about `zone`."""

    def latest(self, zone: str) -> list[Reading]:
        """The newest value there is; empty where there is none."""

    def history(self, zone: str) -> list[Reading]:
        """The trailing 24 hours, oldest first; unknown intervals are left out."""

    def past_range(self, zone: str, start: datetime, end: datetime) -> list[Reading]:
        """The values of the intervals that start in [start, end)."""

    def forecast(self, zone: str) -> Vintage:
        """The newest forecast, issued and known now."""

    def period_means(self, zone: str, start: datetime, end: datetime, granularity: str = "monthly") -> list[PeriodMean]:
        """Means of the whole months (or, with "yearly", years) that start in [start, end)."""

    def close(self) -> None:
        """Close the connections."""
