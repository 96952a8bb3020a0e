"""The terms that a job's account is opened on."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.domain.accounting import JOULES_PER_KWH, Conversion
from daemon.domain.site import Site
from daemon.domain.terms import AccountTerms, SiteTerms
from daemon.service.admission import admissible_sites, widest
from daemon.service.costs import Costs
from daemon.service.work import JobWork


def terms_of(work: JobWork, sites: Mapping[str, Site], costs: Costs, rate: float, max_parallel: int) -> AccountTerms:
    """As `sites` and `costs` are now, for home and wherever the job ran or might have run; `rate` is grid seconds in a real one."""
    admissible = admissible_sites(work.job, sites)
    others = {site.name for site in admissible} | {run.site for run in work.runs}
    names = [work.job.home, *sorted(others - {work.job.home})]
    admitted = frozenset(site.name for site in admissible)
    width = widest(work.job, admissible, JobWork(work.job).batches_left, max_parallel)
    return AccountTerms(tuple(_site_terms(work, sites[name], sites[work.job.home], costs, rate, admitted) for name in names), width)


def _site_terms(work: JobWork, site: Site, home: Site, costs: Costs, rate: float, admitted: frozenset[str]) -> SiteTerms:
    gpus = work.job.request.constraints.gpus
    to_home = costs.conversion(work.job.workload, gpus, site.hardware, home.hardware)
    watts = _expected_watts(work, site, to_home, costs, rate)
    places = site.gpus // gpus if site.name in admitted else 0
    return SiteTerms(site.name, site.zone, site.pue, site.transfer_kwh_per_gb, to_home, watts, places)


def _expected_watts(work: JobWork, site: Site, to_home: Conversion, costs: Costs, rate: float) -> float:
    """Component power that the job was expected to draw at the site.

    As estimated at acceptance, converted to the site's hardware; what the site's model says for a job without such an estimate.
    """
    job = work.job
    if not job.estimated_energy_kwh or not job.estimated_seconds:
        return costs.estimate(job.request, site.hardware).power_watts
    at_home = job.estimated_energy_kwh * JOULES_PER_KWH / (job.estimated_seconds / rate)
    return at_home * to_home.duration / to_home.energy
