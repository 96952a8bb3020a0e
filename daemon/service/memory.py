"""What a planner has seen come, told again after a restart: it keeps room for what may come by the weeks before."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from daemon.domain.plan import Plan, PlanJob, Snapshot
from daemon.service.isolation import poisoned_alone
from daemon.service.snapshot import Photographer
from daemon.service.work import JobWork
from daemon.store import Store, StoreUnavailable

log = logging.getLogger(__name__)


class Memory:
    """A planner around another, which before its first plan is told of the jobs that came before: the store has them all."""

    def __init__(
        self,
        plan: Callable[[Snapshot], Plan],
        remember: Callable[[Snapshot], None],
        store: Store,
        photographer: Photographer,
        reach: timedelta,
    ) -> None:
        """`remember` is told the jobs that came within `reach`, and the first one ever."""
        self._plan, self._remember = plan, remember
        self._store, self._photographer, self._reach = store, photographer, reach
        self._is_told = False

    def __call__(self, snapshot: Snapshot) -> Plan:
        """Raises StoreUnavailable; the next call then tells it all."""
        if not self._is_told:
            self._tell(snapshot)
            self._is_told = True
        return self._plan(snapshot)

    def _tell(self, snapshot: Snapshot) -> None:
        """Nothing where the past cannot be read: plans can do without it."""
        try:
            self._remember(replace(snapshot, jobs=tuple(self._came_since(snapshot.now - self._reach))))
        except StoreUnavailable:
            raise
        except Exception:  # an ended job that another version wrote must not keep those that wait from being planned
            log.exception("past-unreadable")

    def _came_since(self, instant: datetime) -> list[PlanJob]:
        """The jobs as they were when they came, with nothing done."""
        came: list[PlanJob] = []
        with self._store.read() as reader:
            for job in reader.came_since(instant):
                with poisoned_alone("remember", job=job.id):
                    came.append(self._photographer.plan_job(JobWork(job), {}, frozenset()))
        return came
