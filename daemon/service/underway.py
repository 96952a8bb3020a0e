"""How attempts at work get on, written down at every tick: all that is new in one transaction, which is one trip to the disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from daemon.domain.execution import Observation
from daemon.domain.job import Attempt, Event, Run
from daemon.domain.states import AttemptState, advance
from daemon.service.hold_up import tell_hold_up, tell_it_goes_on
from daemon.service.isolation import poisoned_alone
from daemon.service.progress import steps_reached
from daemon.store import StaleWrite, Store, StoreUnavailable, Writer
from forecast.clock import Clock
from jobs.rundir import RunDirectory


@dataclass(frozen=True, slots=True)
class AtWork:
    """An attempt that its executor says has not ended."""

    attempt: Attempt
    run: Run
    observation: Observation
    was_held_up: bool  # its job tells so

    @property
    def is_advanced(self) -> bool:
        """Whether it has come to a later state."""
        return advance(self.attempt.state, self.observation.state) is not self.attempt.state


@dataclass(frozen=True, slots=True)
class _News:
    """An attempt at work of which something is new, and the steps that its run has reached."""

    of: AtWork
    steps: int


class Underway:
    """Records progress. Doing it twice changes nothing."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    def record(self, working: Iterable[AtWork]) -> None:
        """What is new of each; where one of them stands in the way of all, each is written alone and it fails alone."""
        news: list[_News] = []
        for one in working:
            with poisoned_alone("observe", attempt=one.attempt.id):
                news += self._news(one)
        if not news:
            return
        try:
            self._write(news)
        except (StaleWrite, StoreUnavailable):
            raise
        except Exception:  # noqa: BLE001  # told by the one it is about, below
            for each in news:
                with poisoned_alone("observe", attempt=each.of.attempt.id):
                    self._write([each])

    def _news(self, one: AtWork) -> list[_News]:
        """What is new of it, if anything. What cannot be read now is asked for again at the next tick, and told on the job."""
        try:
            steps = steps_reached(one.run, RunDirectory(one.run.directory))
        except OSError as error:
            self.tell_unreadable(one.attempt, error)
            return []
        if one.was_held_up:
            with self._store.write() as writer:
                tell_it_goes_on(writer, one.attempt)
        return [_News(one, steps)] if one.is_advanced or steps != one.run.steps_done else []

    def tell_unreadable(self, attempt: Attempt, error: OSError) -> None:
        """Say on the job that its run directory cannot be read."""
        with self._store.write() as writer:
            reason = f"its run directory cannot be read, which is tried again until it can: {error}"
            tell_hold_up(writer, attempt, "attempt-unreadable", reason, self._clock.now())

    def _write(self, news: Sequence[_News]) -> None:
        with self._store.write() as writer:
            writer.tell_steps({one.of.run.id: one.steps for one in news if one.steps != one.of.run.steps_done})
            for one in news:
                if one.of.is_advanced:
                    self._write_state(writer, one.of)

    def _write_state(self, writer: Writer, one: AtWork) -> None:
        now = self._clock.now()
        attempt = writer.attempt(one.attempt.id)  # the end of a run beside it may have had it asked to stop a moment ago
        state: AttemptState = advance(attempt.state, one.observation.state)
        if state is attempt.state:
            return
        changed = replace(
            attempt, state=state, started_at=attempt.started_at or now, native_id=one.observation.native_id or attempt.native_id
        )
        writer.change_attempt(
            changed, Event(attempt.job_id, now, f"attempt-{state}", f"attempt {attempt.number} at {attempt.site}: {state}")
        )
