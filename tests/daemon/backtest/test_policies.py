"""The planner's policy when the outlook changes: waiting work follows it, but not for little, and not into room that others will need."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from daemon.backtest.outlooks import believe
from daemon.backtest.policies import WholeQueue
from daemon.domain.plan import Mode, PlanJob
from daemon.planner import PlannerOptions
from daemon.planner.field import Field, Held
from daemon.planner.guard import worst_shortage
from daemon.planner.reserve import WEEK_SECONDS, Demand
from daemon.planner.task import task_of
from daemon.planner.terrain import terrain_of
from tests.daemon.planner.builders import MONDAY, job, snapshot

H = 3600.0
GPUS = 3
OPTIONS = PlannerOptions(wait_confidence=0.0)


def a_field(hours: int, gpus: int = GPUS) -> Field:
    return Field(terrain_of(snapshot([], {"DE": [300.0] * hours}, gpus=gpus)))


def come(field: Field, policy: WholeQueue, planned: PlanJob, now: float) -> Held:
    task = task_of(replace(planned, mode=Mode.INTERRUPTIBLE, earliest=MONDAY + timedelta(seconds=now)), field.whole)
    assert task is not None
    held = Held(task)
    field.look(now, task.due)
    field.advance(now)
    field.add(held)
    policy.arrive(field, held, now)
    return held


def forecast(field: Field, rates: dict[int, float]) -> None:
    """All hours are now taken to be of 300 g/kWh, but these."""
    rate = np.full((1, field.whole.count), 300.0)
    for hour, value in rates.items():
        rate[0, hour] = value
    believe(field.whole, 0, rate, np.zeros_like(rate))


@pytest.mark.parametrize(("clean", "moves"), [(295.0, False), (200.0, True)])
def test_work_moves_for_a_saving_above_the_share_of_the_hours_it_leaves(clean: float, moves: bool) -> None:
    field, policy = a_field(60), WholeQueue(OPTIONS, None)
    held = come(field, policy, job(hours=20, deadline_hours=40), 0.0)
    assert [(piece.start, piece.end) for piece in held.ahead] == [(0.0, 20 * H)]
    forecast(field, {30: clean})
    policy.renew(field, 0.0)
    assert (held.ahead[-1].start == 30 * H) is moves
    assert sum(piece.end - piece.start for piece in held.ahead) == pytest.approx(20 * H)


def test_a_new_outlook_moves_no_work_into_room_that_jobs_to_come_will_need() -> None:
    weeks, noon = 4, 60 * H
    start = weeks * WEEK_SECONDS + 48 * H  # Wednesday, midnight
    field, policy, demand = a_field(int(start / H) + 200), WholeQueue(OPTIONS, GPUS), Demand()
    for at in (week * WEEK_SECONDS + noon for week in range(weeks)):
        weekly = come(field, policy, job(f"at-{at:.0f}", hours=10, deadline_hours=at / H + 20), at)
        demand.note(weekly.task, field.terrain.step)
    waiting = [come(field, policy, job(f"j{n}", hours=15, deadline_hours=start / H + 32), start) for n in range(GPUS)]
    assert all(held.ahead[0].start == start for held in waiting)
    forecast(field, dict.fromkeys(range(int(start / H) + 12, int(start / H) + 200), 100.0))
    policy.renew(field, start)
    assert max(held.ahead[-1].end for held in waiting) > start + 15 * H
    assert worst_shortage(field, demand, start) is None
    assert all(held.ahead[-1].end <= held.task.due for held in waiting)
