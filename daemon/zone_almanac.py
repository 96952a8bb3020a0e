"""Each zone's almanac from everything that is recorded, made when it is asked for and kept for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from daemon.intensity_store import IntensityStore
from forecast.almanac import Almanac, almanac_of
from forecast.intensity import IntensityKind

LOOK_BACK = timedelta(days=10 * 366)
REUSE = timedelta(hours=6)


class ZoneAlmanacs:
    """Reads the store, writes nothing; what an importer adds is seen after REUSE of grid time at the latest. Safe from several threads.

    One almanac is made at a time: years of readings take a moment and tens of megabytes, which many callers at once must not multiply.
    """

    def __init__(self, store: IntensityStore, kind: IntensityKind, clock: Callable[[], datetime]) -> None:
        self._store, self._kind, self._clock = store, kind, clock
        self._making = threading.Lock()
        self._kept: dict[str, tuple[datetime, Almanac | None]] = {}

    def of(self, zone: str) -> Almanac | None:
        """None where no whole month of the zone is recorded."""
        with self._making:
            now = self._clock()
            kept = self._kept.get(zone)
            if kept is None or not timedelta(0) <= now - kept[0] < REUSE:
                kept = self._kept[zone] = now, self._made(zone, now)
            return kept[1]

    def _made(self, zone: str, now: datetime) -> Almanac | None:
        record = self._store.record(zone, self._kind, now - LOOK_BACK, now)
        return almanac_of(zone, self._kind, record, self._store.period_means(zone, self._kind), now)
