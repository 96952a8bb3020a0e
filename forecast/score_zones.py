"""The scores of many zones, in processes beside each other: a zone's year takes most of a minute of one core."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from multiprocessing import active_children, get_context, parent_process
from threading import Thread

import numpy as np

from forecast.anomalies import runs
from forecast.intensity import Series
from forecast.model.backtest import HORIZON
from forecast.reissue import Reissue
from forecast.scoring import NothingKnown
from forecast.soundness import sound
from forecast.timeline import HOUR, Interval, ceil_to, floor_to
from forecast.zone_scores import HISTORY, MINIMUM_HOURS, ZoneScores, period_of, score_zone

Task = tuple[str, int]
"""A zone, and the hours by which its newest known value lags."""

Outcome = ZoneScores | NothingKnown


@dataclass(frozen=True, slots=True)
class _Work:
    """What every task needs: what is sound of the records, what of each is scored, and by what."""

    records: Mapping[str, Series]
    periods: Mapping[str, tuple[datetime, datetime]]
    forecasters: Mapping[str, Reissue]

    def outcome(self, task: Task) -> Outcome:
        zone, delay_hours = task
        try:
            return score_zone(self.records[zone], *self.periods[zone], self.forecasters, delay_hours, self.records)
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
    work = _Work({zone: sound(record)[0] for zone, record in records.items()}, periods, dict(forecasters))
    tasks = list(product(sorted(records), delays))
    refused: dict[str, dict[int, NothingKnown]] = {}
    with _outcomes(work, tasks, min(processes, len(tasks))) as outcomes:
        for (zone, delay_hours), outcome in zip(tasks, outcomes, strict=True):
            if isinstance(outcome, NothingKnown):
                refused.setdefault(zone, {})[delay_hours] = outcome
            else:
                yield outcome
    for zone, problems in refused.items():
        warn(_why_not(work.records[zone], periods[zone], problems))


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
    """In each process once. It ends with the one that started it, however that ended: whoever interrupts the command speaks to that one."""
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    _work = work


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _outcome(task: Task) -> Outcome:
    assert _work is not None
    return _work.outcome(task)


def _why_not(record: Series, period: tuple[datetime, datetime], refused: Mapping[int, NothingKnown]) -> str:
    """Why a zone has no scores, by delay, and what would give it some."""
    start = period[0] - HISTORY
    first, last = (int((moment - record.start) // record.step) for moment in (start, period[1]))
    is_missing = np.isnan(record.values[first:last])
    starts, lengths = runs(is_missing)
    longest = int(lengths.argmax())
    begin = start + int(starts[longest]) * record.step
    gap = Interval(begin, begin + int(lengths[longest]) * record.step)
    if gap.duration >= HORIZON * HOUR:
        missing, elsewhere = f"the hours from {gap.start:%Y-%m-%d %H:%M} to {gap.end:%Y-%m-%d %H:%M} have", _periods_beside(gap, period)
    else:
        missing, elsewhere = f"{is_missing.sum():,} of {len(is_missing):,} hours, here and there, have", iter(())
    return (
        f"{record.zone} cannot be scored at a delay of {' and '.join(map(str, refused))} h, because {next(iter(refused.values()))}, "
        f"and {missing} no value that can be believed: {', or '.join(['give the files that hold them', *elsewhere])}"
    )


def _periods_beside(gap: Interval, period: tuple[datetime, datetime]) -> Iterator[str]:
    """Options for the parts of the period that the gap leaves alone, where they are long enough."""
    enough, day = timedelta(hours=MINIMUM_HOURS), timedelta(days=1)
    first, last = ceil_to(period[0], day), floor_to(period[1], day)
    for begin, end in ((first, floor_to(gap.start, day)), (ceil_to(gap.end + HISTORY, day), last)):
        if end - begin >= enough:
            yield f"--from {begin:%Y-%m-%d} --to {end:%Y-%m-%d}"
