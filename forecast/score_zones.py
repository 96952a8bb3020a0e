"""The scores of many zones, in processes beside each other: a zone's year takes most of a minute of one core."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from multiprocessing import active_children, get_context

import numpy as np

from forecast.intensity import Series
from forecast.reissue import Reissue
from forecast.scoring import NothingKnown
from forecast.soundness import sound
from forecast.timeline import Interval, ceil_to, floor_to
from forecast.zone_scores import HISTORY, MINIMUM_HOURS, ZoneScores, period_of, score_zone

Task = tuple[str, int]
"""A zone, and the hours by which its newest known value lags."""

Outcome = ZoneScores | NothingKnown


@dataclass(frozen=True, slots=True)
class _Work:
    """What every task needs: the records, what is sound of them, what of each is scored, and by what."""

    records: Mapping[str, Series]
    others: Mapping[str, Series]
    periods: Mapping[str, tuple[datetime, datetime]]
    forecasters: Mapping[str, Reissue]

    def outcome(self, task: Task) -> Outcome:
        zone, delay_hours = task
        try:
            return score_zone(self.records[zone], *self.periods[zone], self.forecasters, delay_hours, self.others)
        except NothingKnown as problem:
            return problem


def score_zones(
    records: Mapping[str, Series],
    start: datetime | None,
    end: datetime | None,
    forecasters: Mapping[str, Reissue],
    delays: Sequence[int],
    warn: Callable[[str], object] = lambda _: None,
    processes: int = 1,
) -> Generator[ZoneScores, None, None]:
    """Score every zone at every delay, in order; each is a neighbour to the others. `forecasters` must be picklable for more `processes`.

    `warn` is told of a zone with too few values, in one sentence: it is left out, and costs the others nothing.

    Raises UnscorablePeriod before the first where a record is too short."""
    periods = {zone: period_of(record, start, end) for zone, record in records.items()}
    work = _Work(records, {zone: sound(record)[0] for zone, record in records.items()}, periods, dict(forecasters))
    tasks = list(product(sorted(records), delays))
    refused: dict[str, dict[int, NothingKnown]] = {}
    with _outcomes(work, tasks, min(processes, len(tasks))) as outcomes:
        for (zone, delay_hours), outcome in zip(tasks, outcomes, strict=True):
            if isinstance(outcome, NothingKnown):
                refused.setdefault(zone, {})[delay_hours] = outcome
            else:
                yield outcome
    for zone, problems in refused.items():
        warn(_why_not(work.others[zone], periods[zone], problems))


@contextmanager
def _outcomes(work: _Work, tasks: Iterable[Task], processes: int) -> Iterator[Iterable[Outcome]]:
    """In the order of the tasks; what is not asked for any more is not worked out."""
    if processes < 2:
        yield map(work.outcome, tasks)
        return
    others = set(active_children())
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_begin, initargs=(work,)) as pool:
        try:
            yield pool.map(_outcome, tasks)
        except BaseException:  # also where the caller wants no more: nobody waits for scores of most of a minute then
            for child in set(active_children()) - others:
                child.terminate()
            raise


_work: _Work | None = None


def _begin(work: _Work) -> None:
    """In each process once. Whoever interrupts the command speaks to the process that started it, which ends the others."""
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _work = work


def _outcome(task: Task) -> Outcome:
    assert _work is not None
    return _work.outcome(task)


def _why_not(record: Series, period: tuple[datetime, datetime], refused: Mapping[int, NothingKnown]) -> str:
    """Why a zone has no scores, by delay, and what would give it some."""
    gap = _longest_gap(record, period[0] - HISTORY, period[1])
    return (
        f"{record.zone} cannot be scored at a delay of {' and '.join(map(str, refused))} h, because {next(iter(refused.values()))}, "
        f"and the hours from {gap.start:%Y-%m-%d %H:%M} to {gap.end:%Y-%m-%d %H:%M} have no value that can be believed: "
        f"{', or '.join(['give the files that hold them', *_periods_beside(gap, record)])}"
    )


def _periods_beside(gap: Interval, record: Series) -> Iterator[str]:
    """Options that leave the gap out, where the record is long enough for them."""
    enough, day = timedelta(hours=MINIMUM_HOURS), timedelta(days=1)
    before, after = floor_to(gap.start, day), ceil_to(gap.end + HISTORY, day)
    if before - record.start >= HISTORY + enough:
        yield f"--to {before:%Y-%m-%d}"
    if record.end - after >= enough:
        yield f"--from {after:%Y-%m-%d}"


def _longest_gap(record: Series, start: datetime, end: datetime) -> Interval:
    """The longest stretch of [start, end) without a value; there must be one."""
    first, last = (int((moment - record.start) // record.step) for moment in (start, end))
    edges = np.flatnonzero(np.diff(np.isnan(record.values[first:last]), prepend=False, append=False))
    begins, ends = edges[::2], edges[1::2]
    longest = int((ends - begins).argmax())
    return Interval(start + int(begins[longest]) * record.step, start + int(ends[longest]) * record.step)
