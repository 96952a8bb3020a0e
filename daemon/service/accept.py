"""Accepting jobs: validate against the sites, estimate, record job and first event in one transaction, preview."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from daemon.clock import Clock
from daemon.domain.errors import Conflict, NotFound, Rejected
from daemon.domain.ids import new_id
from daemon.domain.job import DataTag, Event, Job, JobRequest
from daemon.domain.plan import Placement, Unplaced
from daemon.domain.states import JobState
from daemon.service.admission import admissible_sites, allowed_names, data_tag
from daemon.service.board import Board
from daemon.service.costs import Costs
from daemon.service.policy import Policy, Workplaces
from daemon.service.render import estimate_view, job_view, preview_view
from daemon.service.snapshot import Photographer, Weights
from daemon.service.views import EstimateAnswer, Submission
from daemon.service.work import JobWork
from daemon.store import StaleWrite, Store
from jobs.energy.size import weights_gb
from jobs.spec import SynthesisWorkload, TrainingWorkload


@dataclass(frozen=True, slots=True)
class Predecessors:
    """What a request builds on: the jobs it names, as they are now, and where the weights lie."""

    jobs: Mapping[str, Job]
    weights: Mapping[str, Weights]


class Acceptance:
    """Turns requests into jobs. Nothing is committed to a plan here: the tick decides."""

    def __init__(
        self, store: Store, workplaces: Workplaces, costs: Costs, photographer: Photographer, board: Board, clock: Clock, policy: Policy
    ) -> None:
        self._store, self._costs, self._photographer, self._board = store, costs, photographer, board
        self._sites = {name: place.site for name, place in workplaces.items()}
        self._data_roots = {name: place.data_root for name, place in workplaces.items()}
        self._clock, self._policy = clock, policy

    def submit(self, request: JobRequest, idempotency_key: str | None, digest: str) -> tuple[Submission, bool]:
        """Accept the job, once per key. Raises Rejected, and Conflict for a known key with another request."""
        if idempotency_key is not None:
            known = self._known(idempotency_key, digest)
            if known is not None:
                return self._answer(known, self._predecessors(known.request)), False
        predecessors = self._predecessors(request)
        job = self._job(request, predecessors)
        event = Event(job.id, job.accepted_at, "accepted", f"accepted: {request.workload.kind}, to end by {job.deadline.isoformat()}")
        try:
            with self._store.write() as writer:
                writer.add_job(job, event, (idempotency_key, digest) if idempotency_key is not None else None)
        except StaleWrite:
            known = self._known(idempotency_key, digest) if idempotency_key is not None else None
            if known is None:
                raise
            return self._answer(known, predecessors), False
        return self._answer(job, predecessors), True

    def estimate(self, request: JobRequest) -> EstimateAnswer:
        """What a submission would answer, without one. Raises Rejected."""
        predecessors = self._predecessors(request)
        answer = self._answer(self._job(request, predecessors), predecessors)
        return EstimateAnswer(estimate=answer.estimate, preview=answer.preview)

    def _known(self, key: str, digest: str) -> Job | None:
        with self._store.read() as reader:
            known = reader.idempotent(key)
            if known is None:
                return None
            job_id, old_digest = known
            if old_digest != digest:
                raise Conflict(f"Idempotency-Key {key!r} was used for another request (job {job_id}): use a new key for a new job")
            return reader.job(job_id)

    def _predecessors(self, request: JobRequest) -> Predecessors:
        """The jobs the request builds on. Raises Rejected for one that does not exist or can no longer succeed."""
        workload = request.workload
        source = workload.weights.job if isinstance(workload, SynthesisWorkload) else None
        named = [("constraints.after", name) for name in request.constraints.after]
        if source is not None:
            named.append(("workload.weights.job", source))
        if not named:
            return Predecessors({}, {})
        with self._store.read() as reader:
            jobs: dict[str, Job] = {}
            for field, name in named:
                try:
                    jobs[name] = reader.job(name)
                except NotFound:
                    raise Rejected(field, f"there is no job {name!r}: name one that was submitted before") from None
                if jobs[name].state.is_final and jobs[name].state is not JobState.SUCCEEDED:
                    raise Rejected(field, f"job {name} has {jobs[name].state} and can never be built upon: submit it again first")
            runs = reader.runs(source) if source is not None else []
        if source is not None:
            _check_weights(request, jobs[source])
        weights = {source: Weights(runs[-1].site, weights_gb(workload.model))} if source is not None and runs else {}
        return Predecessors(jobs, weights)

    def _job(self, request: JobRequest, predecessors: Predecessors) -> Job:
        """The job this request would become. Raises Rejected naming the field."""
        now = self._clock.now()
        constraints = request.constraints
        home = constraints.home or self._policy.default_home
        for field, names in (("constraints.home", (home,)), ("constraints.sites", constraints.sites or ())):
            for name in names:
                if name not in self._sites:
                    raise Rejected(field, f"there is no site {name!r}; known: {', '.join(sorted(self._sites))}")
        job = Job(
            id=new_id("j", now),
            request=request,
            state=JobState.WAITING,
            reason="accepted; the next plan finds its window",
            accepted_at=now,
            home=home,
            deadline=constraints.deadline or max(now, constraints.earliest_start or now) + self._policy.maximum_delay,
            needs=self._needs(request, predecessors),
        )
        self._check_sites(job)
        self._check_paths(job)
        estimate = self._costs.estimate(request, self._sites[home].hardware)
        seconds = self._clock.grid_seconds(estimate.duration_seconds.mid)
        self._check_deadline(job, now)
        return replace(job, estimated_energy_kwh=estimate.energy_kwh.mid, estimated_seconds=seconds)

    def _needs(self, request: JobRequest, predecessors: Predecessors) -> DataTag:
        workload = request.workload
        source = workload.weights.job if isinstance(workload, SynthesisWorkload) else None
        trained_on = predecessors.jobs[source].needs if source is not None else None
        return data_tag(request, trained_on, weights_may_travel=request.project not in self._policy.homebound_projects)

    def _check_sites(self, job: Job) -> None:
        admitted = admissible_sites(job, self._sites)
        allowed = allowed_names(job.request, job.home, self._sites)
        if not admitted:
            largest = max(self._sites[name].gpus for name in allowed)
            if largest < job.request.constraints.gpus:
                raise Rejected(
                    "constraints.gpus", f"{job.request.constraints.gpus} GPUs are more than any allowed site has ({largest}): ask for fewer"
                )
            raise Rejected(
                "constraints.sites",
                f"no allowed site ({', '.join(allowed)}) admits {job.needs}: allow another site or add it to the site's 'admits'",
            )
        if not self._sites[job.home].admits_data(job.needs):
            raise Rejected(
                "constraints.home",
                f"home {job.home!r} does not admit {job.needs}, so it cannot be the baseline: name one of "
                f"{', '.join(site.name for site in admitted)}",
            )

    def _check_paths(self, job: Job) -> None:
        """An absolute path must lie below the data root of a site that may run the job."""
        workload = job.workload
        field, path = (
            ("workload.data.path", workload.data.path)
            if isinstance(workload, TrainingWorkload)
            else ("workload.weights.path", workload.weights.path)
        )
        if path is None or not PurePosixPath(path).is_absolute():
            return
        roots = [self._data_roots[site.name] for site in admissible_sites(job, self._sites)]
        if not any(PurePosixPath(path).is_relative_to(root) for root in roots):
            raise Rejected(field, "is outside the data root of every allowed site: give a path relative to the site's data root")

    def _check_deadline(self, job: Job, now: datetime) -> None:
        if job.deadline <= now:
            raise Rejected(
                "constraints.deadline", f"{job.deadline.isoformat()} is not in the future (it is {now.isoformat()}): choose a later one"
            )
        begin = max(now, job.request.constraints.earliest_start or now)
        fastest = min(
            self._clock.grid_seconds(self._costs.estimate(job.request, site.hardware).duration_seconds.mid)
            for site in admissible_sites(job, self._sites)
        )
        soonest = begin + timedelta(seconds=fastest)
        if job.deadline < soonest:
            raise Rejected(
                "constraints.deadline",
                f"the work takes about {fastest / 3600:.1f} h and cannot end before {soonest.isoformat(timespec='minutes')}: "
                "choose a later deadline or less work",
            )

    def _answer(self, job: Job, predecessors: Predecessors) -> Submission:
        work = JobWork(job)
        if job.state.is_final:
            preview: Placement | Unplaced = Unplaced(job.id, job.reason)
        else:
            planned = self._photographer.plan_job(work, predecessors.weights, frozenset())
            preview = self._board.preview(replace(planned, earliest=max([planned.earliest, *_expected_ends(predecessors)])))
        home = self._sites[job.home]
        estimate = self._costs.estimate(job.request, home.hardware)
        return Submission(
            job=job_view(work, None),
            estimate=estimate_view(estimate, home.hardware, job, preview, self._clock),
            preview=preview_view(preview),
        )


def _check_weights(request: JobRequest, source: Job) -> None:
    """Weights fit only the model they were trained for."""
    if not isinstance(source.workload, TrainingWorkload):
        raise Rejected("workload.weights.job", f"job {source.id} is not a training job: name one that makes weights")
    if source.workload.model != request.workload.model:
        raise Rejected(
            "workload.model",
            f"differs from the model job {source.id} trains ({source.workload.model.model_dump_json()}): use the same",
        )


def _expected_ends(predecessors: Predecessors) -> list[datetime]:
    """When the jobs it builds on should have ended, as far as they have a plan."""
    return [job.planned[-1].end for job in predecessors.jobs.values() if job.planned and not job.state.is_final]
