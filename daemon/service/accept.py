"""Accepting jobs: validate against the sites, estimate, record job and first event in one transaction, preview."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from typing import TypeVar

from daemon.domain.caller import OPERATOR, Caller
from daemon.domain.errors import Conflict, Rejected
from daemon.domain.ids import new_id
from daemon.domain.job import DataTag, Event, Job, JobRequest
from daemon.domain.plan import Placement, PlanJob, Unplaced
from daemon.domain.site import Site
from daemon.domain.states import JobState
from daemon.service.admission import admissible_sites, allowed_names, check_sharing, check_threads, data_tag, widest
from daemon.service.advice import Adviser
from daemon.service.arrival import Arrival, Outcome
from daemon.service.board import Board
from daemon.service.costs import Costs
from daemon.service.job_views import EstimateAnswer, Submission
from daemon.service.policy import Policy, Workplaces
from daemon.service.predecessors import Predecessors, predecessors_of, predecessors_of_known
from daemon.service.quota import Room
from daemon.service.render import estimate_view, job_view, preview_view
from daemon.service.snapshot import Photographer
from daemon.service.work import JobWork
from daemon.store import StaleWrite, Store, StoreUnavailable
from forecast.clock import Clock
from jobs.spec import TrainingWorkload

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A job that is accepted as soon as it is on disk, and the answer to give then."""

    arrival: Arrival
    job: Job
    event: Event
    answer: Submission

    @property
    def record(self) -> tuple[Job, Event, tuple[str, str] | None]:
        key = self.arrival.idempotency_key
        return self.job, self.event, None if key is None else (key, self.arrival.digest)


class Acceptance:
    """Turns requests into jobs. Nothing is committed to a plan here: the tick decides."""

    def __init__(
        self,
        store: Store,
        workplaces: Workplaces,
        costs: Costs,
        photographer: Photographer,
        board: Board,
        clock: Clock,
        policy: Policy,
        adviser: Adviser,
        most_jobs: int,
    ) -> None:
        self._store, self._costs, self._photographer, self._board = store, costs, photographer, board
        self._sites = {name: place.site for name, place in workplaces.items()}
        self._data_roots = {name: place.data_root for name, place in workplaces.items()}
        self._clock, self._policy, self._adviser = clock, policy, adviser
        self._most_jobs = most_jobs

    def submit(self, request: JobRequest, idempotency_key: str | None, digest: str) -> tuple[Submission, bool]:
        """Accept the job, once per key. Raises Rejected, and Conflict for a known key with another request."""
        outcome = self.submit_all([Arrival(request, idempotency_key, digest)])[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def submit_all(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        """Accept jobs that arrived together with one trip to the disk. Each gets what it would get alone, an error as a value."""
        room = Room(self._store, self._most_jobs)
        prepared = [self._attempted(partial(self._prepared, room), arrival) for arrival in arrivals]
        recorded = iter(self._recorded([one for one in prepared if isinstance(one, _Prepared)]))
        return [next(recorded) if isinstance(one, _Prepared) else one for one in prepared]

    def _prepared(self, room: Room, arrival: Arrival) -> _Prepared | tuple[Submission, bool]:
        """All but the writing, or the answer that the same key got before. Raises Rejected, Forbidden, TooMany, Conflict."""
        known = self._known(arrival)
        if known is not None:
            return known, False
        request = arrival.caller.own(arrival.request)
        predecessors = predecessors_of(self._store, request, arrival.caller)
        job = replace(self._job(request, predecessors), owner=arrival.owner)
        room.take(job)
        event = Event(job.id, job.accepted_at, "accepted", f"accepted: {request.workload.kind}, to end by {job.deadline.isoformat()}")
        return _Prepared(arrival, job, event, self._answer(job, predecessors))

    def _recorded(self, prepared: Sequence[_Prepared]) -> list[Outcome]:
        """All in one transaction; where one of them stands in the way, each in its own."""
        if not prepared:
            return []
        try:
            with self._store.write() as writer:
                writer.add_jobs([one.record for one in prepared])
        except StoreUnavailable as error:
            return [error for _ in prepared]
        except Exception:  # noqa: BLE001  # one came before, or cannot be written: alone each finds out whether it is the one
            return [self._attempted(self._recorded_alone, one) for one in prepared]
        return [(one.answer, True) for one in prepared]

    def _recorded_alone(self, prepared: _Prepared) -> tuple[Submission, bool]:
        try:
            with self._store.write() as writer:
                writer.add_job(*prepared.record)
        except StaleWrite:
            known = self._known(prepared.arrival)
            if known is None:
                raise
            return known, False
        return prepared.answer, True

    @staticmethod
    def _attempted(act: Callable[[A], B], on: A) -> B | Exception:
        """What went wrong with one of several is its own affair."""
        try:
            return act(on)
        except Exception as error:  # noqa: BLE001  # handed to whoever submitted it
            return error

    def estimate(self, request: JobRequest, caller: Caller = OPERATOR) -> EstimateAnswer:
        """What a submission would answer, without one. Raises Rejected, Forbidden."""
        request = caller.own(request)
        predecessors = predecessors_of(self._store, request, caller)
        job = self._job(request, predecessors)
        answer = self._answer(job, predecessors)
        planned = self._planned(job, predecessors)
        return EstimateAnswer(
            estimate=answer.estimate, preview=answer.preview, advice=self._adviser.advise(job, planned, self._board.preview(planned))
        )

    def _known(self, arrival: Arrival) -> Submission | None:
        """The answer for the job that was submitted with this key before. Raises Conflict if it was another request.

        The same body is the same request whatever this version makes of it; so is another body that asks for the same.
        """
        key = arrival.idempotency_key
        if key is None:
            return None
        with self._store.read() as reader:
            known = reader.idempotent(key, arrival.owner)
            if known is None:
                return None
            job_id, old_digest = known
            job = reader.job(job_id)
        if arrival.digest != old_digest and arrival.caller.own(arrival.request) != job.request:
            raise Conflict(f"Idempotency-Key {key!r} was used for another request (job {job_id}): use a new key for a new job")
        return self._answer(job, predecessors_of_known(self._store, job))

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
        job = self._measured(job)
        self._check_deadline(job, now)
        return replace(job, estimated_energy_kwh=estimate.energy_kwh.mid, estimated_seconds=seconds)

    def _needs(self, request: JobRequest, predecessors: Predecessors) -> DataTag:
        """Weights stay home if the project that trained them says so, whatever project uses them."""
        source = predecessors.trained_by
        projects = {request.project} if source is None else {request.project, source.request.project}
        may_travel = projects.isdisjoint(self._policy.homebound_projects)
        return data_tag(request, None if source is None else source.needs, weights_may_travel=may_travel)

    def _check_sites(self, job: Job) -> None:
        check_threads(job, self._sites)
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
        check_sharing(job)

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
        begin, shortest_seconds = max(now, job.request.constraints.earliest_start or now), job.shortest_seconds or 0.0
        if (job.deadline - begin).total_seconds() < shortest_seconds:
            raise Rejected(
                "constraints.deadline",
                f"the work takes about {shortest_seconds / 3600:,.1f} h and begins at "
                f"{begin.isoformat(timespec='minutes')} at the earliest: choose a later deadline or less work",
            )

    def _measured(self, job: Job) -> Job:
        """The job with what it asks of the GPUs where it may run."""
        sites = admissible_sites(job, self._sites)
        width = widest(job, sites, JobWork(job).batches_left, self._policy.max_parallel)
        shortest_seconds = min(self._seconds_at(job, site, width) for site in sites)
        return replace(job, gpus_at_most=job.request.constraints.gpus * width, shortest_seconds=shortest_seconds)

    def _seconds_at(self, job: Job, site: Site, width: int) -> float:
        """Grid seconds of the work with as many runs side by side, each with a start-up of its own."""
        estimate = self._costs.estimate(job.request, site.hardware)
        seconds = estimate.duration_seconds.mid
        return self._clock.grid_seconds(seconds - (seconds - estimate.startup_seconds) * (1 - 1 / width))

    def _planned(self, job: Job, predecessors: Predecessors) -> PlanJob:
        """The job as the planner would see it."""
        planned = self._photographer.plan_job(JobWork(job), predecessors.weights, frozenset())
        return replace(planned, earliest=max([planned.earliest, *predecessors.expected_ends()]))

    def _answer(self, job: Job, predecessors: Predecessors) -> Submission:
        work = JobWork(job)
        if job.state.is_final:
            preview: Placement | Unplaced = Unplaced(job.id, job.reason)
        else:
            preview = self._board.preview(self._planned(job, predecessors))
        home = self._sites[job.home]
        estimate = self._costs.estimate(job.request, home.hardware)
        return Submission(
            job=job_view(work, None),
            estimate=estimate_view(estimate, home.hardware, job, preview, self._clock),
            preview=preview_view(preview),
        )
