"""What users have had of the GPUs lately, carried on from tick to tick: the past only fades, so it is summed up once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from daemon.domain.shares import Held, ShareRule
from daemon.service.work import JobWork, works_of
from daemon.store import Reader


@dataclass(frozen=True, slots=True)
class _Known:
    """As of `at`: decayed GPU-hours of ended jobs by user, and what live jobs, by id, have held and hold."""

    at: datetime
    past: Mapping[str, float]
    live: Mapping[str, tuple[Held, ...]]


class GpuUse:
    """Decayed GPU-hours by user. The tick renews it; others may ask meanwhile, from other threads."""

    def __init__(self, rule: ShareRule) -> None:
        self.rule = rule
        self._known: _Known | None = None
        self._lock = threading.Lock()

    def renew(self, reader: Reader, works: Mapping[str, JobWork], now: datetime) -> dict[str, float]:
        """What users have had by `now`; `works` are the live jobs, read from the same snapshot as `reader` shows.

        Attempts of ended jobs never change. So what a job held is added to the past when it is no longer among the live ones,
        and of a job that was never among them there is nothing to add: a tick that does not see it cannot start it. Only the first
        call reads all the past.
        """
        live = {job_id: tuple(_held(work)) for job_id, work in works.items()}
        if self._known is None:
            past = self.rule.gpu_hours(reader.held_by_ended_jobs(now - self.rule.memory), now)
        else:
            gone = works_of(reader, reader.jobs_named(sorted(self._known.live.keys() - works.keys())))
            ended = self.rule.gpu_hours((stretch for work in gone.values() for stretch in _held(work)), now)
            past = _sum(self.rule.faded(self._known.past, now - self._known.at), ended)
        with self._lock:
            self._known = _Known(now, past, live)
        return self.gpu_hours(now)

    def gpu_hours(self, now: datetime) -> dict[str, float]:
        """What users have had by `now`, as far as the last tick knows; empty before the first."""
        with self._lock:
            known = self._known
        if known is None:
            return {}
        held = self.rule.gpu_hours((stretch for stretches in known.live.values() for stretch in stretches), now)
        return _sum(self.rule.faded(known.past, now - known.at), held)


def _held(work: JobWork) -> Iterable[Held]:
    user = work.job.share_holder
    return [Held(user, attempt.gpus, attempt.started_at, attempt.ended_at) for attempt in work.attempts if attempt.started_at is not None]


def _sum(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return dict(Counter(one) + Counter(other))
