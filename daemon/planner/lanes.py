"""Work cut into pieces: which cells of which lanes to use when a job may pause, and may run in several places.

A *lane* is one place for the job's GPUs at one site. For a price mu per whole job, each lane picks the cells worth
their cost, each start charged; the smallest mu that gets all of the work done gives the pieces (a Lagrangian
relaxation of "all of the work", exact but for the last cells, which are then trimmed to measure).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from daemon.domain.plan import IntArray
from daemon.planner.task import Choice, Offer, Piece, Task, offer_of
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, HOUR_SECONDS, Terrain
from daemon.planner.worthwhile_cells import Worth
from forecast.intensity import FloatArray

FULL = 1.0 - 1e-9  # shares of the work add up with rounding


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """Cells [first, first + n): open seconds in each (0: closed), start of the first, emissions per share of the job."""

    choice: Choice
    first: int
    starts: FloatArray
    seconds: FloatArray
    unit_g: FloatArray  # score of doing the whole job at this cell's rate
    fresh_g: FloatArray  # emissions of a start in this cell
    is_running: bool  # the job works here when the first cell begins

    def until(self, due: float) -> Lane:
        """The lane with everything after `due` closed."""
        return replace(self, seconds=np.clip(due - self.starts, 0.0, self.seconds))


@dataclass(slots=True, eq=False)
class Stretch:
    """Consecutive chosen cells of one lane, while it is being trimmed."""

    lane: Lane
    start: float
    end: float
    fresh: bool

    @property
    def share(self) -> float:
        startup = self.lane.choice.startup if self.fresh else 0.0
        return (self.end - self.start - startup) / self.lane.choice.work


def lanes_of(task: Task, terrain: Terrain, free: IntArray, release: float, due: float) -> list[Lane]:
    """A lane for every set of the job's GPUs that is free somewhere between `release` and `due`."""
    due = min(due, terrain.end)
    if due <= release + EDGE_TOLERANCE_SECONDS:
        return []
    first, last = terrain.cell(release), terrain.cell_after(due)
    starts = np.maximum(terrain.edges[first:last], release)
    length = np.minimum(terrain.edges[first + 1 : last + 1], due) - starts
    lanes: list[Lane] = []
    for choice in task.choices:
        width = free[choice.site, first:last] // task.gpus
        layers = range(min(task.width, int(width.max(initial=0))))
        lanes += [_lane(task, choice, terrain, first, starts, np.where(width > layer, length, 0.0), layer) for layer in layers]
    return lanes


def _lane(task: Task, choice: Choice, terrain: Terrain, first: int, starts: FloatArray, seconds: FloatArray, layer: int) -> Lane:
    rate = terrain.rate[choice.site, first : first + len(starts)]
    unit = rate * (choice.power * choice.work / HOUR_SECONDS)
    price = task.job.price_of_waiting_g_per_hour
    if price:
        unit = unit + (starts + seconds / 2 - task.release) * (price / HOUR_SECONDS)
    running = layer < task.runs_at(choice.site) and first == 0 and starts[0] <= 0.0
    return Lane(choice, first, starts, seconds, unit, rate * max(choice.fresh_kwh, 0.0), running)


def best_pieces(task: Task, terrain: Terrain, lanes: Sequence[Lane], width: int) -> Offer | None:
    """The cheapest way found to do all of the job in these lanes, at most `width` at a time, or None if there is no room."""
    if not lanes:
        return None
    lanes = narrowed(lanes, width)
    if all(lane.choice.startup == 0 and not lane.fresh_g.any() for lane in lanes):
        stretches = _cheapest_cells(lanes)
    else:
        stretches = _priced_cells(lanes)
    return None if stretches is None else _offer(stretches, task, terrain)


def every_piece(task: Task, terrain: Terrain, lanes: Sequence[Lane], width: int) -> Offer | None:
    """All of the job in all the time these lanes are open, at most `width` at a time; None if that does not hold it.

    Where the lanes end when the job can end at the soonest, there is no other way to do it, and nothing to search for.
    """
    stretches = [s for lane in narrowed(lanes, width) for s in _stretches(lane, lane.seconds > 0) if s.share > 0]
    if _done(stretches) < FULL:
        return None
    _trim(stretches)
    return _offer(stretches, task, terrain)


def _offer(stretches: Iterable[Stretch], task: Task, terrain: Terrain) -> Offer:
    pieces = tuple(Piece(s.lane.choice, s.start, s.end, s.fresh) for s in sorted(stretches, key=lambda s: (s.start, s.lane.choice.site)))
    return offer_of(pieces, task, terrain)


def narrowed(lanes: Sequence[Lane], width: int) -> list[Lane]:
    """The lanes with all but the `width` cheapest open cells of each instant closed."""
    if len(lanes) <= width:
        return list(lanes)
    unit = np.stack([np.where(lane.seconds > 0, lane.unit_g, np.inf) for lane in lanes])
    place = np.argsort(np.argsort(unit, axis=0, kind="stable"), axis=0, kind="stable")
    closed = place >= width
    return [
        Lane(lane.choice, lane.first, lane.starts, np.where(closed[row], 0.0, lane.seconds), lane.unit_g, lane.fresh_g, lane.is_running)
        for row, lane in enumerate(lanes)
    ]


def _cheapest_cells(lanes: Sequence[Lane]) -> list[Stretch] | None:
    """Where starts are free: cells in order of cost, the earlier of equal ones first, until the work is done."""
    unit = np.concatenate([lane.unit_g for lane in lanes])
    share = np.concatenate([lane.seconds / lane.choice.work for lane in lanes])
    order = np.lexsort((np.tile(lanes[0].starts, len(lanes)), np.round(unit, 9)))
    order = order[share[order] > 0]
    done = np.cumsum(share[order])
    if len(done) == 0 or done[-1] < FULL:
        return None
    needed = int(np.searchsorted(done, FULL)) + 1
    used = np.zeros(len(unit), dtype=np.bool_)
    used[order[:needed]] = True
    stretches: list[Stretch] = []
    cells = len(lanes[0].starts)
    for row, lane in enumerate(lanes):
        stretches.extend(_stretches(lane, used[row * cells : (row + 1) * cells]))
    surplus = float(done[needed - 1]) - 1.0
    if surplus > 0:
        last = int(order[needed - 1])
        _shorten_cell(stretches, lanes[last // cells], last % cells, surplus)
    return stretches


def _shorten_cell(stretches: list[Stretch], lane: Lane, cell: int, surplus: float) -> None:
    """Leave out `surplus` of the work in one cell: at its end, or at its start where the work goes on behind it."""
    seconds = surplus * lane.choice.work
    begin, end = float(lane.starts[cell]), float(lane.starts[cell] + lane.seconds[cell])
    for position, stretch in enumerate(stretches):
        if stretch.lane is not lane or not stretch.start <= begin < stretch.end:
            continue
        if stretch.end <= end + EDGE_TOLERANCE_SECONDS:
            stretch.end -= seconds
        elif stretch.start >= begin - EDGE_TOLERANCE_SECONDS and stretch.fresh:
            stretch.start += seconds
        else:
            stretches.insert(position + 1, Stretch(lane, end, stretch.end, fresh=True))
            stretch.end = end - seconds
        return


def _priced_cells(lanes: Sequence[Lane]) -> list[Stretch] | None:
    """What the lanes do for the price at which they do just enough of the job, trimmed; None where no price is enough.

    Between two prices as good as equal, lane after lane works for the higher one until the job is done.
    """
    alike = _alike(lanes)
    found = _worth(alike).bracket(FULL)
    if found is None:
        return None
    too_little, enough = found
    done = sum(len(same) * _done(_stretches(same[0], too_little[:, kind])) for kind, same in enumerate(alike))
    stretches: list[Stretch] = []
    for kind, same in enumerate(alike):
        for lane in same:
            some = _stretches(lane, too_little[:, kind])
            if done < FULL:
                more = _stretches(lane, enough[:, kind])
                done += _done(more) - _done(some)
                some = more
            stretches += some
    _trim(stretches)
    return stretches


def _done(stretches: Iterable[Stretch]) -> float:
    return sum(stretch.share for stretch in stretches)


def _alike(lanes: Sequence[Lane]) -> list[list[Lane]]:
    """The lanes in sets that differ in nothing, as side by side on idle GPUs: one answer serves each set."""
    sets: dict[tuple[int, bool, bytes], list[Lane]] = {}
    for lane in lanes:
        sets.setdefault((lane.choice.site, lane.is_running, lane.seconds.tobytes()), []).append(lane)
    return list(sets.values())


def _worth(alike: Sequence[Sequence[Lane]]) -> Worth:
    kinds = [same[0] for same in alike]
    return Worth(
        unit_g=np.stack([lane.unit_g for lane in kinds], axis=1),
        share=np.stack([lane.seconds / lane.choice.work for lane in kinds], axis=1),
        fresh_g=np.stack([lane.fresh_g for lane in kinds], axis=1),
        start_share=np.array([lane.choice.startup / lane.choice.work for lane in kinds]),
        is_running=np.array([lane.is_running for lane in kinds]),
        counts=[len(same) for same in alike],
    )


def _stretches(lane: Lane, used: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> list[Stretch]:
    """Consecutive used cells as one stretch."""
    marks = np.flatnonzero(np.diff(np.concatenate(([0], np.asarray(used, dtype=np.int8), [0]))))
    stretches = []
    for begin, after in zip(marks[::2].tolist(), marks[1::2].tolist(), strict=True):
        end = float(lane.starts[after - 1] + lane.seconds[after - 1])
        stretches.append(Stretch(lane, float(lane.starts[begin]), end, fresh=not (begin == 0 and lane.is_running)))
    return stretches


def _trim(stretches: list[Stretch]) -> None:
    """Take what is done too much from the dearest ends, the latest of equal ones first."""
    surplus = _done(stretches) - 1.0
    while surplus > 1e-9:
        stretch, at_end = max(_ends(stretches), key=lambda end: (round(_unit_at(*end), 9), end[0].end if end[1] else end[0].start))
        lane, cell = stretch.lane, _cell_at(stretch, at_end)
        edge = float(lane.starts[cell] + (0.0 if at_end else lane.seconds[cell]))
        piece = abs((stretch.end if at_end else stretch.start) - edge)
        cut = min(surplus * lane.choice.work, piece)
        if cut >= stretch.share * lane.choice.work:
            surplus -= stretch.share
            stretches.remove(stretch)
            continue
        surplus -= cut / lane.choice.work
        if at_end:
            stretch.end -= cut
        else:
            stretch.start += cut


def _ends(stretches: Iterable[Stretch]) -> Iterable[tuple[Stretch, bool]]:
    """Every end that may be cut: not the start of work that just goes on."""
    for stretch in stretches:
        yield stretch, True
        if stretch.fresh:
            yield stretch, False


def _cell_at(stretch: Stretch, at_end: bool) -> int:
    starts = stretch.lane.starts
    if at_end:
        return int(np.searchsorted(starts, stretch.end - EDGE_TOLERANCE_SECONDS, side="right")) - 1
    return int(np.searchsorted(starts, stretch.start + EDGE_TOLERANCE_SECONDS, side="right")) - 1


def _unit_at(stretch: Stretch, at_end: bool) -> float:
    return float(stretch.lane.unit_g[_cell_at(stretch, at_end)])
