"""What a replay plays: hourly values and monthly means of some zones, read from recorded files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from forecast.csv_files import csv_files
from forecast.intensity import LIFECYCLE_AVERAGE, IntensityKind, PeriodMean, Series
from forecast.portal_csv import read_intensity_file

WARM_UP = timedelta(days=14)
"""Recorded past a replay should begin with, so that a forecaster has something to learn from."""


class NothingToReplay(ValueError):
    """The files hold no hourly values, or the wanted time lies outside them."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Hourly series, and monthly and yearly means, by zone, all of one kind."""

    hourly: Mapping[str, Series]
    means: Mapping[str, tuple[PeriodMean, ...]] = field(default_factory=dict)
    kind: IntensityKind = LIFECYCLE_AVERAGE

    @classmethod
    def load(cls, paths: Iterable[Path], kind: IntensityKind = LIFECYCLE_AVERAGE) -> Recording:
        """Read files (folders stand for their CSV files). Raises CsvProblem, NoCsvFiles, OSError, NothingToReplay without hourly values."""
        hourly: dict[str, Series] = {}
        means: dict[str, tuple[PeriodMean, ...]] = {}
        for path in csv_files(paths):
            file = read_intensity_file(path, kind)
            if file.granularity in ("monthly", "yearly"):
                means[file.zone] = (*means.get(file.zone, ()), *file.period_means())
            elif file.step is not None and file.step < timedelta(days=1):
                hourly[file.zone] = joined(hourly[file.zone], file.hourly()) if file.zone in hourly else file.hourly()
        if not hourly:
            raise NothingToReplay("no hourly values in the given files: name portal CSV files such as DE_2023_hourly.csv.gz")
        return cls(hourly, means, kind)

    def default_start(self) -> datetime:
        """The first moment at which every zone has WARM_UP of past, or as much as half of what there is."""
        start = max(series.start for series in self.hourly.values())
        end = min(series.end for series in self.hourly.values())
        if end <= start:
            raise NothingToReplay("the files have no period in common: name files of the same year for every zone")
        return start + min(WARM_UP, (end - start) / 2)


def joined(first: Series, second: Series) -> Series:
    """Two series of one zone on one grid; where both have a value, the second's counts, and what neither has is missing."""
    start, end = min(first.start, second.start), max(first.end, second.end)
    values = np.full((end - start) // first.step, np.nan)
    for series in (first, second):
        offset = (series.start - start) // first.step
        part = values[offset : offset + len(series.values)]
        values[offset : offset + len(series.values)] = np.where(np.isnan(series.values), part, series.values)
    return Series(first.zone, first.kind, start, values, first.step)
