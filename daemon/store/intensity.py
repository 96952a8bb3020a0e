"""Recorded grid history in the store's database: the IntensityStore that the feed asks for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, ColumnElement, Connection, Row, Table, bindparam, delete, insert, select, type_coerce, update

from daemon.store.database import Database
from daemon.store.grid_schema import period_mean, reading, replaced_period_mean, replaced_reading, vintage
from daemon.store.upsert import Changes, merge
from forecast.intensity import IntensityKind, PeriodMean, Reading, RecordedCounts, Rung, Vintage
from forecast.record import Origin, Record
from forecast.timeline import Interval

_MICROSECOND = timedelta(microseconds=1)

_READING_FACTS = ("g_per_kwh", "source", "known_at", "estimated", "estimation_method", "release")

# Instants as the database has them: microseconds since 1970, as in a Record.
_RECORD_COLUMNS = (
    *(type_coerce(reading.c[name], BigInteger) for name in ("start", "end")),
    *(reading.c[name] for name in ("g_per_kwh", "estimated", "source", "release")),
)
_VINTAGE_COLUMNS = [column for column in vintage.columns if column.name != "is_combined"]  # what a Vintage says
_RECORD_ROWS = 50_000  # at a time

_Place = tuple[Any, ...]  # what a row's primary key says
V = TypeVar("V")


class RecordedIntensity:
    """Readings, forecasts and period means. Every method is one transaction and safe to call from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_readings(self, readings: Sequence[Reading], now: datetime) -> RecordedCounts:
        """Upsert by (zone, kind, interval); see IntensityStore. `known_at` of a value told again stays: it was known since then."""
        with self._database.write() as connection:
            stored = {_reading_place(one): one for one in map(_reading_from, _rows_around(connection, reading, readings))}
            changes = merge(stored, readings, _reading_place, _is_later_known, _refresh_reading)
            _apply(connection, reading, replaced_reading, changes, _reading_values, {"replaced_at": now})
        return changes.counts

    def readings(self, zone: str, kind: IntensityKind, start: datetime, end: datetime) -> list[Reading]:
        """The current readings whose interval starts in [start, end), ordered by start."""
        mine = (reading.c.zone == zone) & (reading.c.kind == kind.label) & (reading.c.start >= start) & (reading.c.start < end)
        with self._database.read() as connection:
            return [_reading_from(row) for row in connection.execute(select(reading).where(mine).order_by(reading.c.start, reading.c.end))]

    def record(self, zone: str, kind: IntensityKind, start: datetime, end: datetime) -> Record | None:
        """The same as columns, for long spans; None where there are none."""
        mine = (reading.c.zone == zone) & (reading.c.kind == kind.label) & (reading.c.start >= start) & (reading.c.start < end)
        query = select(*_RECORD_COLUMNS).where(mine).order_by(reading.c.start, reading.c.end).execution_options(yield_per=_RECORD_ROWS)
        origins: dict[Origin, int] = {}
        with self._database.read() as connection:
            parts = [_columns(rows, origins) for rows in connection.execute(query).partitions()]
        if not parts:
            return None
        begins, ends, values, estimated, origin = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Record(zone, kind, begins, ends - begins, values, estimated, origin, tuple(origins))

    def put_vintage(self, forecast: Vintage, *, is_combined: bool = False) -> None:
        """Archive a forecast; the same (zone, kind, rung, source, issued_at) again changes nothing."""
        values = _vintage_values(forecast) | {"is_combined": is_combined}
        same = [column == values[column.name] for column in vintage.primary_key.columns]
        with self._database.write() as connection:
            if connection.execute(select(vintage.c.zone).where(*same)).first() is None:
                connection.execute(insert(vintage), values)

    def latest_vintage(self, zone: str, kind: IntensityKind, rung: Rung, now: datetime) -> Vintage | None:
        """The forecast of this rung with the newest `issued_at` among those with `known_at` <= `now`, as a source issued it."""
        mine = _archived(zone, kind, rung, is_combined=False) & (vintage.c.known_at <= now)
        newest_first = (vintage.c.issued_at.desc(), vintage.c.known_at.desc(), vintage.c.source)
        with self._database.read() as connection:
            row = connection.execute(select(*_VINTAGE_COLUMNS).where(mine).order_by(*newest_first).limit(1)).first()
        return None if row is None else _vintage_from(row)

    def vintages(
        self, zone: str, kind: IntensityKind, rung: Rung, start: datetime, end: datetime, *, is_combined: bool = False
    ) -> list[Vintage]:
        """The archived forecasts of this rung issued in [start, end), in the order of issue: as sources issued them, or combined."""
        mine = _archived(zone, kind, rung, is_combined=is_combined)
        issued = (vintage.c.issued_at >= start) & (vintage.c.issued_at < end)
        with self._database.read() as connection:
            rows = connection.execute(select(*_VINTAGE_COLUMNS).where(mine, issued).order_by(vintage.c.issued_at, vintage.c.source))
            return [_vintage_from(row) for row in rows]

    def put_period_means(self, means: Sequence[PeriodMean], now: datetime) -> RecordedCounts:
        """Upsert by (zone, kind, interval, source); a changed value replaces the old one, audited like a reading."""
        told = [_RecordedMean(mean, now) for mean in means]
        with self._database.write() as connection:
            stored = {_mean_place(one): one for one in map(_mean_from, _rows_around(connection, period_mean, means))}
            changes = merge(stored, told, _mean_place, _never, _refresh_mean)
            _apply(connection, period_mean, replaced_period_mean, changes, _mean_values, {"replaced_at": now})
        return changes.counts

    def period_means(self, zone: str, kind: IntensityKind) -> list[PeriodMean]:
        """All current monthly and yearly means of the zone, ordered by interval start; on equal intervals the newest recorded last."""
        mine = (period_mean.c.zone == zone) & (period_mean.c.kind == kind.label)
        in_order = (period_mean.c.start, period_mean.c.end, period_mean.c.recorded_at, period_mean.c.source)
        with self._database.read() as connection:
            return [_mean_from(row).mean for row in connection.execute(select(period_mean).where(mine).order_by(*in_order))]

    def forget_vintages(self, before: datetime) -> int:
        """Delete the forecasts issued before that instant; how many. Readings, means and their audit are kept for ever."""
        with self._database.write() as connection:
            return connection.execute(delete(vintage).where(vintage.c.issued_at < before)).rowcount


def _archived(zone: str, kind: IntensityKind, rung: Rung, *, is_combined: bool) -> ColumnElement[bool]:
    of_zone = (vintage.c.zone == zone) & (vintage.c.kind == kind.label) & (vintage.c.rung == rung)
    return of_zone & (vintage.c.is_combined == is_combined)


def _columns(rows: Sequence[Row[Any]], origins: dict[Origin, int]) -> tuple[NDArray[Any], ...]:
    """Starts, ends, values, flags and origins; `origins` grows by those that are new."""
    begins, ends, values, estimated, sources, releases = zip(*rows, strict=True)
    origin = [origins.setdefault(each, len(origins)) for each in zip(sources, releases, strict=True)]
    return np.array(begins), np.array(ends), np.array(values, dtype=np.float64), np.array(estimated), np.array(origin)


@dataclasses.dataclass(frozen=True, slots=True)
class _RecordedMean:
    mean: PeriodMean
    recorded_at: datetime


def _rows_around(connection: Connection, table: Table, values: Sequence[Reading] | Sequence[PeriodMean]) -> Iterator[Row[Any]]:
    """The stored rows of the zones, kinds and time span of `values`: at least all that `values` may change."""
    spans: dict[tuple[str, str], tuple[datetime, datetime]] = {}
    for one in values:
        start = one.interval.start
        first, last = spans.get((one.zone, one.kind.label), (start, start))
        spans[one.zone, one.kind.label] = (min(first, start), max(last, start))
    for (zone, kind), (first, last) in spans.items():
        yield from connection.execute(select(table).where(table.c.zone == zone, table.c.kind == kind, table.c.start.between(first, last)))


def _apply(
    connection: Connection,
    table: Table,
    replaced: Table,
    changes: Changes[_Place, V],
    values: Callable[[V], dict[str, Any]],
    mark: dict[str, Any],
) -> None:
    """Write the changes; `mark` is added to the copies of replaced values."""
    if changes.inserted:
        connection.execute(insert(table), [values(one) for one in changes.inserted.values()])
    if changes.updated:
        keys = [column.name for column in table.primary_key.columns]
        same = [column == bindparam(f"key_{column.name}") for column in table.primary_key.columns]
        rows = [values(one) for one in changes.updated.values()]
        connection.execute(update(table).where(*same), [row | {f"key_{name}": row[name] for name in keys} for row in rows])
    if changes.replaced:
        connection.execute(insert(replaced), [values(one) | mark for one in changes.replaced])


def _reading_place(one: Reading) -> _Place:
    return one.zone, one.kind, one.interval


def _reading_values(one: Reading) -> dict[str, Any]:
    values = {name: getattr(one, name) for name in _READING_FACTS}
    return values | {"zone": one.zone, "kind": one.kind.label, "start": one.interval.start, "end": one.interval.end}


def _reading_from(row: Row[Any]) -> Reading:
    facts = {name: getattr(row, name) for name in _READING_FACTS}
    return Reading(zone=row.zone, interval=Interval(row.start, row.end), kind=IntensityKind.from_label(row.kind), **facts)


def _is_later_known(current: Reading, value: Reading) -> bool:
    return current.known_at > value.known_at


def _refresh_reading(current: Reading, value: Reading) -> Reading | None:
    if current.g_per_kwh != value.g_per_kwh:
        return None
    return dataclasses.replace(current, estimated=value.estimated, estimation_method=value.estimation_method, release=value.release)


def _mean_place(one: _RecordedMean) -> _Place:
    return one.mean.zone, one.mean.kind, one.mean.interval, one.mean.source


def _mean_values(one: _RecordedMean) -> dict[str, Any]:
    mean = one.mean
    return {
        "zone": mean.zone,
        "kind": mean.kind.label,
        "start": mean.interval.start,
        "end": mean.interval.end,
        "source": mean.source,
        "g_per_kwh": mean.g_per_kwh,
        "release": mean.release,
        "recorded_at": one.recorded_at,
    }


def _mean_from(row: Row[Any]) -> _RecordedMean:
    interval, kind = Interval(row.start, row.end), IntensityKind.from_label(row.kind)
    return _RecordedMean(PeriodMean(row.zone, interval, row.g_per_kwh, kind, row.source, row.release), row.recorded_at)


def _never(current: _RecordedMean, value: _RecordedMean) -> bool:
    """Period means carry no time of knowledge: the one told last counts."""
    return False


def _refresh_mean(current: _RecordedMean, value: _RecordedMean) -> _RecordedMean | None:
    if current.mean.g_per_kwh != value.mean.g_per_kwh:
        return None
    return dataclasses.replace(current, mean=value.mean)


def _vintage_values(forecast: Vintage) -> dict[str, Any]:
    values = {field.name: getattr(forecast, field.name) for field in dataclasses.fields(forecast) if field.name != "step"}
    return values | {"kind": forecast.kind.label, "step_microseconds": forecast.step // _MICROSECOND}


def _vintage_from(row: Row[Any]) -> Vintage:
    columns = dict(row._mapping)
    step = timedelta(microseconds=columns.pop("step_microseconds"))
    return Vintage(**columns | {"kind": IntensityKind.from_label(row.kind), "step": step})
