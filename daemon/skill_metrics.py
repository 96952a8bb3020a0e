"""How good forecasts were lately, as gauges: errors by zone, source and hours ahead; decisions by zone and source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Gauge

from daemon.gauges import new_gauge, or_nan
from daemon.zone_skill import FORECAST_RUNGS
from forecast.intensity import Rung
from forecast.skill import ForecastSkill, LeadSkill
from forecast.zone_scores import BUCKETS

_WAITED = "8 h jobs with 24 h slack planned once by forecasts of the last four weeks"

BY_LEAD: Mapping[str, tuple[str, Callable[[LeadSkill], float | None]]] = {
    "error_ratio": ("Mean absolute error of the last four weeks; repeating yesterday is 1.", lambda lead: lead.relative_mae),
    "error_grams_per_kwh": ("Mean absolute error of the last four weeks.", lambda lead: lead.point.mae),
    "error_of_value_ratio": (
        "Mean over the hours of the last four weeks of the absolute error as a share of the hour's measured value.",
        lambda lead: lead.point.mape,
    ),
    "bias_grams_per_kwh": ("Forecast less measured intensity, mean of the last four weeks.", lambda lead: lead.point.bias),
    "coverage_ratio": (
        "Share of hours inside the forecasts' central 80 % intervals.",
        lambda lead: None if lead.interval is None else lead.interval.coverage,
    ),
    "pinball_grams_per_kwh": (
        "Pinball loss of the bounds of the forecasts' central 80 % intervals.",
        lambda lead: None if lead.interval is None else lead.interval.pinball,
    ),
}
"""Text and value by name, for each bucket of leads."""

BY_SOURCE: Mapping[str, tuple[str, Callable[[ForecastSkill], float | None]]] = {
    "savings_kept_ratio": (
        "Share of the savings that forecasts promised which came true, two standard errors added; waiting is judged by it.",
        lambda skill: skill.share_kept,
    ),
    "hindsight_kept_ratio": (
        f"Saving of {_WAITED}, as a share of the hindsight saving.",
        lambda skill: None if skill.decisions is None else skill.decisions.kept,
    ),
    "worse_ratio": (
        f"Share that ended above run-now of {_WAITED}.",
        lambda skill: None if skill.decisions is None else skill.decisions.worse,
    ),
    "regret_grams_per_kwh": (
        f"Mean above the best start in hindsight of {_WAITED}.",
        lambda skill: None if skill.decisions is None else skill.decisions.regret,
    ),
}
"""Text and value by name."""


class SkillMetrics:
    """The gauges `lowtide_forecast_...` of the scores; what is not known is NaN."""

    def __init__(self, registry: CollectorRegistry, zones: Iterable[str]) -> None:
        def made(name: str, text: str, *labels: str) -> Gauge:
            return new_gauge(registry, f"forecast_{name}", text, "zone", "source", *labels)

        self._by_lead = {name: made(name, text, "lead_hours") for name, (text, _) in BY_LEAD.items()}
        self._by_source = {name: made(name, text) for name, (text, _) in BY_SOURCE.items()}
        for zone in zones:
            self.show(zone, {})

    def show(self, zone: str, skills: Mapping[Rung, ForecastSkill]) -> None:
        """How good each source's forecasts of the zone were lately."""
        for rung in FORECAST_RUNGS:
            skill = skills.get(rung)
            for name, (_, of_source) in BY_SOURCE.items():
                self._by_source[name].labels(zone, rung.label).set(or_nan(None if skill is None else of_source(skill)))
            for bucket in BUCKETS:
                lead = None if skill is None else skill.leads.get(bucket)
                for name, (_, of_lead) in BY_LEAD.items():
                    self._by_lead[name].labels(zone, rung.label, bucket).set(or_nan(None if lead is None else of_lead(lead)))
