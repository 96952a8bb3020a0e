"""Which job waits for which: an order in which every job follows its predecessors, and what that leaves of its window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from heapq import heapify, heappop, heappush

from daemon.planner.task import Task


class Links:
    """Predecessors and successors among the given jobs; jobs outside are done."""

    def __init__(self, after: Mapping[str, Sequence[str]]) -> None:
        self.before = {job: tuple(p for p in dict.fromkeys(preds) if p in after) for job, preds in after.items()}
        self.then: dict[str, list[str]] = {job: [] for job in after}
        for job, predecessors in self.before.items():
            for predecessor in predecessors:
                self.then[predecessor].append(job)

    def cycle(self) -> tuple[str, ...]:
        """Jobs that wait for themselves in a ring, the first repeated at the end; empty if there is none."""
        try:
            TopologicalSorter(self.before).prepare()
        except CycleError as error:
            return tuple(reversed(error.args[1]))
        return ()

    def ordered(self, jobs: Sequence[str], key: Callable[[str], tuple[float | str, ...]]) -> list[str]:
        """The jobs by `key`, each after its predecessors. The links must be free of cycles."""
        sorter = TopologicalSorter({job: self.before[job] for job in jobs})
        sorter.prepare()
        ready = [(key(job), job) for job in sorter.get_ready()]
        heapify(ready)
        order: list[str] = []
        while ready:
            _, job = heappop(ready)
            order.append(job)
            sorter.done(job)
            for freed in sorter.get_ready():
                heappush(ready, (key(freed), freed))
        return order


def latest_ends(tasks: Mapping[str, Task], links: Links, order: Sequence[str]) -> dict[str, float]:
    """When each job must have ended so that it and all that follow it can meet their deadlines."""
    latest: dict[str, float] = {}
    for job in reversed(order):
        successors = [s for s in links.then[job] if s in tasks]
        latest[job] = min([tasks[job].due, *(latest[s] - tasks[s].shortest for s in successors)])
    return latest
