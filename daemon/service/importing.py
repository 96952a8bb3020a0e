"""Imports recorded intensity from files: hourly values into the history, monthly and yearly means beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from daemon.intensity_store import IntensityStore
from forecast.intensity import IntensityKind, RecordedCounts
from forecast.portal_csv import read_intensity_file


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """What one file brought; `gaps`, `repeats` and `doubt` are reported, never filled or hidden."""

    path: Path
    zone: str
    granularity: str
    counts: RecordedCounts
    gaps: int
    repeats: int
    empty: int
    doubt: str | None


def import_files(
    store: IntensityStore, paths: Iterable[Path], kind: IntensityKind, now: datetime, release: str | None = None
) -> Iterator[ImportedFile]:
    """Record each file in a transaction of its own, in order; importing a file again changes nothing.

    Raises CsvProblem or OSError if any file cannot be read, before the first one is recorded: a whole import or none.
    """
    paths = list(paths)
    for path in paths[1:]:  # the first is read below before anything is written
        read_intensity_file(path, kind, release)
    for path in paths:
        file = read_intensity_file(path, kind, release)
        readings = file.readings(now)
        counts = store.put_readings(readings, now) if readings else store.put_period_means(file.period_means(), now)
        yield ImportedFile(path, file.zone, file.granularity, counts, len(file.gaps), len(file.repeats), file.empty, file.doubt)
