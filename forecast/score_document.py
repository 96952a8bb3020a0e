"""Scores as plain values with units in their names: what `lowtide forecast-score --json` prints and its tables are made of.

A figure that is not defined (a zone that never changes has no saving to keep) is None.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from forecast.decision_scoring import DecisionScores
from forecast.zone_scores import ForecastScores, LeadScores, ZoneScores

Document = dict[str, Any]


def score_document(zones: Sequence[ZoneScores]) -> Document:
    """Every zone and delay, and the means over zones by delay and forecaster."""
    by_zone = [zone_document(zone) for zone in zones]
    return {"zones": by_zone, "means": means(by_zone)}


def zone_document(scores: ZoneScores) -> Document:
    return {
        "zone": scores.zone,
        "start": scores.start.isoformat(),
        "end": scores.end.isoformat(),
        "delay_hours": scores.delay_hours,
        "missing_hours": scores.missing_hours,
        "forecasters": {name: _forecaster(scores, name, each) for name, each in scores.forecasts.items()},
    }


def _forecaster(scores: ZoneScores, name: str, forecast: ForecastScores) -> Document:
    return {
        "coverage": forecast.coverage,
        "leads": {bucket: _leads(scores, name, bucket, each) for bucket, each in forecast.leads.items()},
        "jobs": [
            {
                "duration_hours": each.shift.duration_hours,
                "slack_hours": each.shift.slack_hours,
                "in_chunks": each.in_chunks,
                "once": _decisions(each.once),
                "replanned": _decisions(each.replanned),
                "ruled_once": _decisions(each.ruled_once),
                "ruled_replanned": _decisions(each.ruled_replanned),
            }
            for each in forecast.shifts
        ],
        "regret_rule": [
            {"confidence": point.confidence, "once": _decisions(point.once), "replanned": _decisions(point.replanned)}
            for point in forecast.curve
        ],
    }


def _leads(scores: ZoneScores, name: str, bucket: str, leads: LeadScores) -> Document:
    point, interval = leads.point, leads.interval
    return {
        "mae_g_per_kwh": point.mae,
        "relative_mae": _known(scores.relative_mae(name, bucket)),
        "mape": _known(point.mape),
        "bias_g_per_kwh": point.bias,
        "pinball_g_per_kwh": interval.pinball,
        "winkler_g_per_kwh": interval.winkler,
        "relative_winkler": _known(scores.relative_winkler(name, bucket)),
        "coverage": interval.coverage,
        "pairs": point.count,
    }


def _decisions(scores: DecisionScores) -> Document:
    return {
        "kept": _known(scores.kept),
        "worse": scores.worse,
        "saved": _known(scores.saved),
        "regret_g_per_kwh": scores.regret,
        "submissions": scores.count,
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def means(zones: Iterable[Document]) -> list[Document]:
    """Means over zones of every figure, by delay and forecaster, with the zones' extremes as `least` and `greatest`."""
    groups: dict[tuple[int, str], list[Document]] = {}
    for zone in zones:
        for name, scores in zone["forecasters"].items():
            groups.setdefault((zone["delay_hours"], name), []).append(scores)
    return [
        {"delay_hours": delay, "forecaster": name, "zones": len(scores)}
        | {word: _reduced(scores, reduce) for word, reduce in (("mean", np.mean), ("least", np.min), ("greatest", np.max))}
        for (delay, name), scores in groups.items()
    ]


_WHAT_A_ROW_IS_ABOUT = {"duration_hours", "slack_hours", "in_chunks", "confidence"}


def _reduced(values: Sequence[Any], reduce: Any) -> Any:
    """One document out of several of the same shape, number by number; None where no zone has the figure."""
    first = values[0]
    if isinstance(first, dict):
        return {key: first[key] if key in _WHAT_A_ROW_IS_ABOUT else _reduced([each[key] for each in values], reduce) for key in first}
    if isinstance(first, list):
        return [_reduced(items, reduce) for items in zip(*values, strict=True)]
    known = [value for value in values if value is not None]
    return float(reduce(known)) if known else None
