"""The baseline's queue: when jobs would have started at home, strictly first come, first served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush


@dataclass(frozen=True, slots=True)
class QueuedWork:
    """A job in the baseline's first-come queue at its home site."""

    job_id: str
    site: str
    ready: datetime  # accepted, or its earliest start
    seconds: float
    gpus: int
    after: tuple[str, ...] = ()


def first_come_starts(work: Sequence[QueuedWork], capacity: Mapping[str, int]) -> dict[str, datetime]:
    """When each job would have started if every site served its queue strictly first come, first served.

    A job joins the queue when it is ready and its predecessors (those given here) have ended; nobody overtakes.
    A job larger than its site starts when the site is empty. A ring of jobs that wait for each other, which cannot be
    accepted, would be left out.
    """
    by_id = {item.job_id: item for item in work}
    missing = {item.job_id: {name for name in item.after if name in by_id} for item in work}
    followers: dict[str, list[str]] = {}
    for job_id, names in missing.items():
        for name in names:
            followers.setdefault(name, []).append(job_id)
    queues = {site: _Queue(limit) for site, limit in capacity.items()}
    joined = [(item.ready, item.ready, item.job_id) for item in work if not missing[item.job_id]]
    heapify(joined)
    starts: dict[str, datetime] = {}
    ends: dict[str, datetime] = {}
    while joined:
        joins, _, job_id = heappop(joined)
        item = by_id[job_id]
        starts[job_id], ends[job_id] = queues[item.site].serve(joins, item.seconds, item.gpus)
        for name in followers.get(job_id, ()):
            missing[name].discard(job_id)
            if not missing[name]:
                ready = by_id[name].ready
                after = max(ends[before] for before in by_id[name].after if before in by_id)
                heappush(joined, (max(ready, after), ready, name))
    return starts


class _Queue:
    """One site in the baseline: what is held until when, and the last start, before which nobody may start."""

    def __init__(self, limit: int) -> None:
        self._limit, self._free = limit, limit
        self._held: list[tuple[datetime, int]] = []  # a heap of (end, GPUs)
        self._last_start: datetime | None = None

    def serve(self, joins: datetime, seconds: float, gpus: int) -> tuple[datetime, datetime]:
        """Start and end of the next in the queue: the first moment from `joins` on with room, after everybody before."""
        wanted = min(gpus, self._limit)
        start = joins if self._last_start is None else max(joins, self._last_start)
        while self._held and (self._held[0][0] <= start or self._free < wanted):
            end, given_back = heappop(self._held)
            self._free += given_back
            start = max(start, end)
        self._last_start = start
        end = start + timedelta(seconds=seconds)
        if end > start:
            heappush(self._held, (end, wanted))
            self._free -= wanted
        return start, end
