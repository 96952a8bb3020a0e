"""Where a job may run: its own list, the data it carries, the size of the site, and where its data lies."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.domain.job import DataTag, Job, JobRequest
from daemon.domain.site import Site
from jobs.spec import SynthesisWorkload, TrainingWorkload


def data_tag(request: JobRequest, trained_on: DataTag | None, *, weights_may_travel: bool) -> DataTag:
    """What a site must admit. Weights are as sensitive as what they were trained on; of unknown origin, they are derived.

    Where a project's weights may not travel, they stay on sites that admit the patient data itself.
    """
    workload = request.workload
    if isinstance(workload, TrainingWorkload):
        return DataTag(workload.data.effective_class)
    if trained_on is DataTag.PUBLIC:
        return DataTag.PUBLIC
    return DataTag.DERIVED if weights_may_travel else DataTag.PATIENT_DATA


def admissible_sites(job: Job, sites: Mapping[str, Site]) -> list[Site]:
    """The sites that may run the job, home first."""
    named = [sites[name] for name in allowed_names(job.request, job.home, sites) if name in sites]
    admitted = [site for site in named if site.admits_data(job.needs) and site.gpus >= job.request.constraints.gpus]
    return sorted(admitted, key=lambda site: (site.name != job.home, site.name))


def allowed_names(request: JobRequest, home: str, sites: Mapping[str, Site]) -> tuple[str, ...]:
    """The sites the request allows. Files at a path lie at home unless the request says where else."""
    if request.constraints.sites is not None:
        return request.constraints.sites
    workload = request.workload
    lies_at_home = workload.weights.path is not None if isinstance(workload, SynthesisWorkload) else workload.data.path is not None
    return (home,) if lies_at_home else tuple(sites)
