"""The published bound against the linear programme, solved by HiGHS: bound <= LP <= plan."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

from daemon.domain.plan import Snapshot
from daemon.planner import PlannerOptions, plan, prices
from tests.bench.planner_instances import Instance

THOROUGH = PlannerOptions(0.0, 0.0, 0.0, price_rounds=300, search_steps=4000)


def linear_optimum(snap: Snapshot) -> float:
    """The LP over (job, site, start), written from the snapshot without the planner's code; hourly slots, whole hours."""
    rows: list[int] = []
    columns: list[int] = []
    gpus: list[float] = []
    owner: list[int] = []
    cost: list[float] = []
    for number, job in enumerate(snap.jobs):
        first = round((job.earliest - snap.now).total_seconds() / 3600)
        due = round((job.deadline - snap.now).total_seconds() / 3600)
        for option in job.options:
            site = next(i for i, s in enumerate(snap.sites) if s.name == option.site)
            rate = snap.outlooks[snap.sites[site].zone].g_per_kwh * snap.sites[site].pue * option.power_kw
            length = round(option.work_seconds / 3600)
            for start in range(first, due - length + 1):
                for slot in range(start, start + length):
                    rows.append(site * snap.grid.count + slot)
                    columns.append(len(cost))
                    gpus.append(job.gpus)
                owner.append(number)
                cost.append(float(rate[start : start + length].sum()))
    shape = (len(snap.sites) * snap.grid.count, len(cost))
    use = csr_matrix((gpus, (rows, columns)), shape=shape)
    each = csr_matrix((np.ones(len(cost)), (owner, np.arange(len(cost)))), shape=(len(snap.jobs), len(cost)))
    free = np.concatenate([site.free_gpus for site in snap.sites])
    demand = np.ones(len(snap.jobs))
    answer = linprog(cost, A_ub=use, b_ub=free, A_eq=each, b_eq=demand, method="highs")  # type: ignore[call-overload]  # sparse is fine
    assert answer.status == 0
    return float(answer.fun)


@pytest.mark.parametrize(("jobs", "slots", "load", "most"), [(30, 72, 0.2, 1.03), (40, 60, 0.2, 1.03), (60, 72, 0.2, 1.2)])
@pytest.mark.parametrize("seed", [1, 2])
def test_bound_is_below_the_lp_and_the_lp_below_the_plan(jobs: int, slots: int, load: float, most: float, seed: int) -> None:
    snap = Instance(jobs, slots, load, seed).snapshot()
    answer, optimum = plan(snap, THOROUGH), linear_optimum(snap)
    assert answer.bound_g <= optimum * (1 + 1e-9)
    assert answer.bound_g >= 0.98 * optimum
    assert optimum <= answer.cost_g * (1 + 1e-9)
    assert answer.cost_g <= most * optimum


def test_one_gpu_jobs_come_within_three_percent_of_the_lp() -> None:
    snap = Instance(60, 60, 0.6, 3, one_gpu=True).snapshot()
    answer, optimum = plan(snap, THOROUGH), linear_optimum(snap)
    assert answer.bound_g <= optimum * (1 + 1e-9)
    assert optimum <= answer.cost_g * (1 + 1e-9) <= 1.03 * optimum * (1 + 1e-9)


def test_prices_that_a_sample_of_a_long_queue_finds_first_prove_a_bound_for_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices, "SAMPLE_JOBS", 30)
    snap = Instance(60, 72, 0.2).snapshot()
    answer, optimum = plan(snap, THOROUGH), linear_optimum(snap)
    assert 0.98 * optimum <= answer.bound_g <= optimum * (1 + 1e-9)
