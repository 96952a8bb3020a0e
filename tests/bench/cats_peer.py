"""CATS 1.2.1 on one zone, the peer our search for one job is compared with; nothing where it is not installed.

`pip install --no-deps climate-aware-task-scheduler==1.2.1` (GreenScheduler/cats). CATS takes point values and integrates by
trapezoids, one zone, no capacity; its search is `min(WindowedForecast(...))`, as in `cats/__init__.py`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from timeit import repeat

REPEATS = 200


def cats_microseconds(values: Sequence[float], start: datetime, step: timedelta, hours: float) -> float | None:
    """CPU microseconds of one search over these values, the best of five rounds; None without CATS."""
    try:
        cats = importlib.import_module("cats.forecast")
    except ModuleNotFoundError:
        return None
    from time import process_time

    points = [cats.PointEstimate(value, start + step * index) for index, value in enumerate(values)]
    minutes = round(hours * 60)
    spent = repeat(lambda: min(cats.WindowedForecast(points, minutes, start)), timer=process_time, number=REPEATS, repeat=5)
    return min(spent) / REPEATS * 1e6
