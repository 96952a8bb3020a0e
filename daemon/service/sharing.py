"""Who makes which samples: how the runs of one synthesis share what nobody has claimed, and when sharing anew is worth it.

A run's range never changes while it is open, so no sample can belong to two runs. Whoever stops gives back what is not
made, and the next runs share that. Nothing here touches the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from math import ceil

from daemon.domain.job import Attempt, PlannedSegment
from daemon.domain.plan import PlanJob, SiteOption
from daemon.domain.states import AttemptState
from daemon.service.work import JobWork
from jobs.spec import SampleRange

WORTH_STARTS = 20  # a run is stopped to be shared only if it has as many start-ups' time of work left: that costs a twentieth at most


@dataclass(frozen=True, slots=True)
class Sharing:
    """The plan's segments for one job, read as shares of its work that is left."""

    planned: PlanJob
    segments: tuple[PlannedSegment, ...]
    now: datetime

    @property
    def current(self) -> list[PlannedSegment]:
        """What should be under way now, the longest first."""
        return sorted((part for part in self.segments if part.start <= self.now < part.end), key=lambda part: part.end, reverse=True)

    def to_start(self, live: Iterable[Attempt]) -> list[PlannedSegment]:
        """Current segments that no live attempt serves; attempts serve the longest, for which they got the most."""
        busy = Counter(attempt.site for attempt in live)
        missing = []
        for part in self.current:
            if busy[part.site] > 0:
                busy[part.site] -= 1
            else:
                missing.append(part)
        return missing

    def surplus(self, work: JobWork, spare: Mapping[str, int]) -> tuple[list[Attempt], list[Attempt]]:
        """Live attempts beyond what is wanted at their sites: those that shall stop, and those that may finish.

        The plan shares the work left evenly; real runs do not end together. One that ends while the window is open may
        finish where nobody else wants its GPUs (`spare`, by site). Of the others those that do not work yet stop first, then
        those with the least left: the longest must not begin last.
        """
        going = [attempt for attempt in work.live if attempt.stop_wish is None]
        extra = Counter(attempt.site for attempt in going)
        extra.subtract(part.site for part in self.current)
        stopping: list[Attempt] = []
        finishing: list[Attempt] = []
        for site, count in extra.items():
            here = [one for one in going if one.site == site and one.state in (AttemptState.PENDING, AttemptState.ACTIVE)]
            here.sort(key=lambda one: (one.state is AttemptState.ACTIVE, work.left_of(one)))
            most = max(0, min(count, spare.get(site, 0) // self.planned.gpus))
            may_finish = [one for one in here if self._ends_in_its_window(work, one)][:most]
            stopping += [one for one in here if one not in may_finish][: max(0, count - len(may_finish))]
            finishing += may_finish
        return stopping, finishing

    def _ends_in_its_window(self, work: JobWork, attempt: Attempt) -> bool:
        """Whether its run is done before the last current segment at its site is over."""
        ends = [part.end for part in self.current if part.site == attempt.site]
        seconds = self._share_left(work, attempt) * self._option(attempt.site).work_seconds
        return attempt.state is AttemptState.ACTIVE and bool(ends) and self.now + timedelta(seconds=seconds) <= ends[0]

    def weight(self, part: PlannedSegment) -> float:
        """The share of the work left that the plan has this segment do; a start-up does none."""
        option = self._option(part.site)
        seconds = (part.end - max(part.start, self.now)).total_seconds() - option.startup_seconds
        return max(seconds, 1.0) / max(option.work_seconds, 1.0)

    def reserved(self) -> float:
        """The shares of segments that begin beside current ones: claimed now, nothing would be left for them."""
        current = self.current
        if not current:
            return 0.0
        return sum(self.weight(part) for part in self.segments if self.now < part.start < current[0].end)

    def is_worth_sharing(self, work: JobWork, attempt: Attempt, missing: PlannedSegment) -> bool:
        """Whether the attempt's run has enough left to be stopped and shared with the missing one."""
        is_long = self._share_left(work, attempt) >= WORTH_STARTS * self._starts_per_work(attempt.site)
        return is_long and 2 * self.weight(missing) >= WORTH_STARTS * self._starts_per_work(missing.site)

    def _share_left(self, work: JobWork, attempt: Attempt) -> float:
        """Of the job's work that is left, what the attempt's run has still to do."""
        return work.left_of(attempt) / max(1, work.steps_total - work.steps_done)

    def _starts_per_work(self, site: str) -> float:
        option = self._option(site)
        return option.startup_seconds / max(option.work_seconds, 1.0)

    def _option(self, site: str) -> SiteOption:
        return next((option for option in self.planned.options if option.site == site), SiteOption(site, 0.0, 0.0))


def shared_out(gaps: Sequence[SampleRange], weights: Sequence[float], reserved: float, batch_size: int) -> list[SampleRange | None]:
    """One range for each weight, about its share of all that lies in the gaps; None where nothing is left.

    Each range lies in one gap and begins on a micro-batch; ranges do not meet. The share of `reserved` is left over. A gap
    is cut only where what stays is half of what the next run should have, or more: every piece needs a start-up of its own.
    """
    free = list(gaps)
    answer: list[SampleRange | None] = [None] * len(weights)
    order = sorted(range(len(weights)), key=lambda index: -weights[index])
    ahead = sum(weights) + reserved
    for index, following in zip_longest(order, order[1:]):
        if not free:
            break
        gap = free.pop(max(range(len(free)), key=lambda place: free[place].count))
        each = (_batches(gap, batch_size) + sum(_batches(other, batch_size) for other in free)) / ahead
        ahead -= weights[index]
        next_share = (reserved if following is None else weights[following]) * each
        taken = max(round(weights[index] * each), 1)
        if _batches(gap, batch_size) - taken < max(next_share / 2, 1):
            taken = _batches(gap, batch_size)
        count = min(taken * batch_size, gap.count)
        answer[index] = SampleRange(first=gap.first, count=count)
        if count < gap.count:
            free.append(SampleRange(first=gap.first + count, count=gap.count - count))
    return answer


def _batches(samples: SampleRange, batch_size: int) -> int:
    return ceil(samples.count / batch_size)
