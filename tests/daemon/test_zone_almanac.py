"""Almanacs are dear to make: made once for everybody who asks, and made anew after a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.store import Store
from daemon.store.intensity import RecordedIntensity
from daemon.zone_almanac import REUSE, ZoneAlmanacs
from forecast.intensity import LIFECYCLE_AVERAGE, PeriodMean
from forecast.record import Record
from forecast.timeline import Interval

NOW = datetime(2024, 3, 5, tzinfo=UTC)
FEBRUARY = PeriodMean(
    "DE", Interval(datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)), 400.0, LIFECYCLE_AVERAGE, "portal"
)


class CountedReads(RecordedIntensity):
    """Counts reads of the record; the first one stays until a second has come or a moment has gone by."""

    reads = 0

    def record(self, *asked: Any) -> Record | None:
        self.reads += 1
        if self.reads == 1:
            self.second_came = threading.Event()
            self.second_came.wait(0.2)
        else:
            self.second_came.set()
        return super().record(*asked)


@pytest.fixture
def record(tmp_path: Path) -> Iterator[CountedReads]:
    store = Store.open(f"sqlite:///{tmp_path / 'lowtide.db'}")
    counted = CountedReads(store.database)
    counted.put_period_means([FEBRUARY], NOW)
    yield counted
    store.close()


def test_many_who_ask_at_once_read_the_record_once(record: CountedReads) -> None:
    almanacs = ZoneAlmanacs(record, LIFECYCLE_AVERAGE, lambda: NOW)
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(almanacs.of, ["DE"] * 4))
    assert record.reads == 1
    assert [each is not None and each.best.month for each in told] == [2, 2, 2, 2]


def test_it_is_made_anew_after_a_while_and_when_the_clock_was_turned_back(record: CountedReads) -> None:
    times = [NOW, NOW + REUSE - timedelta(seconds=1), NOW + REUSE, NOW]
    moments = iter(times)
    almanacs = ZoneAlmanacs(record, LIFECYCLE_AVERAGE, lambda: next(moments))
    reads = []
    for _ in times:
        almanacs.of("DE")
        reads.append(record.reads)
    assert reads == [1, 1, 2, 3]
