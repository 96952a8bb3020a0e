"""What the feed asks of the database: a contract, so that feed and store never import each other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from forecast.intensity import IntensityKind, PeriodMean, Reading, RecordedCounts, Rung, Vintage
from forecast.record import Record


class IntensityStore(Protocol):
    """Recorded grid history. Every method is one transaction and safe to call from several threads."""

    def put_readings(self, readings: Sequence[Reading], now: datetime) -> RecordedCounts:
        """Upsert by (zone, kind, interval). The reading with the later `known_at` is current (on a tie, the one given last).

        A replaced value is kept as an audit copy with `now`, the time it was replaced; the same value told again is `unchanged`
        (its estimated flag, method and release are refreshed, without an audit copy). Never deletes.
        """

    def readings(self, zone: str, kind: IntensityKind, start: datetime, end: datetime) -> list[Reading]:
        """The current readings whose interval starts in [start, end), ordered by start."""

    def record(self, zone: str, kind: IntensityKind, start: datetime, end: datetime) -> Record | None:
        """The same as columns, for long spans; None where there are none."""

    def put_vintage(self, vintage: Vintage, *, is_combined: bool = False) -> None:
        """Archive a forecast; the same (zone, kind, rung, source, issued_at) again changes nothing.

        One that is combined from others stands apart: it is what plans stood on, never what more is combined from.
        """

    def latest_vintage(self, zone: str, kind: IntensityKind, rung: Rung, now: datetime) -> Vintage | None:
        """The forecast of this rung with the newest `issued_at` among those with `known_at` <= `now`, as a source issued it."""

    def vintages(
        self, zone: str, kind: IntensityKind, rung: Rung, start: datetime, end: datetime, *, is_combined: bool = False
    ) -> list[Vintage]:
        """The archived forecasts of this rung issued in [start, end), in the order of issue: as sources issued them, or combined."""

    def put_period_means(self, means: Sequence[PeriodMean], now: datetime) -> RecordedCounts:
        """Upsert by (zone, kind, interval, source); a changed value replaces the old one, audited like a reading."""

    def period_means(self, zone: str, kind: IntensityKind) -> list[PeriodMean]:
        """All current monthly and yearly means of the zone, ordered by interval start; on equal intervals the newest recorded last."""
