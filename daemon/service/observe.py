"""The tick's first step: ask every executor once, turn the answers into legal transitions, each with an event."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from daemon.domain.execution import Handle, Observation, ObserverFailure
from daemon.domain.job import Attempt, Event, Job, Run
from daemon.domain.states import AttemptState
from daemon.service.aftermath import settle_job_state
from daemon.service.hold_up import is_held_up, is_news, tell_hold_up
from daemon.service.isolation import poisoned_alone
from daemon.service.policy import Policy, Workplaces
from daemon.service.progress import ending_of, got_further, lasting_steps, without_missing_samples
from daemon.service.reach import NOT_IN_SETTINGS, Reach, out_of_reach
from daemon.service.underway import AtWork, Underway
from daemon.store import Store
from forecast.clock import Clock
from jobs.rundir import RunDirectory
from jobs.spec import SynthesisWorkload

log = logging.getLogger(__name__)
RUNNING_STATES = (AttemptState.PENDING, AttemptState.ACTIVE)


class Observer:
    """Learns what became of the live attempts. Every end is one transaction; observing twice changes nothing."""

    def __init__(
        self, store: Store, workplaces: Workplaces, clock: Clock, policy: Policy, reach: Reach, after_step: Callable[[str], None]
    ) -> None:
        self._store, self._workplaces, self._clock, self._policy = store, workplaces, clock, policy
        self._reach, self._after_step = reach, after_step
        self._underway = Underway(store, clock)

    def observe(self) -> list[Attempt]:
        """Record every change since the last tick; the attempts that ended now."""
        with self._store.read() as reader:
            live = reader.live_attempts()
            attempts = [attempt for attempt in live if attempt.state is not AttemptState.LAUNCHING]
            runs = reader.runs_among({attempt.run_id for attempt in attempts})
            told = reader.reasons_of(list({attempt.job_id for attempt in attempts}))
        answers, silent = self._ask(attempts, runs)
        silent |= {attempt.site: NOT_IN_SETTINGS for attempt in live if attempt.site not in self._workplaces}
        self._after_step("observe:asked")
        self._reach.renew(silent)
        watched = [attempt for attempt in live if attempt.state is not AttemptState.LAUNCHING or attempt.site not in self._workplaces]
        self._tell_silence([attempt for attempt in watched if attempt.site in silent], silent)
        # Of one we could not ask about nothing is known, and nothing is charged to its job.
        over = [attempt for attempt in attempts if attempt.id in answers and answers[attempt.id].state not in RUNNING_STATES]
        self._underway.record(
            AtWork(attempt, runs[attempt.run_id], answers[attempt.id], _was_held_up(told[attempt.job_id], attempt, live))
            for attempt in attempts
            if attempt.id in answers and answers[attempt.id].state in RUNNING_STATES
        )
        return self._record_ends([(attempt, runs[attempt.run_id], answers[attempt.id]) for attempt in over])

    def _ask(self, attempts: list[Attempt], runs: Mapping[str, Run]) -> tuple[dict[str, Observation], dict[str, str]]:
        """Observations by attempt, and by site why there are none."""
        answers: dict[str, Observation] = {}
        silent: dict[str, str] = {}
        for site in sorted({attempt.site for attempt in attempts}):
            handles = [
                Handle(attempt.id, runs[attempt.run_id].directory, attempt.native_id) for attempt in attempts if attempt.site == site
            ]
            if site not in self._workplaces:
                if self._reach.reason(site) != NOT_IN_SETTINGS:  # once, not at every tick until somebody comes
                    log.warning("site-unknown", extra={"site": site, "attempts": len(handles), "remedy": "put it back into the settings"})
                continue
            try:
                answers.update(self._workplaces[site].executor.observe(handles))
            except ObserverFailure as failure:
                log.warning("observer-failed", extra={"site": site, "reason": str(failure)})
                silent[site] = out_of_reach(failure)
        return answers, silent

    def _tell_silence(self, attempts: list[Attempt], silent: Mapping[str, str]) -> None:
        """Say on the job of each attempt why nothing is known of it; written only where it is news."""
        if not attempts:
            return
        with self._store.read() as reader:
            told = reader.reasons_of(list({attempt.job_id for attempt in attempts}))
        news = [attempt for attempt in attempts if is_news(told[attempt.job_id], attempt, silent[attempt.site])]
        for attempt in news:
            kind = "executor-out-of-reach" if attempt.site in self._workplaces else "site-unknown"
            with poisoned_alone("observe", attempt=attempt.id), self._store.write() as writer:
                tell_hold_up(writer, attempt, kind, silent[attempt.site], self._clock.now())

    def _record_ends(self, over: Sequence[tuple[Attempt, Run, Observation]]) -> list[Attempt]:
        """Write down each by itself; those that have ended, as they are then."""
        if not over:
            return []
        with self._store.read() as reader:
            jobs = reader.jobs_among(list({attempt.job_id for attempt, _, _ in over}))
        ended = []
        for attempt, run, observation in over:
            with poisoned_alone("observe", attempt=attempt.id):
                ending = self._record(jobs[attempt.job_id], attempt, run, observation)
                if ending is not None:
                    ended.append(ending)
                    self._after_step("observe:recorded")
        return ended

    def _record(self, job: Job, attempt: Attempt, run: Run, observation: Observation) -> Attempt | None:
        """Write down that it has ended; None where what it left cannot be read now, which is tried again at the next tick."""
        try:
            return self._record_end(job, attempt, run, observation)
        except OSError as error:
            self._underway.tell_unreadable(attempt, error)
            return None

    def _record_end(self, job: Job, attempt: Attempt, run: Run, observation: Observation) -> Attempt:
        directory = RunDirectory(run.directory)
        outcome = directory.read_outcome(attempt.id)
        ending = ending_of(attempt, observation, outcome)
        ended_at = self._ended_at(attempt, observation, outcome.ended_at if outcome else None)
        kept = lasting_steps(run, directory, job.workload, outcome)
        ending = without_missing_samples(ending, run, kept)
        closes = isinstance(job.workload, SynthesisWorkload) or ending.state is AttemptState.COMPLETED
        run = replace(run, steps_done=kept, closed_at=ended_at if closes else None)
        ended = replace(
            attempt, state=ending.state, ended_at=ended_at, reason=ending.reason, started_at=attempt.started_at or attempt.created_at
        )
        made_progress = kept > 0 and got_further(directory.energy(), attempt.id)
        with self._store.write() as writer:
            writer.change_run(run)
            writer.change_attempt(
                ended, Event(job.id, ended_at, f"attempt-{ending.state}", f"attempt {attempt.number} at {attempt.site}: {ending.reason}")
            )
            settle_job_state(writer, ended, ending, made_progress, self._policy.retries, self._clock.now())
        return ended

    def _ended_at(self, attempt: Attempt, observation: Observation, said: datetime | None) -> datetime:
        """As the node says, whose clock may be wrong: not before it was begun, nor later than now."""
        real, now = observation.ended_at or said, self._clock.now()
        ended = min(self._clock.to_grid(real), now) if real else now
        return max(ended, attempt.created_at)


def _was_held_up(told: str, attempt: Attempt, live: list[Attempt]) -> bool:
    """Whether what its job says is a hold-up of this attempt: it may be that of a run beside it which cannot be started yet."""
    if any(other.state is AttemptState.LAUNCHING and (other.job_id, other.site) == (attempt.job_id, attempt.site) for other in live):
        return False
    return is_held_up(told, attempt)
