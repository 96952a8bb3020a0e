"""What a planner has seen come, told again after a restart: it keeps room for what may come by the weeks before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from daemon.domain.job import Came
from daemon.domain.plan import Mode, Plan, PlanJob, SiteOption, Snapshot
from daemon.store import Store


class Memory:
    """A planner around another, which before its first plan is told of the jobs that came before: the store has them all."""

    def __init__(self, plan: Callable[[Snapshot], Plan], remember: Callable[[Snapshot], None], store: Store, reach: timedelta) -> None:
        """`remember` is told the jobs that came within `reach`, and the first one ever."""
        self._plan, self._remember, self._store, self._reach = plan, remember, store, reach
        self._is_told = False

    def __call__(self, snapshot: Snapshot) -> Plan:
        """Raises StoreUnavailable; the next call then tells it all."""
        if not self._is_told:
            with self._store.read() as reader:
                came = reader.came_since(snapshot.now - self._reach)
            self._remember(replace(snapshot, jobs=tuple(_as_it_came(job, snapshot) for job in came)))
            self._is_told = True
        return self._plan(snapshot)


def _as_it_came(job: Came, snapshot: Snapshot) -> PlanJob:
    """The job with nothing done. Its runs hold a GPU each, or its one run all of them; the site is whichever has so many."""
    width = job.gpus_at_most if job.kind == "synthesis" else 1
    work_seconds = job.shortest_seconds * width
    return PlanJob(
        id=job.id,
        mode=Mode.DIVISIBLE,
        gpus=job.gpus_at_most // width,
        accepted_at=job.accepted_at,
        earliest=job.accepted_at,
        deadline=job.deadline,
        options=tuple(SiteOption(site.name, work_seconds, power_kw=0.0) for site in snapshot.sites),
        home="",
        max_width=width,
    )
