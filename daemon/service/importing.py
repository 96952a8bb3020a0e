"""Imports recorded intensity from files: hourly values into the history, monthly and yearly means beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from daemon.domain.instants import EARLIEST, LATEST
from daemon.intensity_store import IntensityStore
from forecast.almanac import origin_name
from forecast.csv_rows import PORTAL
from forecast.intensity import IntensityKind, RecordedCounts, Series
from forecast.portal_csv import read_intensity_file
from forecast.records import joined
from forecast.timeline import HOUR


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

    All are read before the first is recorded. Raises CsvProblem or OSError where one cannot be, ContradictoryFiles where two give an hour
    different values.
    """
    paths = list(paths)
    if len(paths) > 1:  # one alone contradicts nothing, and is read below before anything is written
        _refuse_what_cannot_be_used(paths, kind)
    for path in paths:  # once more each: years of many zones need not be in memory together
        file = read_intensity_file(path, kind, release)
        readings = file.readings(now)
        counts = store.put_readings(readings, now) if readings else store.put_period_means(file.period_means(), now)
        yield ImportedFile(path, file.zone, file.granularity, counts, len(file.gaps), len(file.repeats), file.empty, file.doubt)


def _refuse_what_cannot_be_used(paths: Iterable[Path], kind: IntensityKind) -> None:
    hours: dict[str, list[Series]] = {}
    for path in paths:
        file = read_intensity_file(path, kind)
        if file.step is not None and file.step <= HOUR:
            hours.setdefault(file.zone, []).append(file.hourly())
    for parts in hours.values():
        joined(parts)


def mixed_releases(store: IntensityStore, zone: str, kind: IntensityKind) -> str | None:
    """A sentence where the hourly record of the zone is put together from several releases of an archive, else None."""
    record = store.record(zone, kind, EARLIEST, LATEST)
    found = {} if record is None else record.split(origin_name)
    releases = {name: len(part.start) for name, part in found.items() if name.startswith(PORTAL)}
    if len(releases) < 2:
        return None
    told = "; ".join(f"{name}: {hours:,} h" for name, hours in releases.items())
    return (
        f"{zone}: the hourly record is now put together from {len(releases)} releases ({told}), which may differ by some per cent; "
        "forecasts read it as one: import all years from one release, and name it by --release"
    )
