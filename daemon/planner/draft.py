"""A plan in the making: who is placed where, what is still free, and the moves that change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from daemon.planner.occupancy import Occupancy
from daemon.planner.offers import best_offer, soonest_offer
from daemon.planner.options import PlannerOptions
from daemon.planner.precedence import Links
from daemon.planner.prices import Prices
from daemon.planner.task import Offer, Task
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, Terrain


@dataclass(frozen=True, slots=True)
class Quote:
    """Prices found while placing, with the jobs and windows they were found for."""

    windows: Mapping[str, tuple[float, float]]
    prices: Prices


class Draft:
    """Placements of some tasks under capacity. `latest` is when each must have ended for its followers' sake."""

    def __init__(
        self, terrain: Terrain, tasks: Mapping[str, Task], links: Links, latest: Mapping[str, float], options: PlannerOptions
    ) -> None:
        self.terrain, self.tasks, self.links, self.latest, self.options = terrain, tasks, links, latest, options
        self.occupancy = Occupancy(terrain)
        self.offers: dict[str, Offer] = {}
        self.quote: Quote | None = None

    def put(self, job: str, offer: Offer) -> None:
        self.offers[job] = offer
        self.occupancy.add(self.tasks[job], offer)

    def take_out(self, job: str) -> Offer:
        offer = self.offers.pop(job)
        self.occupancy.remove(self.tasks[job], offer)
        return offer

    def insert(self, job: str) -> bool:
        """Place the job at its cheapest: with margin before its deadline, else within it, else as early as possible."""
        task, release = self.tasks[job], self.release(job)
        last = self.last_end(job)
        # New wide work comes in narrow where that keeps its deadline: the first would take all clean hours. `improve` widens it.
        widths = (task.narrow, task) if task.width > 1 and not task.job.previous else (task,)
        for due, one in product(dict.fromkeys((last - self.margin(job), last, task.due)), widths):
            offer = best_offer(one, self.terrain, self.occupancy.free, release, due)
            if offer is not None:
                break
        else:
            offer = soonest_offer(task, self.terrain, self.occupancy.free, release)
        if offer is not None:
            self.put(job, offer)
        return offer is not None

    def release(self, job: str) -> float:
        """The first moment the job may start: its own, and the end of everything it waits for."""
        return max([self.tasks[job].release, *(self.offers[p].end for p in self.links.before[job] if p in self.offers)])

    def last_end(self, job: str) -> float:
        """When the job must have ended: for its deadline and for the jobs that wait for it, placed or not."""
        return min([self.latest[job], *(self.offers[s].start for s in self.links.then[job] if s in self.offers)])

    def margin(self, job: str) -> float:
        return self.options.deadline_margin * self.tasks[job].shortest

    def is_late(self, job: str) -> bool:
        return self.offers[job].end > self.tasks[job].due + EDGE_TOLERANCE_SECONDS

    @property
    def late(self) -> list[str]:
        return [job for job in self.offers if self.is_late(job)]

    @property
    def score(self) -> float:
        return sum(offer.score for offer in self.offers.values())
