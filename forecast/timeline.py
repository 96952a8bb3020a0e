"""Half-open UTC intervals, the only way time spans are written in Lowtide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

HOUR = timedelta(hours=1)


class NaiveDatetime(ValueError):
    """A datetime without a time zone was given where an instant is needed."""

    def __init__(self, value: datetime) -> None:
        super().__init__(f"{value.isoformat()} has no time zone: write it with an offset, for example {value.isoformat()}Z")
        self.value = value


def as_utc(value: datetime) -> datetime:
    """The same instant in UTC. Raises NaiveDatetime if `value` has no time zone."""
    if value.tzinfo is None:
        raise NaiveDatetime(value)
    return value.astimezone(UTC)


def floor_to(value: datetime, step: timedelta) -> datetime:
    """The last multiple of `step` since the Unix epoch that is not after `value`."""
    seconds = step.total_seconds()
    return datetime.fromtimestamp(as_utc(value).timestamp() // seconds * seconds, UTC)


def ceil_to(value: datetime, step: timedelta) -> datetime:
    """The first multiple of `step` since the Unix epoch that is not before `value`."""
    floor = floor_to(value, step)
    return floor if floor == value else floor + step


@dataclass(frozen=True, order=True, slots=True)
class Interval:
    """The half-open span [start, end) in UTC; never empty."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", as_utc(self.start))
        object.__setattr__(self, "end", as_utc(self.end))
        if not self.start < self.end:
            raise ValueError(f"an interval must end after it starts, got [{self.start.isoformat()}, {self.end.isoformat()})")

    @property
    def duration(self) -> timedelta:
        return self.end - self.start

    @property
    def seconds(self) -> float:
        return self.duration.total_seconds()

    def contains(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def overlap(self, other: Interval) -> Interval | None:
        """The common part, or None where the two only touch or lie apart."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Interval(start, end) if start < end else None

    def cut(self, step: timedelta) -> Iterator[Interval]:
        """The pieces of this span between multiples of `step` since the epoch, in order, without gap or overlap."""
        start = self.start
        while start < self.end:
            end = min(floor_to(start, step) + step, self.end)
            yield Interval(start, end)
            start = end
