"""What a job would emit now, later, elsewhere and in other months, and what spending less would save beside spending later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from daemon.domain.job import Job
from daemon.domain.plan import Placement, PlanJob, SiteOption, Unplaced
from daemon.domain.power_hungry import comparison_line
from daemon.domain.site import Site
from daemon.service.almanac import AlmanacOf, almanac_view
from daemon.service.bands import centred, difference, product, relative, saved, scaled, stretched, times
from daemon.service.board import Board
from daemon.service.costs import Costs
from daemon.service.job_views import AdviceView, LeverView, MonthView, SiteEstimateView
from daemon.service.levers import Lever, levers
from daemon.service.policy import Workplaces
from daemon.service.render import band_view, per_1000
from daemon.service.snapshot import OutlookOf
from daemon.service.views import AlmanacView, BandView
from forecast.clock import Clock
from forecast.intensity import PeriodMean, Rung
from forecast.timeline import HOUR, Interval, floor_to
from jobs.energy.model import Band, Estimate
from jobs.spec import SynthesisWorkload

MeansOf = Callable[[str], Sequence[PeriodMean]]  # zone -> its recorded monthly and yearly means
LONGEST_MONTH = timedelta(days=32)


class Adviser:
    """Answers for one job at a time. Reads the outlook and the board, changes nothing."""

    def __init__(
        self,
        workplaces: Workplaces,
        costs: Costs,
        board: Board,
        outlook: OutlookOf,
        means_of: MeansOf,
        almanac_of: AlmanacOf,
        clock: Clock,
    ) -> None:
        self._sites = {name: place.site for name, place in workplaces.items()}
        self._costs, self._board, self._outlook, self._clock = costs, board, outlook, clock
        self._means_of, self._almanac_of = means_of, almanac_of

    def advise(self, job: Job, planned: PlanJob, preview: Placement | Unplaced) -> AdviceView:
        """`planned` is the job as the planner sees it, `preview` what it would get now."""
        home = self._sites[job.home]
        at_once = self._at_once(job, home, planned.earliest, 0.0)[0]
        now = self._blurred(job, home, at_once)
        best = self._best(job, preview)
        grams = _placed(preview) if isinstance(preview, Placement) else at_once
        return AdviceView(
            now_g=_view(now),
            best_g=_view(best),
            by_site=[self._site(job, planned, option) for option in planned.options],
            by_month=self._months(job, home),
            almanac=self._almanac(job, home),
            spend_later=self._later(job, at_once, planned, preview),
            spend_less=[self._less(job, lever, grams, preview) for lever in levers(job.workload)],
            comparison=self._comparison(job, best),
        )

    def _site(self, job: Job, planned: PlanJob, option: SiteOption) -> SiteEstimateView:
        """The whole job at that one site."""
        site = self._sites[option.site]
        estimate = self._costs.estimate(job.request, site.hardware)
        now, rung = self._at_once(job, site, planned.earliest, option.transfer_kwh)
        window = self._board.preview(replace(planned, options=(option,)))
        placed = window if isinstance(window, Placement) else None
        return SiteEstimateView(
            site=site.name,
            zone=site.zone,
            hardware=site.hardware,
            energy_kwh=band_view(estimate.energy_kwh),
            duration_hours=band_view(estimate.duration_seconds, self._clock.rate / 3600),
            now_g=_view(self._blurred(job, site, now)),
            best_g=_view(self._best(job, window)),
            best_start=placed.segments[0].start if placed else None,
            best_end=placed.end if placed else None,
            rung=rung.label if rung is not None else None,
            reason=window.reason,
        )

    def _at_once(self, job: Job, site: Site, start: datetime, transfer_kwh: float) -> tuple[Band | None, Rung | None]:
        """Facility emissions if the job began at `start` and never paused, whatever else is there; and the worst rung of those hours.

        The interval is that of the intensity alone, as in the planner's placements.
        """
        estimate = self._costs.estimate(job.request, site.hardware)
        begin = max(start, self._clock.now())
        span = Interval(begin, begin + timedelta(seconds=max(1.0, self._clock.grid_seconds(estimate.duration_seconds.mid))))
        intensity, rung = self._mean_intensity(site.zone, span)
        if intensity is None:
            return None, None
        return scaled(intensity, estimate.energy_kwh.mid * site.pue + transfer_kwh), rung

    def _mean_intensity(self, zone: str, span: Interval) -> tuple[Band | None, Rung | None]:
        """gCO2e/kWh over the span; its bounds are the means of the hours' bounds: hours of one zone err together."""
        first = floor_to(span.start, HOUR)
        hours = [span.overlap(hour) for hour in Interval(first, span.end).cut(HOUR)]
        weights = np.array([hour.seconds if hour is not None else 0.0 for hour in hours])
        outlook = self._outlook(zone, first, HOUR, len(hours), self._clock.now())
        if np.isnan(outlook.g_per_kwh).any():
            return None, None
        low, mid, high = (float(np.average(values, weights=weights)) for values in (outlook.low, outlook.g_per_kwh, outlook.high))
        return Band(low, mid, high), Rung(int(outlook.rung.max()))

    def _blurred(self, job: Job, site: Site, grams: Band | None) -> Band | None:
        """The same with the uncertainty of the energy on that site's hardware."""
        energy = self._costs.estimate(job.request, site.hardware).energy_kwh
        return None if grams is None else product(relative(energy), grams)

    def _best(self, job: Job, window: Placement | Unplaced) -> Band | None:
        """Emissions in a window."""
        if isinstance(window, Unplaced):
            return None
        return self._blurred(job, self._sites[window.segments[0].site], _placed(window))

    def _estimate_at(self, job: Job, window: Placement) -> Estimate:
        """On the hardware where the window begins."""
        return self._costs.estimate(job.request, self._sites[window.segments[0].site].hardware)

    def _months(self, job: Job, home: Site) -> list[MonthView]:
        """At the newest known mean of each calendar month, at home. The interval is that of the energy alone."""
        energy = scaled(self._costs.estimate(job.request, home.hardware).energy_kwh, home.pue)
        return [
            MonthView(
                month=f"{mean.interval.start:%Y-%m}",
                zone=home.zone,
                g_per_kwh=mean.g_per_kwh,
                g=band_view(scaled(energy, mean.g_per_kwh)),
                source=mean.source,
            )
            for mean in newest_months(self._means_of(home.zone))
        ]

    def _almanac(self, job: Job, home: Site) -> AlmanacView | None:
        """The months of the home's zone with the whole job at home in each."""
        almanac = self._almanac_of(home.zone)
        if almanac is None:
            return None
        return almanac_view(almanac, self._clock.now(), scaled(self._costs.estimate(job.request, home.hardware).energy_kwh, home.pue))

    def _later(self, job: Job, at_once: Band | None, planned: PlanJob, window: Placement | Unplaced) -> LeverView | None:
        """Waiting for (and moving to) the previewed window, against starting as soon as it may at home; None if that is the window.

        The energy is taken to err in both alike.
        """
        if at_once is None or isinstance(window, Unplaced) or _is_at_once(window, job.home, planned.earliest):
            return None
        home = self._costs.estimate(job.request, self._sites[job.home].hardware)
        there = self._estimate_at(job, window)
        end = planned.earliest + timedelta(seconds=self._clock.grid_seconds(home.duration_seconds.mid))
        wait_hours = (end - window.end).total_seconds() / 3600
        if there == home:
            kwh, hours = Band(0.0, 0.0, 0.0), Band(wait_hours, wait_hours, wait_hours)
        else:
            kwh = difference(home.energy_kwh, there.energy_kwh)
            hours = centred(scaled(difference(home.duration_seconds, there.duration_seconds), self._clock.rate / 3600), wait_hours)
        return LeverView(
            change=f"the best window, from {window.segments[0].start:%Y-%m-%d %H:%M} UTC at {window.segments[0].site}",
            saved_g=band_view(stretched(difference(at_once, _placed(window)), relative(home.energy_kwh))),
            saved_kwh=band_view(kwh),
            saved_hours=band_view(hours),
            caveat="Quality stays as it is; the result only comes later.",
        )

    def _less(self, job: Job, lever: Lever, grams: Band | None, window: Placement | Unplaced) -> LeverView:
        """The lever on the hardware of the window, at the intensity of the window, whose interval `grams` has."""
        hardware = self._sites[window.segments[0].site if isinstance(window, Placement) else job.home].hardware
        precision = lever.workload.precision
        if precision != job.workload.precision and not self._costs.knows(hardware, precision):
            unknown = f"What it saves is unknown: nothing was measured in {precision} on {hardware}; `lowtide profile` would tell."
            return LeverView(change=lever.change, saved_g=None, saved_kwh=None, saved_hours=None, caveat=f"{lever.caveat} {unknown}")
        before = self._costs.estimate(job.request, hardware)
        after = self._costs.estimate(job.request.model_copy(update={"workload": lever.workload}), hardware)
        kwh = saved(before, after, lambda estimate: estimate.energy_kwh)
        hours = scaled(saved(before, after, lambda estimate: estimate.duration_seconds), self._clock.rate / 3600)
        return LeverView(
            change=lever.change,
            saved_g=None if grams is None else band_view(times(kwh, scaled(grams, 1 / before.energy_kwh.mid))),
            saved_kwh=band_view(kwh),
            saved_hours=band_view(hours),
            caveat=lever.caveat,
        )

    def _comparison(self, job: Job, best: Band | None) -> str | None:
        """Beside published tasks, for a synthesis."""
        if not isinstance(job.workload, SynthesisWorkload):
            return None
        samples = job.workload.samples
        energy = self._costs.estimate(job.request, self._sites[job.home].hardware).energy_kwh.mid
        return comparison_line(energy / samples * 1000, per_1000(best.mid if best else None, samples))


def newest_months(means: Iterable[PeriodMean]) -> list[PeriodMean]:
    """The newest mean of each calendar month, in order of time; of equal months the last given."""
    newest: dict[int, PeriodMean] = {}
    for mean in means:
        if mean.interval.duration < LONGEST_MONTH:
            known = newest.get(mean.interval.start.month)
            if known is None or mean.interval.start >= known.interval.start:
                newest[mean.interval.start.month] = mean
    return sorted(newest.values(), key=lambda mean: mean.interval.start)


def _placed(window: Placement) -> Band:
    """The planner's expectation; its interval is that of the intensity."""
    return Band(window.low_g, window.expected_g, window.high_g)


def _is_at_once(window: Placement, home: str, earliest: datetime) -> bool:
    """Whether the window is the very thing it would be compared with."""
    first = window.segments[0]
    return len(window.segments) == 1 and first.site == home and first.start <= earliest


def _view(band: Band | None) -> BandView | None:
    return None if band is None else band_view(band)
