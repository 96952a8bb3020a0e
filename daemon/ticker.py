"""The ticker: APScheduler calls the tick and the chores. It holds no truth; a call that is missed comes again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Protocol

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from daemon.domain.errors import Hindered
from forecast.clock import real_now

log = logging.getLogger(__name__)


LONG_TICK_SECONDS = 300.0  # the longest plans take a minute


class ChoreMetrics(Protocol):
    """Who wants to know how chores went."""

    def chore_ran(self, chore: str, seconds: float, *, ok: bool, at_seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Chore:
    """Something idempotent to do every so often (real time), the first time at the start."""

    name: str
    run: Callable[[], object]
    every: timedelta


class Ticker:
    """Runs chores until stopped. A chore never runs twice at once; one that fails is logged and comes again."""

    def __init__(self, chores: Iterable[Chore], metrics: ChoreMetrics, timer: Callable[[], float] = perf_counter) -> None:
        self.chores = tuple(chores)
        self._metrics, self._timer = metrics, timer
        self._begun_at: dict[str, float] = {}  # by the timer, of what is under way
        self._done_at: dict[str, datetime] = {}
        self._failures: dict[str, str] = {}
        self._hindrance: Callable[[], str | None] = lambda: None
        self._scheduler = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": ThreadPoolExecutor(len(self.chores))},
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
            timezone="UTC",
        )

    def start(self, hindrance: Callable[[], str | None]) -> None:
        """`hindrance` is asked before each run why it must not be now; what it says counts as the chore's failure."""
        self._hindrance = hindrance
        now = real_now()
        for chore in self.chores:
            self._scheduler.add_job(
                self._run,
                "interval",
                args=[chore],
                seconds=chore.every.total_seconds(),
                next_run_time=now,
                id=chore.name,
            )
        self._scheduler.start()

    def stop(self) -> None:
        """No chore begins any more; those under way are waited for."""
        self._scheduler.shutdown(wait=True)

    def problems(self) -> list[str]:
        """What keeps the daemon from being ready: chores that failed last time, a tick that has not come yet, or does not end."""
        found = [f"{name} failed: {reason}" for name, reason in sorted(self._failures.items())]
        tick_seconds = self._timer() - self._begun_at.get("tick", self._timer())
        if tick_seconds > LONG_TICK_SECONDS:
            found.append(f"the tick has been under way for {tick_seconds / 60:.0f} min: nothing starts or stops until it ends")
        if "tick" not in self._done_at and "tick" not in self._failures:
            found.append("the first tick is under way")
        return found

    def _run(self, chore: Chore) -> None:
        started = self._begun_at[chore.name] = self._timer()
        failure = self._hindrance() or self._attempted(chore)
        if failure is None:
            self._failures.pop(chore.name, None)
            self._done_at[chore.name] = real_now()
        else:
            self._failures[chore.name] = failure
        del self._begun_at[chore.name]
        self._metrics.chore_ran(chore.name, self._timer() - started, ok=failure is None, at_seconds=real_now().timestamp())

    @staticmethod
    def _attempted(chore: Chore) -> str | None:
        """What went wrong; the daemon outlives whatever a chore meets."""
        try:
            chore.run()
        except Hindered as hindrance:  # whoever was asked has logged it
            return str(hindrance)
        except Exception as error:  # logged and counted
            log.exception("chore-failed", extra={"chore": chore.name})
            return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"  # anybody may ask: the rest is for the log
        return None
