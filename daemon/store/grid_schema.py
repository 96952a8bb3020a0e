"""The tables of recorded grid history: readings, forecasts as they were issued, means of months and years.

The `replaced_` tables hold every value that a later one took the place of, with the time that happened.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, String, Table, Text, false

from daemon.store.columns import SEQUENCE, FloatArray, Instant, Step
from daemon.store.schema import metadata
from forecast.intensity import Rung


def _reading_columns(*, is_key: bool) -> list[Column[Any]]:
    """What an observed value is, as it stands now (its interval is the key) or once stood."""
    return [
        *_interval_columns(is_key=is_key),
        Column("g_per_kwh", Double, nullable=False),
        Column("source", Text, nullable=False),
        Column("known_at", Instant, nullable=False),
        Column("estimated", Boolean, nullable=False),
        Column("estimation_method", Text),
        Column("release", Text),
    ]


def _mean_columns(*, is_key: bool) -> list[Column[Any]]:
    """What the mean of a month or year is, as it stands now (interval and source are the key) or once stood."""
    return [
        *_interval_columns(is_key=is_key),
        Column("source", String(200), primary_key=is_key, nullable=False),
        Column("g_per_kwh", Double, nullable=False),
        Column("release", Text),
        Column("recorded_at", Instant, nullable=False),
    ]


def _interval_columns(*, is_key: bool) -> list[Column[Any]]:
    return [
        Column("zone", String(64), primary_key=is_key, nullable=False),
        Column("kind", String(64), primary_key=is_key, nullable=False),
        Column("start", Instant, primary_key=is_key, nullable=False),
        Column("end", Instant, primary_key=is_key, nullable=False),
    ]


def _replaced(name: str, columns: list[Column[Any]]) -> Table:
    """The values of that kind that later ones took the place of."""
    return Table(
        name,
        metadata,
        Column("id", SEQUENCE, primary_key=True, autoincrement=True),
        *columns,
        Column("replaced_at", Instant, nullable=False),
        Index(None, "zone", "kind", "start"),
    )


reading = Table("reading", metadata, *_reading_columns(is_key=True))
replaced_reading = _replaced("replaced_reading", _reading_columns(is_key=False))

vintage = Table(
    "vintage",
    metadata,
    Column("zone", String(64), primary_key=True),
    Column("kind", String(64), primary_key=True),
    Column("rung", Step(Rung), primary_key=True),
    Column("source", String(200), primary_key=True),
    Column("issued_at", Instant, primary_key=True),
    Column("known_at", Instant, nullable=False),
    Column("start", Instant, nullable=False),
    Column("step_microseconds", BigInteger, nullable=False),
    Column("g_per_kwh", FloatArray, nullable=False),
    Column("low", FloatArray),
    Column("high", FloatArray),
    Column("is_combined", Boolean, nullable=False, server_default=false()),  # made of others in this table
    Index(None, "issued_at"),
    Index(None, "zone", "kind", "rung", "issued_at"),
)

period_mean = Table("period_mean", metadata, *_mean_columns(is_key=True))
replaced_period_mean = _replaced("replaced_period_mean", _mean_columns(is_key=False))
