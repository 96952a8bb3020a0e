"""The tables of recorded grid history: readings, forecasts as they were issued, means of months and years.

The `replaced_` tables hold every value that a later one took the place of, with the time that happened.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, String, Table, Text

from daemon.store.columns import SEQUENCE, FloatArray, Instant, Step
from daemon.store.schema import metadata
from forecast.intensity import Rung

reading = Table(
    "reading",
    metadata,
    Column("zone", String(64), primary_key=True),
    Column("kind", String(64), primary_key=True),
    Column("start", Instant, primary_key=True),
    Column("end", Instant, primary_key=True),
    Column("g_per_kwh", Double, nullable=False),
    Column("source", Text, nullable=False),
    Column("known_at", Instant, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("estimation_method", Text),
    Column("release", Text),
)

replaced_reading = Table(
    "replaced_reading",
    metadata,
    Column("id", SEQUENCE, primary_key=True, autoincrement=True),
    Column("zone", String(64), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("start", Instant, nullable=False),
    Column("end", Instant, nullable=False),
    Column("g_per_kwh", Double, nullable=False),
    Column("source", Text, nullable=False),
    Column("known_at", Instant, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("estimation_method", Text),
    Column("release", Text),
    Column("replaced_at", Instant, nullable=False),
    Index(None, "zone", "kind", "start"),
)

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
    Index(None, "issued_at"),
)

period_mean = Table(
    "period_mean",
    metadata,
    Column("zone", String(64), primary_key=True),
    Column("kind", String(64), primary_key=True),
    Column("start", Instant, primary_key=True),
    Column("end", Instant, primary_key=True),
    Column("source", String(200), primary_key=True),
    Column("g_per_kwh", Double, nullable=False),
    Column("release", Text),
    Column("recorded_at", Instant, nullable=False),
)

replaced_period_mean = Table(
    "replaced_period_mean",
    metadata,
    Column("id", SEQUENCE, primary_key=True, autoincrement=True),
    Column("zone", String(64), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("start", Instant, nullable=False),
    Column("end", Instant, nullable=False),
    Column("source", String(200), nullable=False),
    Column("g_per_kwh", Double, nullable=False),
    Column("release", Text),
    Column("recorded_at", Instant, nullable=False),
    Column("replaced_at", Instant, nullable=False),
    Index(None, "zone", "kind", "start"),
)
