"""The best way to do one job in the capacity that is free: dispatch by mode."""

from __future__ import annotations

from collections.abc import Iterable

from daemon.domain.plan import IntArray, Mode
from daemon.planner.earliest_end import earliest_end
from daemon.planner.hours import cheapest_hours, pauses_for_free
from daemon.planner.lanes import Lane, best_pieces, every_piece, lanes_of
from daemon.planner.task import Offer, Task
from daemon.planner.terrain import Terrain
from daemon.planner.windows import best_window, cheapest, soonest_window, window_offer

MOMENT_SECONDS = 1e-3  # pieces that must use every open second would fail by a rounding


def best_offer(task: Task, terrain: Terrain, free: IntArray, release: float, due: float) -> Offer | None:
    """The cheapest placement within [release, due] found, or None if there is no room by then."""
    if task.is_pinned:
        return pinned_offer(task, terrain)
    if task.job.mode is Mode.INTERRUPTIBLE and pauses_for_free(task):
        hours = cheapest(cheapest_hours(task, choice, terrain, free, release, due) for choice in task.choices)
        if not any(choice.once_kwh for choice in task.choices):
            return hours
        # A transfer is paid at the rate of the first hour, which the cheapest hours do not look at.
        return cheapest([hours, best_window(task, terrain, free, release, due)])
    window = best_window(task, terrain, free, release, due)
    if task.job.mode is Mode.CONTIGUOUS:
        return window
    # A window may beat pieces that pay several starts, so it competes; of equals the unbroken one wins.
    return cheapest([window, *_in_pieces(task, terrain, free, release, due)])


def soonest_offer(task: Task, terrain: Terrain, free: IntArray, release: float) -> Offer | None:
    """The placement that ends first, deadline or not; None where even the whole grid has no room."""
    if task.is_pinned:
        return pinned_offer(task, terrain)
    window = soonest_window(task, terrain, free, release)
    if task.job.mode is Mode.CONTIGUOUS:
        return window
    if task.job.mode is Mode.INTERRUPTIBLE and pauses_for_free(task):
        return first_hours(task, terrain, free, release, terrain.end)
    late = terrain.end if window is None else window.end
    pieces = cheapest(_hasty(task, terrain, lanes_of(task, terrain, free, release, late)))
    if pieces is None or (window is not None and pieces.end >= window.end - 1.0):
        return window
    return pieces


def _hasty(task: Task, terrain: Terrain, lanes: list[Lane]) -> Iterable[Offer | None]:
    """Placements with pauses that end as soon as any can, within a moment."""
    sets = _lane_sets(task, lanes)
    ends = [earliest_end(chosen, task.width) for chosen in sets]
    soonest = min((end for end in ends if end is not None), default=None)
    for chosen, end in zip(sets, ends, strict=True):
        if end is not None and soonest is not None and end <= soonest + 1.0:
            yield every_piece(task, terrain, [lane.until(end + MOMENT_SECONDS) for lane in chosen], task.width)


def first_hours(task: Task, terrain: Terrain, free: IntArray, release: float, due: float) -> Offer | None:
    """Work that pauses for free, in the first hours that are free: on the site where that ends first."""
    offers = [cheapest_hours(task, choice, terrain, free, release, due, first_ones=True) for choice in task.choices]
    return min((offer for offer in offers if offer is not None), key=lambda offer: (round(offer.end, 3), offer.score), default=None)


def pinned_offer(task: Task, terrain: Terrain) -> Offer | None:
    """A contiguous job that runs goes on where it is."""
    here = [choice for choice in task.choices if choice.site == task.running]
    return window_offer(task, here[0], 0.0, terrain) if here else None


def _in_pieces(task: Task, terrain: Terrain, free: IntArray, release: float, due: float) -> Iterable[Offer | None]:
    """Placements with pauses: on each site alone, and for divisible work on all sites together."""
    for lanes in _lane_sets(task, lanes_of(task, terrain, free, release, due)):
        if earliest_end(lanes, task.width) is not None:
            yield best_pieces(task, terrain, lanes, task.width)


def _lane_sets(task: Task, lanes: list[Lane]) -> list[list[Lane]]:
    """The lanes of each site alone and, for divisible work, of all sites together."""
    sets = [[lane for lane in lanes if lane.choice is choice] for choice in task.choices]
    return [*sets, lanes] if task.job.mode is Mode.DIVISIBLE and len(task.choices) > 1 else sets
