"""The best unbroken window against trying every minute."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from daemon.planner.columns import columns_of
from daemon.planner.fares import Shortage
from daemon.planner.offers import best_offer
from daemon.planner.task import Task, task_of
from daemon.planner.terrain import Terrain, terrain_of
from daemon.planner.windows import best_window, window_offer
from tests.daemon.planner.builders import MONDAY, job, snapshot
from tests.daemon.planner.strategies import SITES

MINUTE = 60.0
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def by_minutes(task: Task, terrain: Terrain, *, only_natural: bool = False) -> float:
    """The least score over every start at a full minute where no touched cell is short of GPUs.

    Natural starts are on an edge, or end on one, or are the first or the last there is.
    """
    best = np.inf
    for choice in task.choices:
        for minute in range(int((terrain.end - task.release) / MINUTE)):
            offer = window_offer(task, choice, task.release + minute * MINUTE, terrain)
            if only_natural and not (minute == 0 or any(is_edge(terrain, x) for x in (offer.start, offer.end)) or offer.end == task.due):
                continue
            cells = slice(terrain.cell(offer.start), terrain.cell_after(offer.end))
            if offer.end <= min(task.due, terrain.end) + 1e-6 and terrain.free[choice.site, cells].min() >= task.gpus:
                best = min(best, offer.score)
    return best


def is_edge(terrain: Terrain, x: float) -> bool:
    return bool(np.any(np.abs(terrain.edges - x) < 1e-6))


@QUICK
@given(
    st.integers(0, 2**32 - 1),
    st.integers(5, 400),
    st.integers(0, 119),
    st.integers(0, 300),
    st.sampled_from([0.0, 120.0, 5400.0]),
    st.sampled_from([0.0, 3.0]),
    st.sampled_from([None, 0.0, 0.1]),
    st.booleans(),
)
@example(seed=255, minutes=171, now=0, slack=0, startup_seconds=120.0, price=0.0, startup_kwh=0.1, mixed=False)
@example(seed=7, minutes=120, now=0, slack=60, startup_seconds=0.0, price=0.0, startup_kwh=None, mixed=True)
@example(seed=7, minutes=120, now=0, slack=300, startup_seconds=5400.0, price=0.0, startup_kwh=0.0, mixed=True)
def test_no_minute_beats_the_window_found(
    seed: int, minutes: int, now: int, slack: int, startup_seconds: float, price: float, startup_kwh: float | None, mixed: bool
) -> None:
    """What is drawn at once is charged at the rate of the first cell: a start a moment before an edge would only dodge that."""
    random = np.random.default_rng(seed)
    zones = {site.upper(): random.uniform(20, 800, 14).tolist() for site in SITES}
    earliest = MONDAY + timedelta(minutes=now)
    plain_kwh = startup_seconds / 3600  # as much as work draws: nothing to pay apart
    waiting = job(
        hours=minutes / 60,
        deadline_hours=(now + 2 * minutes + slack + startup_seconds / 60) / 60,
        sites=SITES,
        earliest=earliest,
        startup_seconds=startup_seconds,
        startup_kwh=plain_kwh if startup_kwh is None else startup_kwh,
        transfer_kwh={"se": 0.0 if startup_kwh is None else 0.3},
        price_of_waiting_g_per_hour=price,
    )
    if mixed:  # each site has its own hardware
        options = zip(waiting.options, random.integers(5, 2 * minutes, len(SITES)), random.uniform(0.2, 2, len(SITES)), strict=True)
        own = tuple(
            replace(option, work_seconds=60.0 * int(length), power_kw=float(kw), startup_kwh=kw * plain_kwh if startup_kwh is None else 0.1)
            for option, length, kw in options
        )
        waiting = replace(waiting, options=own)
    snap = snapshot([waiting], zones, 2, now=MONDAY + timedelta(minutes=now // 2))
    for site in snap.sites:
        site.free_gpus[:] = random.integers(0, 3, 14)
    terrain = terrain_of(snap)
    task = task_of(waiting, terrain)
    if task is None:
        return
    found = best_window(task, terrain, terrain.free, task.release, task.due)
    assert best_window(task, terrain, Shortage(terrain.free), task.release, task.due) == found
    every_minute = by_minutes(task, terrain, only_natural=startup_seconds == 0 and startup_kwh is not None)
    assert (found is None) <= (every_minute == np.inf)
    if found is not None:
        assert found.score <= every_minute * (1 + 1e-9)


@QUICK
@given(
    st.integers(0, 2**32 - 1),
    st.integers(5, 400),
    st.integers(0, 119),
    st.integers(0, 300),
    st.sampled_from([0.0, 120.0, 5400.0]),
    st.sampled_from([0.0, 0.2, 5.0]),
)
def test_the_cheapest_column_is_the_best_window(
    seed: int, minutes: int, now: int, slack: int, startup_seconds: float, startup_kwh: float
) -> None:
    random = np.random.default_rng(seed)
    zones = {site.upper(): random.uniform(20, 800, 24).tolist() for site in SITES}
    earliest = MONDAY + timedelta(minutes=now)
    waiting = job(
        hours=minutes / 60,
        deadline_hours=(now + minutes + slack + startup_seconds / 60) / 60,
        sites=SITES,
        earliest=earliest,
        startup_seconds=startup_seconds,
        startup_kwh=startup_kwh,
        transfer_kwh={"se": 0.3},
    )
    terrain = terrain_of(snapshot([waiting], zones, now=earliest))
    task = task_of(waiting, terrain)
    assert task is not None
    columns = columns_of([task], terrain, [(task.release, task.due)])
    best = best_offer(task, terrain, terrain.free, task.release, task.due)
    assert best is not None
    assert columns.cost[0] == pytest.approx(best.score, rel=1e-9)
    assert columns.offer(0, terrain).score == pytest.approx(best.score, rel=1e-9)


def test_a_start_is_charged_in_the_hours_in_which_it_happens() -> None:
    """Half an hour at 2 kW, of which half lies in the dirty hour; a start-up that draws nothing takes nothing off other hours."""
    rates, start = [100.0, 500.0, 100.0], 2700.0
    hungry, idle = (job(hours=1, deadline_hours=3, startup_seconds=1800, startup_kwh=kwh) for kwh in (1.0, 0.0))
    for one, least in ((hungry, 1.0), (idle, 0.0)):
        terrain = terrain_of(snapshot([one], {"DE": rates}))
        task = task_of(one, terrain)
        assert task is not None
        offer = window_offer(task, task.choices[0], start, terrain)
        assert offer.grams == pytest.approx(least * (0.5 * 100 + 0.5 * 500) + 0.75 * 500 + 0.25 * 100)
