"""What a request builds on: the jobs it names, whether it may, and where the weights lie that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from daemon.domain.caller import Caller
from daemon.domain.errors import NotFound, Rejected
from daemon.domain.job import Job, JobRequest
from daemon.domain.states import JobState
from daemon.service.seeing import seen_job
from daemon.service.snapshot import Weights
from daemon.store import Reader, Store
from jobs.energy.size import weights_gb
from jobs.spec import SynthesisWorkload, TrainingWorkload


@dataclass(frozen=True, slots=True)
class Predecessors:
    """The jobs a request names, as they are now; `trained_by` is the one whose weights it uses, `weights` where they lie."""

    jobs: Mapping[str, Job]
    trained_by: Job | None = None
    weights: Mapping[str, Weights] = field(default_factory=dict)

    def expected_ends(self) -> list[datetime]:
        """When those that are under way or wait should have ended, as far as they have a plan."""
        planned = [job.planned for job in self.jobs.values() if job.planned and not job.state.is_final]
        return [max(segment.end for segment in segments) for segments in planned]


def predecessors_of(store: Store, request: JobRequest, caller: Caller) -> Predecessors:
    """Raises Rejected for a job that does not exist or that the caller does not see, can no longer succeed or makes no fitting weights."""
    workload = request.workload
    source = workload.weights.job if isinstance(workload, SynthesisWorkload) else None
    named = [("constraints.after", name) for name in request.constraints.after]
    if source is not None:
        named.append(("workload.weights.job", source))
    if not named:
        return Predecessors({})
    with store.read() as reader:
        jobs = {name: _job(reader, field, name, caller) for field, name in named}
        runs = reader.runs(source) if source is not None else []
    if source is None:
        return Predecessors(jobs)
    _check_weights(request, jobs[source])
    weights = {source: Weights(runs[-1].site, weights_gb(workload.model))} if runs else {}
    return Predecessors(jobs, jobs[source], weights)


def _job(reader: Reader, field: str, name: str, caller: Caller) -> Job:
    try:
        job = seen_job(reader, name, caller)
    except NotFound:
        raise Rejected(field, f"there is no job {name!r}: name one that was submitted before") from None
    if job.state.is_final and job.state is not JobState.SUCCEEDED:
        raise Rejected(field, f"job {name} has {job.state} and can never be built upon: submit it again first")
    return job


def _check_weights(request: JobRequest, source: Job) -> None:
    """Weights fit only the model they were trained for."""
    if not isinstance(source.workload, TrainingWorkload):
        raise Rejected("workload.weights.job", f"job {source.id} is not a training job: name one that makes weights")
    if source.workload.model != request.workload.model:
        raise Rejected(
            "workload.model",
            f"differs from the model job {source.id} trains ({source.workload.model.model_dump_json()}): use the same",
        )
