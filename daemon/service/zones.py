"""Questions about sites and the grid: what is recorded, what is expected, and on which rung it stands."""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime, timedelta

import numpy as np

from daemon.domain.errors import NotFound, Rejected
from daemon.feed import IntensityFeed
from daemon.service.almanac import almanac_view, nothing_known
from daemon.service.policy import Policy, Workplaces
from daemon.service.reach import NOT_IN_SETTINGS, Reach
from daemon.service.views import (
    AlmanacView,
    ForecastSkillView,
    ForecastView,
    IntensityNow,
    IntensityPoint,
    IntensityView,
    LeadSkillView,
    SiteView,
)
from daemon.store import Store
from daemon.zone_almanac import ZoneAlmanacs
from daemon.zone_skill import ZoneSkills
from forecast.clock import Clock
from forecast.intensity import Rung, ZoneOutlook
from forecast.skill import ForecastSkill
from forecast.timeline import HOUR, floor_to

LONGEST_ANSWER = timedelta(days=366)


class Zones:
    """Answers about the zones of the configured sites."""

    def __init__(
        self,
        store: Store,
        workplaces: Workplaces,
        feed: IntensityFeed,
        skills: ZoneSkills,
        almanacs: ZoneAlmanacs,
        clock: Clock,
        policy: Policy,
        reach: Reach,
    ) -> None:
        self._store, self._feed, self._skills, self._almanacs = store, feed, skills, almanacs
        self._clock, self._policy, self._reach = clock, policy, reach
        self._sites = [place.site for place in workplaces.values()]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted({site.zone for site in self._sites}))

    def sites(self) -> list[SiteView]:
        """Every site with what it holds now and how clean its grid is; then those that only live attempts still name."""
        now = self._clock.now()
        with self._store.read() as reader:
            busy: Counter[str] = Counter()
            for attempt in reader.live_attempts():
                busy[attempt.site] += attempt.gpus
        intensity = {zone: self.intensity_now(zone, now) for zone in self.names}
        known = [
            SiteView(
                name=site.name,
                status="up" if self._reach.reason(site.name) is None else "out-of-reach",
                reason=self._reach.reason(site.name),
                zone=site.zone,
                gpus=site.gpus,
                gpus_busy=busy[site.name],
                hardware=site.hardware,
                pue=site.pue,
                admits=sorted(site.admits),
                intensity=intensity[site.zone],
            )
            for site in self._sites
        ]
        return known + [_forgotten(name, busy[name]) for name in sorted(set(busy) - {site.name for site in self._sites})]

    def intensity_now(self, zone: str, now: datetime) -> IntensityNow:
        outlook = self._feed.outlook(zone, floor_to(now, HOUR), HOUR, 1, now)
        age = self._feed.status(zone, now).newest_value_age
        age_seconds = age.total_seconds() if age is not None else None
        if np.isnan(outlook.g_per_kwh[0]):
            return IntensityNow(g_per_kwh=None, rung=None, source=None, age_seconds=age_seconds)
        observed = self._feed.observed(zone, floor_to(now, HOUR), floor_to(now, HOUR) + HOUR)
        return IntensityNow(
            g_per_kwh=float(outlook.g_per_kwh[0]),
            rung=Rung(int(outlook.rung[0])).label,
            source=outlook.sources[0] if outlook.sources else None,
            is_estimated=bool(observed.estimated[0]) if observed.estimated is not None and not np.isnan(observed.values[0]) else None,
            age_seconds=age_seconds,
        )

    def intensity(self, zone: str, start: datetime | None, end: datetime | None) -> IntensityView:
        """Recorded hours in [start, end), the last day by default; hours without a record are left out."""
        self._known(zone)
        end = end or self._clock.now()
        start = start or end - timedelta(hours=24)
        if not start < end:
            raise Rejected("end", "must lie after start")
        if end - start > LONGEST_ANSWER:
            raise Rejected("start", f"asks for more than {LONGEST_ANSWER.days} days: ask in pieces")
        series = self._feed.observed(zone, start, end)
        points = [
            IntensityPoint(
                start=series.start + HOUR * index,
                end=series.start + HOUR * (index + 1),
                g_per_kwh=float(value),
                rung=Rung.OBSERVED.label,
                source="recorded",
                is_estimated=bool(series.estimated[index]) if series.estimated is not None else False,
            )
            for index, value in enumerate(series.values)
            if not np.isnan(value)
        ]
        return IntensityView(zone=zone, kind=self._policy.kind.label, points=points)

    def forecast(self, zone: str) -> ForecastView:
        """What is expected from the running hour to the planner's horizon, each hour with its rung; and how good forecasts were lately."""
        self._known(zone)
        now = self._clock.now()
        start = floor_to(now, HOUR)
        outlook = self._feed.outlook(zone, start, HOUR, int(self._policy.horizon / HOUR), now)
        skill = [_skill_view(rung, skill) for rung, skill in sorted(self._skills.of(zone).items())]
        return ForecastView(zone=zone, kind=self._policy.kind.label, points=list(_points(outlook)), skill=skill)

    def seasons(self, zone: str) -> AlmanacView:
        """This month, next month and the best month, from recorded months; a zone without any is told so."""
        self._known(zone)
        almanac = self._almanacs.of(zone)
        return nothing_known(zone, self._policy.kind.label) if almanac is None else almanac_view(almanac, self._clock.now())

    def _known(self, zone: str) -> None:
        if zone not in self.names:
            raise NotFound("zone", zone, self.names)


def _forgotten(name: str, gpus_busy: int) -> SiteView:
    """A site that the settings no longer name, where attempts were left."""
    return SiteView(
        name=name,
        status="not-in-settings",
        reason=NOT_IN_SETTINGS,
        zone=None,
        gpus=None,
        gpus_busy=gpus_busy,
        hardware=None,
        pue=None,
        admits=[],
        intensity=IntensityNow(g_per_kwh=None, rung=None, source=None),
    )


def _skill_view(rung: Rung, skill: ForecastSkill) -> ForecastSkillView:
    leads = [
        LeadSkillView(
            lead_hours=name,
            mae_g_per_kwh=lead.point.mae,
            relative_mae=_or_none(lead.relative_mae),
            mape=_or_none(lead.point.mape),
            bias_g_per_kwh=lead.point.bias,
            coverage=None if lead.interval is None else lead.interval.coverage,
            pinball_g_per_kwh=None if lead.interval is None else lead.interval.pinball,
            pairs=lead.point.count,
        )
        for name, lead in skill.leads.items()
    ]
    decisions = skill.decisions
    return ForecastSkillView(
        rung=rung.label,
        source=skill.source,
        forecasts=skill.issues,
        savings_kept=skill.share_kept,
        hindsight_kept=None if decisions is None else _or_none(decisions.kept),
        worse=None if decisions is None else decisions.worse,
        regret_g_per_kwh=None if decisions is None else decisions.regret,
        leads=leads,
    )


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _points(outlook: ZoneOutlook) -> list[IntensityPoint]:
    sources = {source.split(":")[0]: source for source in outlook.sources}
    points = []
    for index, value in enumerate(outlook.g_per_kwh):
        if np.isnan(value):
            continue
        rung = Rung(int(outlook.rung[index])).label
        points.append(
            IntensityPoint(
                start=outlook.start + outlook.step * index,
                end=outlook.start + outlook.step * (index + 1),
                g_per_kwh=float(value),
                rung=rung,
                source=sources.get(rung, rung),
                low=float(outlook.low[index]),
                high=float(outlook.high[index]),
                issued_at=outlook.known_at,
            )
        )
    return points
