"""Hourly records of several zones from several files: the files of one zone are joined, contradictions refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import numpy as np

from forecast.csv_files import csv_files
from forecast.csv_rows import iterate_rows
from forecast.intensity import LIFECYCLE_AVERAGE, IntensityKind, Series
from forecast.portal_csv import read_intensity_file


class ContradictoryFiles(ValueError):
    """Two files give one hour of one zone different values, as two releases of an archive do."""


def read_records(
    paths: Iterable[Path],
    zones: Collection[str] | None = None,
    kind: IntensityKind = LIFECYCLE_AVERAGE,
    warn: Callable[[str], object] = lambda _: None,
) -> dict[str, Series]:
    """Hourly records by zone, those of `zones` only where they are named. Folders stand for their CSV files.

    The zone is the one written in the file: its name may carry another. `warn` is told what speaks against times in UTC.

    Raises CsvProblem (a ValueError) for a file that cannot be used, NoCsvFiles for a folder without any, ContradictoryFiles where two
    disagree, OSError where one cannot be read.
    """
    parts: dict[str, list[Series]] = {}
    for path in csv_files(paths):
        if zones is not None and next((row.zone for row in iterate_rows(path, kind)), None) not in zones:
            continue
        file = read_intensity_file(path, kind)
        if file.doubt is not None:
            warn(f"{path}: {file.doubt}")
        record = file.hourly()
        parts.setdefault(record.zone, []).append(record)
    return {zone: joined(series) for zone, series in parts.items()}


def joined(parts: Sequence[Series]) -> Series:
    """One series from the hourly files of a zone, in any order. Raises ContradictoryFiles where an hour has two values."""
    first, end = min(parts, key=lambda part: part.start), max(part.end for part in parts)
    values = np.full(int((end - first.start) // first.step), np.nan)
    for part in parts:
        begin = int((part.start - first.start) // first.step)
        there = values[begin : begin + len(part.values)]
        both = np.isfinite(there) & np.isfinite(part.values)
        if not np.allclose(there[both], part.values[both]):
            raise ContradictoryFiles(f"zone {first.zone}: two files disagree on the same hours; give one release only")
        values[begin : begin + len(part.values)] = np.where(np.isfinite(part.values), part.values, there)
    return Series(first.zone, first.kind, first.start, values, first.step)
