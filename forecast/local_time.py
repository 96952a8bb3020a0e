"""Finding out that a file is in local time although it says UTC: an hour is skipped in spring and comes twice in autumn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from forecast.csv_rows import CsvProblem, CsvRow
from forecast.timeline import HOUR, Interval

_REMEDY = "download the file again from the data portal, whose times are UTC, or write them with their offset, as 2023-03-26T03:00+02:00"
_SUNDAY = 6


@dataclass(frozen=True, slots=True)
class ClockRule:
    """How one part of the world moves its clocks: whether a Sunday is the day, and the hours on the wall, one a time zone, that
    are skipped on the one and come twice on the other.

    Sources: Directive 2000/84/EC (01:00 UTC); 15 U.S.C. 260a (02:00 local); the Standard Time Acts of Australia's states (02:00
    standard time).
    """

    goes_forward_on: Callable[[datetime], bool]
    skipped: range
    goes_back_on: Callable[[datetime], bool]
    repeated: range

    def skips(self, hour: datetime) -> bool:
        return hour.weekday() == _SUNDAY and hour.hour in self.skipped and self.goes_forward_on(hour)

    def repeats(self, hour: datetime) -> bool:
        return hour.weekday() == _SUNDAY and hour.hour in self.repeated and self.goes_back_on(hour)


def _which(month: int, number: int) -> Callable[[datetime], bool]:
    return lambda day: day.month == month and (day.day - 1) // 7 + 1 == number


def _last(month: int) -> Callable[[datetime], bool]:
    return lambda day: day.month == month and (day + timedelta(days=7)).month != month


CLOCK_RULES = (
    ClockRule(_last(3), range(1, 4), _last(10), range(1, 4)),  # Europe, from Lisbon to Helsinki
    ClockRule(_which(3, 2), range(2, 3), _which(11, 1), range(1, 2)),  # North America
    ClockRule(_which(10, 1), range(2, 3), _which(4, 1), range(2, 3)),  # Australia
)


def doubt_about_utc(
    path: Path, rows: Sequence[CsvRow], gaps: Sequence[Interval], repeats: Collection[datetime], moved: Sequence[CsvRow]
) -> str | None:
    """What speaks for local time in a file that can be UTC all the same, in one sentence; None: nothing does.

    Raises CsvProblem where an hour has two values just where clocks go back, or is missing just where they go forward. The latter is only a
    doubt if the same file covers a night in which clocks go back and has its hours once: then one hour is missing from UTC, or somebody has
    dropped the repeats. Lines that tell their offset are beyond doubt.

    `repeats` are starts told more than once, `moved` the lines that give one another value than a line before did.
    """
    for row in moved:
        if not row.tells_offset and any(rule.repeats(row.start) for rule in CLOCK_RULES):
            said = f"the hour from {row.start:%Y-%m-%d %H:%M} has two values, as in local time when clocks go back"
            raise CsvProblem(path, row.line, said, _REMEDY)
    doubt: str | None = None
    skips = [(gap, rule) for gap in gaps if gap.duration == HOUR for rule in CLOCK_RULES if rule.skips(gap.start)]
    if not skips or all(row.tells_offset for row in rows):
        return None
    once = {row.start for row in rows if not row.start.minute}.difference(repeats)
    for gap, rule in skips:
        said = f"the hour from {gap.start:%Y-%m-%d %H:%M} is missing, as in local time when clocks go forward"
        if not _went_back_unnoticed(once, rule):
            raise CsvProblem(path, 1, said, _REMEDY)
        doubt = f"{said}, but no hour comes twice when they go back: taken as UTC; if it is local time, {_REMEDY}"
    return doubt


def _went_back_unnoticed(hours: Collection[datetime], rule: ClockRule) -> bool:
    """Whether a night in which clocks go back is there, to the hour before it and the hour after it."""
    nights = (hour for hour in hours if rule.repeats(hour))
    return any(hour - HOUR in hours and hour + HOUR in hours for hour in nights)
