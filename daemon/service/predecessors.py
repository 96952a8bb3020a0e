"""What a request builds on: the jobs it names, whether it may, and where the weights lie that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from daemon.domain.caller import Caller
from daemon.domain.errors import Rejected
from daemon.domain.job import Job, JobRequest
from daemon.domain.states import JobState
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
    """Of a new request. Raises Rejected for a job that is not there to the caller, can no longer succeed or makes no fitting weights."""
    source = _source(request)
    named = [("constraints.after", name) for name in request.constraints.after]
    if source is not None:
        named.append(("workload.weights.job", source))
    if not named:
        return Predecessors({})
    with store.read() as reader:
        jobs = reader.jobs_among([name for _, name in named])
        for field, name in named:
            _check(field, name, jobs.get(name), caller)
        found = _gathered(reader, request, jobs)
    if found.trained_by is not None:
        _check_weights(request, found.trained_by)
    return found


def predecessors_of_known(store: Store, job: Job) -> Predecessors:
    """Of a job that was accepted before, whatever has become of them."""
    if not job.predecessors:
        return Predecessors({})
    with store.read() as reader:
        return _gathered(reader, job.request, {one.id: one for one in reader.jobs_named(job.predecessors)})


def _gathered(reader: Reader, request: JobRequest, jobs: Mapping[str, Job]) -> Predecessors:
    source = _source(request)
    if source is None:
        return Predecessors(jobs)
    runs = reader.runs(source)
    weights = {source: Weights(runs[-1].site, weights_gb(request.workload.model))} if runs else {}
    return Predecessors(jobs, jobs[source], weights)


def _source(request: JobRequest) -> str | None:
    """The job whose weights the request uses."""
    return request.workload.weights.job if isinstance(request.workload, SynthesisWorkload) else None


def _check(field: str, name: str, job: Job | None, caller: Caller) -> None:
    if job is None or not caller.sees(job):
        raise Rejected(field, f"there is no job {name!r}: name one that was submitted before")
    if job.state.is_final and job.state is not JobState.SUCCEEDED:
        raise Rejected(field, f"job {name} has {job.state} and can never be built upon: submit it again first")


def _check_weights(request: JobRequest, source: Job) -> None:
    """Weights fit only the model they were trained for."""
    if not isinstance(source.workload, TrainingWorkload):
        raise Rejected("workload.weights.job", f"job {source.id} is not a training job: name one that makes weights")
    if source.workload.model != request.workload.model:
        raise Rejected(
            "workload.model",
            f"differs from the model job {source.id} trains ({source.workload.model.model_dump_json()}): use the same",
        )
