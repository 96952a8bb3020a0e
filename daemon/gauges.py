"""How gauges are made and set: one prefix for all, NaN for what is not known."""

from __future__ import annotations

import math

from prometheus_client import CollectorRegistry, Gauge


def new_gauge(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"lowtide_{name}", text, labels, registry=registry)


def or_nan(value: float | None) -> float:
    return math.nan if value is None else value
