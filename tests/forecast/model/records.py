"""Made-up records for tests of the model: a daily swing, a weekly one, and weather."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from forecast.intensity import LIFECYCLE_AVERAGE, FloatArray, Series
from forecast.timeline import HOUR

NOW = datetime(2026, 5, 11, 12, tzinfo=UTC)


def hourly(hours: int, level: float = 300.0, seed: int = 0) -> FloatArray:
    """Hours of intensity that end at noon UTC."""
    random = np.random.default_rng(seed)
    hour = np.arange(hours) - hours + 12
    weather = np.convolve(random.normal(0, 1, hours + 47), np.ones(48) / 7, mode="valid")
    swing = 0.2 * np.cos(hour / 24 * 2 * np.pi) + 0.05 * (hour // 24 % 7 < 5) + 0.1 * weather
    return np.asarray(level * np.exp(swing))


def record(hours: int, zone: str = "DE", end: datetime = NOW, level: float = 300.0, seed: int = 0, step: timedelta = HOUR) -> Series:
    """A record whose last hour ends at `end`, cut into equal `step`s of the hour."""
    values = np.repeat(hourly(hours, level, seed), HOUR // step)
    return Series(zone, LIFECYCLE_AVERAGE, end - hours * HOUR, values, step)
