"""The tick's first step: ask every executor once, turn the answers into legal transitions, each with an event."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from daemon.domain.execution import Handle, Observation, ObserverFailure
from daemon.domain.job import Attempt, Event, Run
from daemon.domain.states import AttemptState, advance
from daemon.service.aftermath import settle_job_state
from daemon.service.hold_up import is_held_up, is_news, tell_hold_up, tell_it_goes_on
from daemon.service.isolation import poisoned_alone
from daemon.service.policy import Policy, Workplaces
from daemon.service.progress import ending_of, got_further, lasting_steps, steps_reached, without_missing_samples
from daemon.service.reach import NOT_IN_SETTINGS, Reach, out_of_reach
from daemon.store import Reader, Store
from forecast.clock import Clock
from jobs.rundir import RunDirectory
from jobs.spec import SynthesisWorkload

log = logging.getLogger(__name__)
RUNNING_STATES = (AttemptState.PENDING, AttemptState.ACTIVE)


class Observer:
    """Learns what became of the live attempts. Every record is one transaction; observing twice changes nothing."""

    def __init__(
        self, store: Store, workplaces: Workplaces, clock: Clock, policy: Policy, reach: Reach, after_step: Callable[[str], None]
    ) -> None:
        self._store, self._workplaces, self._clock, self._policy = store, workplaces, clock, policy
        self._reach, self._after_step = reach, after_step

    def observe(self) -> list[Attempt]:
        """Record every change since the last tick; the attempts that ended now."""
        with self._store.read() as reader:
            live = reader.live_attempts()
            attempts = [attempt for attempt in live if attempt.state is not AttemptState.LAUNCHING]
            runs = {attempt.run_id: reader.run(attempt.run_id) for attempt in attempts}
            held_up = {attempt.id for attempt in attempts if _was_held_up(reader, attempt, live)}
        answers, silent = self._ask(attempts, runs)
        silent |= {attempt.site: NOT_IN_SETTINGS for attempt in live if attempt.site not in self._workplaces}
        self._after_step("observe:asked")
        self._reach.renew(silent)
        watched = [attempt for attempt in live if attempt.state is not AttemptState.LAUNCHING or attempt.site not in self._workplaces]
        self._tell_silence([attempt for attempt in watched if attempt.site in silent], silent)
        ended = []
        for attempt in attempts:
            if attempt.id not in answers:
                continue  # we could not ask: nothing is known, and nothing is charged to the job
            with poisoned_alone("observe", attempt=attempt.id):
                ending = self._record(attempt, runs[attempt.run_id], answers[attempt.id], was_held_up=attempt.id in held_up)
                if ending is not None:
                    ended.append(ending)
                    self._after_step("observe:recorded")
        return ended

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
        with self._store.read() as reader:
            news = [attempt for attempt in attempts if is_news(reader.job(attempt.job_id), attempt, silent[attempt.site])]
        for attempt in news:
            kind = "executor-out-of-reach" if attempt.site in self._workplaces else "site-unknown"
            with poisoned_alone("observe", attempt=attempt.id), self._store.write() as writer:
                tell_hold_up(writer, attempt, kind, silent[attempt.site], self._clock.now())

    def _record(self, attempt: Attempt, run: Run, observation: Observation, *, was_held_up: bool) -> Attempt | None:
        """Write down what is new; the attempt if it ended. What cannot be read now is asked for again at the next tick."""
        try:
            if observation.state not in RUNNING_STATES:
                return self._record_end(attempt, run, observation)
            self._record_progress(attempt, run, observation)
        except OSError as error:
            with self._store.write() as writer:
                reason = f"its run directory cannot be read, which is tried again until it can: {error}"
                tell_hold_up(writer, attempt, "attempt-unreadable", reason, self._clock.now())
            return None
        if was_held_up:
            with self._store.write() as writer:
                tell_it_goes_on(writer, attempt)
        return None

    def _record_progress(self, attempt: Attempt, run: Run, observation: Observation) -> None:
        steps = steps_reached(run, RunDirectory(run.directory))
        if advance(attempt.state, observation.state) is attempt.state and steps == run.steps_done:
            return
        now = self._clock.now()
        with self._store.write() as writer:
            attempt = writer.attempt(attempt.id)  # the end of a run beside it may have had it asked to stop a moment ago
            state = advance(attempt.state, observation.state)
            if steps != run.steps_done:
                writer.change_run(replace(run, steps_done=steps))
            if state is not attempt.state:
                changed = replace(
                    attempt, state=state, started_at=attempt.started_at or now, native_id=observation.native_id or attempt.native_id
                )
                writer.change_attempt(
                    changed, Event(attempt.job_id, now, f"attempt-{state}", f"attempt {attempt.number} at {attempt.site}: {state}")
                )

    def _record_end(self, attempt: Attempt, run: Run, observation: Observation) -> Attempt:
        directory = RunDirectory(run.directory)
        outcome = directory.read_outcome(attempt.id)
        ending = ending_of(attempt, observation, outcome)
        ended_at = self._ended_at(attempt, observation, outcome.ended_at if outcome else None)
        with self._store.read() as reader:
            job = reader.job(attempt.job_id)
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


def _was_held_up(reader: Reader, attempt: Attempt, live: list[Attempt]) -> bool:
    """Whether its job tells of a hold-up here that was this attempt's: it may be that of a run beside it which cannot be started yet."""
    if any(other.state is AttemptState.LAUNCHING and (other.job_id, other.site) == (attempt.job_id, attempt.site) for other in live):
        return False
    return is_held_up(reader.job(attempt.job_id), attempt)
