"""Finding out that a file is in local time although it says UTC: an hour is skipped in spring and comes twice in autumn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from forecast.csv_rows import CsvProblem, CsvRow
from forecast.timeline import HOUR, Interval

_REMEDY = "download the file again from the data portal, whose times are UTC, or write them with their offset, as 2023-03-26T03:00+02:00"
_SUNDAY = 6
_LATEST_LOCAL_HOUR = 3


def refuse_local_time(path: Path, gaps: Sequence[Interval], moved: Sequence[CsvRow]) -> None:
    """Raise CsvProblem where an hour is missing just where clocks go forward, or has two values just where they go back.

    `moved` are lines that give an interval another value than a line before did.
    """
    for gap in gaps:
        if gap.duration == HOUR and is_clock_change_night(gap.start):
            raise CsvProblem(
                path, 1, f"the hour from {gap.start:%Y-%m-%d %H:%M} is missing, as in local time when clocks go forward", _REMEDY
            )
    for row in moved:
        if is_clock_change_night(row.start):
            said = f"the hour from {row.start:%Y-%m-%d %H:%M} has two values, as in local time when clocks go back"
            raise CsvProblem(path, row.line, said, _REMEDY)


def is_clock_change_night(moment: datetime) -> bool:
    """Whether some country moves its clocks about that hour of that day: the last Sunday of March and October in Europe, the
    second of March and the first of November in North America, the first of April and October in Australia."""
    if moment.weekday() != _SUNDAY or moment.hour > _LATEST_LOCAL_HOUR:
        return False
    which = (moment.day - 1) // 7 + 1
    is_last = (moment + timedelta(days=7)).month != moment.month
    return (moment.month in (3, 10) and is_last) or (moment.month, which) in {(3, 2), (11, 1), (4, 1), (10, 1)}
