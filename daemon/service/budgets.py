"""What projects have spent of their carbon budgets: settled jobs from the ledger, work under way and not settled yet as estimated.

Plans count what the jobs they may move will still emit. Those that run in one piece are in no plan: the rest of them counts here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from daemon.domain.budget import APPROVED, Budget, BudgetRule, Spending, month_start, next_month
from daemon.domain.job import Attempt, Job
from daemon.domain.site import Site
from daemon.domain.unknown_intensity import UNKNOWN_G_PER_KWH
from daemon.service.costs import Costs, WorkLeft
from daemon.service.isolation import poisoned_alone
from daemon.service.policy import Workplaces
from daemon.service.snapshot import is_fixed
from daemon.service.work import JobWork, works_of
from daemon.store import Reader
from forecast.intensity import ZoneOutlook
from forecast.timeline import HOUR, floor_to

OutlookOf = Callable[[str, datetime, timedelta, int, datetime], ZoneOutlook]

HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Spent:
    """A project's grams of the running month: settled in the ledger, and estimated of what is under way or not settled yet."""

    settled_g: float
    estimated_g: float


class Budgets:
    """Reads how the budgets of `rules` stand. Emissions are grams at the facility."""

    def __init__(self, rules: Mapping[str, BudgetRule], workplaces: Workplaces, costs: Costs, outlook: OutlookOf) -> None:
        self.rules = rules
        self._sites = {name: place.site for name, place in workplaces.items()}
        self._costs, self._outlook = costs, outlook

    def spending(self, reader: Reader, works: Mapping[str, JobWork], now: datetime) -> Spending:
        """The budgets as the next plan must keep them; `works` are the live jobs."""
        if not self.rules:
            return Spending()
        asking = [work.job.id for work in works.values() if (rule := self.rules.get(work.job.request.project)) is not None and rule.asks]
        spent = {project: self.spent(reader, project, works.values(), now) for project in self.rules}
        budgets = {project: Budget(rule, rule.monthly_g - _sum(spent[project])) for project, rule in self.rules.items()}
        return Spending(budgets, frozenset(reader.jobs_with_event(asking, APPROVED)) if asking else frozenset())

    def spent(self, reader: Reader, project: str, live: Iterable[JobWork], now: datetime) -> Spent:
        """Everything the project's jobs emitted that ended in this month, and what those that have begun emitted so far.

        Of those that run in one piece also what they will emit until the month ends.
        """
        settled_g, unknown = reader.settled_grams(project, month_start(now))
        begun = [work for work in live if work.job.request.project == project and work.attempts]
        ended = works_of(reader, reader.jobs_named(unknown))
        return Spent(settled_g, self._estimated_g([*begun, *ended.values()], now))

    def _estimated_g(self, works: Sequence[JobWork], now: datetime) -> float:
        """Estimated power x time x PUE x the intensity of those hours, attempt by attempt."""
        spans = [span for work in works for attempt in work.attempts if (span := self._span(work, attempt, now)) is not None]
        grams = 0.0
        for zone in sorted({span.site.zone for span in spans}):
            here = [span for span in spans if span.site.zone == zone]
            integral = self._integral(zone, min(span.start for span in here), max(span.end for span in here), now)
            grams += sum(self._grams(span, integral) for span in here)
        return grams

    def _span(self, work: JobWork, attempt: Attempt, now: datetime) -> _Span | None:
        """None for an attempt that has not begun, unless no plan may move it; home stands in for a site that is not in the settings."""
        site = self._sites.get(attempt.site) or self._sites.get(work.job.home)
        if site is None:
            return None
        if attempt.ended_at is None and is_fixed(work):
            return _Span(work, site, attempt.started_at or now, now + self._rest(work, site, now))
        return None if attempt.started_at is None else _Span(work, site, attempt.started_at, attempt.ended_at or now)

    def _rest(self, work: JobWork, site: Site, now: datetime) -> timedelta:
        """How long a job that no plan may move will go on in this month: what it emits later is not of this budget."""
        rest_seconds = (work.job.estimated_seconds or 0.0) * work.fraction_left
        with poisoned_alone("budget", job=work.job.id):  # as in `_grams`
            rest_seconds = self._costs.option(work.job, site, WorkLeft(work.fraction_left), 0.0).work_seconds
        return timedelta(seconds=min(rest_seconds, (next_month(now) - now).total_seconds()))

    def _grams(self, span: _Span, integral: Callable[[datetime, datetime], float]) -> float:
        power_kw = _power_at_acceptance_kw(span.work.job)
        with poisoned_alone("budget", job=span.work.job.id):  # one job's trouble is no reason to plan for none
            power_kw = self._costs.option(span.work.job, span.site, WorkLeft(1.0), 0.0).power_kw
        return power_kw * span.site.pue * integral(span.start, span.end)

    def _integral(self, zone: str, first: datetime, last: datetime, now: datetime) -> Callable[[datetime, datetime], float]:
        """Grams per kilowatt between two moments from `first` to `last`: hours gone by as recorded, others as expected `now`."""
        start = floor_to(first, HOUR)
        hours = int((last - start) / HOUR) + 1
        values = np.nan_to_num(self._outlook(zone, start, HOUR, hours, now).g_per_kwh, nan=UNKNOWN_G_PER_KWH)
        edges, paid = np.arange(hours + 1) * HOUR_SECONDS, np.concatenate(([0.0], np.cumsum(values)))

        def until(moment: datetime) -> float:
            return float(np.interp((moment - start).total_seconds(), edges, paid))

        return lambda begin, end: until(end) - until(begin)


@dataclass(frozen=True, slots=True)
class _Span:
    """When an attempt held its GPUs, or will have held them."""

    work: JobWork
    site: Site
    start: datetime
    end: datetime


def _power_at_acceptance_kw(job: Job) -> float:
    """Component power as estimated when the job was accepted, for one that can no longer be estimated: unknown is not zero."""
    if not job.estimated_energy_kwh or not job.estimated_seconds:
        return 0.0
    return job.estimated_energy_kwh / (job.estimated_seconds / HOUR_SECONDS)


def _sum(spent: Spent) -> float:
    return spent.settled_g + spent.estimated_g
