"""What lessons cost a daemon: `LOWTIDE_TRACES=FOLDER python -m tests.bench.lesson [ZONE ...]`.

CPU time of one thread for learning from three years of record with all other zones of the folder as neighbours, for a forecast that
goes by the lesson, and for one without any (it makes 14 old ones again); what a lesson holds; and the memory of this process, which has
all zones' records at hand.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the daemon sets it, before numpy is imported

import pickle
import statistics
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from resource import RUSAGE_SELF, getrusage
from time import process_time

import psutil

from forecast.intensity import Series
from forecast.model.forecaster import RECORD_HOURS, TrainedForecaster
from forecast.model.network import Network
from forecast.records import read_records
from forecast.timeline import HOUR
from tests.forecast.traces import benched_folder, benched_zones

NOW = datetime(2023, 12, 28, 6, tzinfo=UTC)
HORIZON = timedelta(days=4)
TURNS = 20


class Shelf:
    """The records as an archive."""

    def __init__(self, records: dict[str, Series]) -> None:
        self._records, self.zones = records, list(records)

    def history(self, zone: str, start: datetime, end: datetime) -> Series | None:
        record = self._records[zone]
        first, last = (max(0, (moment - record.start) // HOUR) for moment in (start, end))
        return Series(zone, record.kind, record.start + first * HOUR, record.values[first:last])


def seconds(act: Callable[[], object]) -> float:
    began = process_time()
    act()
    return process_time() - began


def line(zone: str, shelf: Shelf) -> str:
    forecaster = TrainedForecaster()
    history = shelf.history(zone, NOW - RECORD_HOURS * HOUR, NOW)
    assert history is not None

    def forecast_ms() -> float:
        return 1000 * statistics.median(seconds(lambda: forecaster.forecast(history, NOW, HORIZON, shelf)) for _ in range(TURNS))

    without_ms = forecast_ms()
    lesson_seconds = seconds(lambda: forecaster.learn(history, NOW, shelf))
    megabytes = len(pickle.dumps(forecaster)) / 1e6
    return f"{zone:<14} {lesson_seconds:>9.2f} {forecast_ms():>9.1f} {without_ms:>9.1f} {megabytes:>9.2f}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.lesson")
    parser.add_argument("zones", nargs="*", default=["DE", "GB", "US-CAL-CISO"])
    named = parser.parse_args(arguments).zones
    shelf = Shelf(read_records([benched_folder("electricitymaps-lca-hourly")]))
    chosen = benched_zones(parser, named, shelf.zones)
    Network.bundled()
    print(f"{'zone':<14} {'lesson, s':>9} {'by it, ms':>9} {'none, ms':>9} {'holds, MB':>9}")
    for zone in chosen:
        print(line(zone, shelf), flush=True)
    most = getrusage(RUSAGE_SELF).ru_maxrss * 1024 / 1e6  # Linux tells it in KiB
    print(f"{len(shelf.zones)} zones at hand: {psutil.Process().memory_info().rss / 1e6:.0f} MB, {most:.0f} MB at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
