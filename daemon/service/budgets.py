"""What projects have spent of their carbon budgets: settled jobs from the ledger, work under way and not settled yet as estimated.

As in the ledger, a job counts in the month it ends in, with all it emitted. Plans count what the jobs they may move will still emit,
and say when those end. Jobs that run in one piece are in no plan: all of them counts here, in the month they are expected to end in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from daemon.domain.budget import APPROVED, Begun, Budget, BudgetRule, Spending, counts_in, month_start
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
LONGEST_REST = timedelta(days=366)  # who looks further ahead than this learns nothing of any month that counts now


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
        bounded = [work for work in works.values() if work.job.request.project in self.rules]
        settled = {project: reader.settled_grams(project, month_start(now)) for project in self.rules}
        unknown = [job_id for _, job_ids in settled.values() for job_id in job_ids]
        ended = works_of(reader, reader.jobs_named(unknown)).values()
        movable = [work for work in bounded if work.attempts and not is_fixed(work)]
        bills = self._bills([*ended, *(work for work in bounded if is_fixed(work))], now)
        asking = [work.job.id for work in bounded if self.rules[work.job.request.project].asks]
        return Spending(
            {project: Budget(rule, settled[project][0], bills.get(project, {})) for project, rule in self.rules.items()},
            frozenset(reader.jobs_with_event(asking, APPROVED)) if asking else frozenset(),
            {work.job.id: Begun(work.job.request.project, grams) for work, grams in self._emitted(movable, now) if grams > 0},
        )

    def _bills(self, works: Sequence[JobWork], now: datetime) -> dict[str, dict[datetime, float]]:
        """By project and month, all that jobs emit which ended or are in no plan."""
        bills: dict[str, dict[datetime, float]] = {}
        for work, grams in self._emitted(works, now):
            months = bills.setdefault(work.job.request.project, {})
            month = counts_in(now, self._end_of(work, now))
            months[month] = months.get(month, 0.0) + grams
        return bills

    def _emitted(self, works: Sequence[JobWork], now: datetime) -> Iterable[tuple[JobWork, float]]:
        """Each with estimated power x time x PUE x the intensity of those hours, attempt by attempt."""
        spans = {work.job.id: self._spans(work, now) for work in works}
        integrals = self._integrals([span for mine in spans.values() for span in mine], now)
        return [(work, sum(self._grams(span, integrals[span.site.zone]) for span in spans[work.job.id])) for work in works]

    def _spans(self, work: JobWork, now: datetime) -> list[_Span]:
        return [span for attempt in work.attempts if (span := self._span(work, attempt, now)) is not None]

    def _span(self, work: JobWork, attempt: Attempt, now: datetime) -> _Span | None:
        """None for an attempt that has not begun, unless no plan may move it."""
        site = self._site(work, attempt)
        if site is None:
            return None
        if attempt.ended_at is None and is_fixed(work):
            return _Span(work, site, attempt.started_at or now, now + self._rest(work, site))
        return None if attempt.started_at is None else _Span(work, site, attempt.started_at, attempt.ended_at or now)

    def _site(self, work: JobWork, attempt: Attempt) -> Site | None:
        """Home stands in for a site that is not in the settings."""
        return self._sites.get(attempt.site) or self._sites.get(work.job.home)

    def _end_of(self, work: JobWork, now: datetime) -> datetime:
        """When a job ended, or is expected to end that no plan may move."""
        ends = [now + self._rest(work, site) for attempt in work.live if (site := self._site(work, attempt)) is not None]
        return work.job.ended_at or max(ends, default=now)

    def _rest(self, work: JobWork, site: Site) -> timedelta:
        """How long a job that no plan may move will go on."""
        rest_seconds = (work.job.estimated_seconds or 0.0) * work.fraction_left
        with poisoned_alone("budget", job=work.job.id):  # as in `_grams`
            rest_seconds = self._costs.option(work.job, site, WorkLeft(work.fraction_left), 0.0).work_seconds
        return timedelta(seconds=min(rest_seconds, LONGEST_REST.total_seconds()))

    def _grams(self, span: _Span, integral: Callable[[datetime, datetime], float]) -> float:
        power_kw = _power_at_acceptance_kw(span.work.job)
        with poisoned_alone("budget", job=span.work.job.id):  # one job's trouble is no reason to plan for none
            power_kw = self._costs.option(span.work.job, span.site, WorkLeft(1.0), 0.0).power_kw
        return power_kw * span.site.pue * integral(span.start, span.end)

    def _integrals(self, spans: Sequence[_Span], now: datetime) -> dict[str, Callable[[datetime, datetime], float]]:
        """By zone, over all of its spans."""
        zones: dict[str, list[_Span]] = {}
        for span in spans:
            zones.setdefault(span.site.zone, []).append(span)
        return {
            zone: self._integral(zone, min(span.start for span in here), max(span.end for span in here), now)
            for zone, here in sorted(zones.items())
        }

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
