"""Where a job may run: its own list, the data it carries, the size of the site, and where its data lies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from daemon.domain.errors import Rejected
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
    admitted = [site for site in named if site.admits_data(job.needs) and has_room(job, site)]
    return sorted(admitted, key=lambda site: (site.name != job.home, site.name))


def has_room(job: Job, site: Site) -> bool:
    """Whether the site is large enough: GPUs, and cores for the threads where they are known."""
    return site.gpus >= job.request.constraints.gpus and (site.cores is None or site.cores >= _processes(job) * job.workload.threads)


def widest(job: Job, sites: Iterable[Site], batches: int, most: int) -> int:
    """How many runs of the job may be under way at once: 1 but for chunks of a synthesis.

    Bounded by the GPUs of the `sites` it may use, by its `batches` (each made by one run), by its own wish and by `most`.
    """
    if not job.is_divisible:
        return 1
    constraints = job.request.constraints
    places = sum(site.gpus // constraints.gpus for site in sites)
    return max(1, min(places, batches, most, constraints.max_parallel or most))


def check_threads(job: Job, sites: Mapping[str, Site]) -> None:
    """Raises Rejected for more threads than any allowed site has cores: they would only starve its host.

    Sites with too few GPUs are not asked; where all are, it is the GPUs that must be refused.
    """
    named = [sites[name] for name in allowed_names(job.request, job.home, sites)]
    allowed = [site for site in named if site.gpus >= job.request.constraints.gpus]
    most = max((site.cores for site in allowed if site.cores is not None), default=0)
    threads, processes = job.workload.threads, _processes(job)
    if not allowed or any(site.cores is None for site in allowed) or most >= threads * processes:
        return
    fitting = most // processes
    remedy = f"ask for {fitting} or fewer" if fitting else f"ask for {most} GPUs or fewer"
    asked = f"{threads} threads" if processes == 1 else f"{threads} threads in each of {processes} processes"
    raise Rejected("workload.threads", f"{asked} are more than any allowed site has cores ({most}): {remedy}")


def _processes(job: Job) -> int:
    """How many one attempt starts on its host: a training's devices have one each, all with the threads it asks for."""
    return job.request.constraints.gpus if isinstance(job.workload, TrainingWorkload) else 1


def check_sharing(job: Job) -> None:
    """Raises Rejected where the GPUs that a job asks for would not all work."""
    gpus = job.request.constraints.gpus
    if isinstance(job.workload, TrainingWorkload):
        error = job.workload.sharing_error(gpus)
        if error is not None:
            raise Rejected("workload.batch_size", error)
    elif gpus > 1:
        raise Rejected(
            "constraints.gpus",
            f"{gpus} GPUs for a synthesis, whose runs work on one each: ask for 1; its chunks run side by side (constraints.max_parallel)",
        )


def allowed_names(request: JobRequest, home: str, sites: Mapping[str, Site]) -> tuple[str, ...]:
    """The sites the request allows. Files at a path lie at home unless the request says where else."""
    if request.constraints.sites is not None:
        return request.constraints.sites
    workload = request.workload
    lies_at_home = workload.weights.path is not None if isinstance(workload, SynthesisWorkload) else workload.data.path is not None
    return (home,) if lies_at_home else tuple(sites)
