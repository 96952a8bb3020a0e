"""What a plan's lower bound is worth a moment later, when some of its work is done.

The bound is a sum over the jobs, of what each costs at least at the plan's prices, less the rent that these ask for all free
GPUs (see `prices`). Prices stay good: so what is known of the jobs that just wait stays, what begun jobs cost is looked at
again, what jobs that have left cost is taken out, and rent is asked only for the time and the GPUs that are left.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from daemon.domain.plan import Mode, Placement, PlanJob
from daemon.planner.bound import least_of
from daemon.planner.previous import pieces_of_placement
from daemon.planner.standing import Standing, prices_on
from daemon.planner.task import Task, offer_of, task_of
from daemon.planner.terrain import HOUR_SECONDS, Terrain
from forecast.intensity import FloatArray


class Proof:
    """The bound of a standing plan, from one moment, `earlier`, to a later one, `terrain`. Grams."""

    def __init__(self, standing: Standing, earlier: Terrain, terrain: Terrain) -> None:
        self._standing, self._earlier, self._terrain = standing, earlier, terrain
        self._before, self._prices = prices_on(standing.plan, earlier), prices_on(standing.plan, terrain)

    def least_g(self, task: Task) -> float:
        """What a begun job adds to the bound from now on."""
        return least_of(task, self._terrain, self._prices)

    def bound_g(self, outdated: Sequence[Placement]) -> float:
        """The bound without the jobs of the placements `outdated`, which are as the standing plan has them."""
        rent = _rent_g(self._before, self._earlier) - _rent_g(self._prices, self._terrain)
        jobs = {job.id: job for job in self._standing.snapshot.jobs}
        known = self._standing.least_g
        dropped = sum(known[p.job_id] if p.job_id in known else self._most_g(p, jobs[p.job_id]) for p in outdated)
        return self._standing.plan.bound_g + rent - dropped - self._waited_g({placement.job_id for placement in outdated})

    def _most_g(self, placement: Placement, job: PlanJob) -> float:
        """What the bound counts for the job at most: no more than what its placement costs and pays for its GPUs."""
        rent = 0.0
        for segment in placement.segments:
            row = self._earlier.index[segment.site]
            paid = np.concatenate(([0.0], np.cumsum(self._before[row])))
            ends = [self._earlier.seconds(segment.start), self._earlier.seconds(segment.end)]
            begin, end = np.interp(ends, self._earlier.edges, paid).tolist()
            rent += segment.gpus * (end - begin)
        return score_of(placement, job, self._earlier) + rent

    def _waited_g(self, outdated: set[str]) -> float:
        """What waiting has cost until now: the price of waiting counts from now on."""
        waits = [job for job in self._standing.snapshot.jobs if job.price_of_waiting_g_per_hour and job.mode is Mode.CONTIGUOUS]
        shifts = {job.id: self._terrain.seconds(max(job.earliest, self._earlier.now)) for job in waits if job.id not in outdated}
        return sum(job.price_of_waiting_g_per_hour * max(0.0, -shifts[job.id]) / HOUR_SECONDS for job in waits if job.id in shifts)


def score_of(placement: Placement, job: PlanJob, terrain: Terrain) -> float:
    """What the placement adds to a plan's cost: its grams, and the price of waiting until then."""
    task = task_of(job, terrain) if job.price_of_waiting_g_per_hour else None
    if task is None:
        return placement.expected_g
    offer = offer_of(tuple(pieces_of_placement(placement, task, terrain)), task, terrain)
    return placement.expected_g + offer.score - offer.grams


def _rent_g(prices: FloatArray, terrain: Terrain) -> float:
    return float((prices * np.maximum(terrain.free, 0)).sum())
