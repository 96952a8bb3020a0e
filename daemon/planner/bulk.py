"""Many jobs at once, each in one piece: prices first, then the whole queue at those prices, then ruin and recreate.

Jobs that may pause take part: what pausing brings is found afterwards, from a good place. Placed one after the other from the start, they
emit a fifth to a third more on queues of 1,000 jobs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from daemon.domain.plan import IntArray
from daemon.planner.columns import Columns, columns_of
from daemon.planner.draft import Draft, Quote
from daemon.planner.prices import Market, Prices, find_prices
from daemon.planner.search import NOWHERE, Board, Search
from daemon.planner.task import Task
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, Terrain

FEWEST = 2  # a job on its own takes its best window; there is nothing to trade
MOST_POLISH_ROUNDS = 8
STEPS_PER_JOB = 40  # a short queue is searched through long before the steps run out

MOST_ROWS = 4_000_000  # starts looked at together: 10,000 jobs, a week of hours, six sites; about a gigabyte with all else


def place_in_bulk(draft: Draft, jobs: list[str]) -> list[str]:
    """Place jobs without predecessors or successors, unbroken, in the draft's free capacity; those that found no room so.

    A queue with more starts than fit into memory is placed in parts, each in its share of the capacity, at prices that all parts share.
    """
    windows = {job: _window(draft, job) for job in jobs}
    fitting = [job for job in jobs if has_room(draft.tasks[job].narrow, *windows[job], draft.terrain.end)]
    if len(fitting) < FEWEST:
        return jobs
    count = len(in_parts(fitting, [rows_of(draft.tasks[job], *windows[job], draft.terrain) for job in fitting]))
    parts = [fitting[number::count] for number in range(count)]  # each like the whole queue
    sample = parts[0]
    columns = _columns(draft, sample, windows)
    # Every k-th job in a k-th of the capacity asks about the same prices as all of them in all of it.
    prices = find_prices(columns, draft.terrain, draft.occupancy.free / count, draft.options.price_rounds)
    draft.quote = Quote({job: windows[job] for job in sample}, prices)
    largest = max(draft.tasks[job].gpus for job in fitting)
    for number, part in enumerate(parts):
        if number > 0:
            columns = _columns(draft, part, windows)
        free = draft.occupancy.free
        # A part that saw all of what is free would take the clean hours and leave the others none.
        share = np.minimum(free, np.maximum(-(-free // (count - number)), largest))
        board = _searched(draft, columns, share, prices, draft.options.search_steps // count)
        for job, row in zip(part, board.row.tolist(), strict=True):
            if row != NOWHERE:
                draft.put(job, columns.offer(row, draft.terrain))
    return [job for job in jobs if job not in draft.offers]


def _columns(draft: Draft, jobs: list[str], windows: Mapping[str, tuple[float, float]]) -> Columns:
    return columns_of([draft.tasks[job] for job in jobs], draft.terrain, [windows[job] for job in jobs])


def rows_of(task: Task, release: float, due: float, terrain: Terrain) -> int:
    """About how many starts columns hold for the job."""
    slack = max(0.0, min(due, terrain.end) - release - task.shortest)
    return len(task.choices) * (2 + 2 * int(slack / terrain.step))


def in_parts(jobs: list[str], rows: list[int]) -> list[list[str]]:
    """The jobs in as few runs as keep each one's rows below what memory holds."""
    parts: list[list[str]] = []
    room = 0
    for job, wanted in zip(jobs, rows, strict=True):
        if not parts or wanted > room:
            parts.append([])
            room = MOST_ROWS
        parts[-1].append(job)
        room -= wanted
    return parts


def has_room(task: Task, release: float, due: float, end: float) -> bool:
    """Whether the window is long enough for the job's quickest site, whoever else is there."""
    return release + task.shortest <= min(due, end) + EDGE_TOLERANCE_SECONDS


def _window(draft: Draft, job: str) -> tuple[float, float]:
    """First start and last end, with the margin where the job then still fits."""
    release, last = draft.release(job), draft.last_end(job)
    held = last - draft.margin(job)
    return release, held if has_room(draft.tasks[job].narrow, release, held, draft.terrain.end) else last


def _searched(draft: Draft, columns: Columns, free: IntArray, prices: Prices, steps: int) -> Board:
    """The best assignment found. Jobs that the order by size leaves out get a second chance in order of urgency."""
    options = draft.options
    market = Market(columns, draft.terrain, free)
    board = Board(columns, free)
    search = Search(board, market, prices, options.seed)
    if search.fill(search.by_size()):
        board.clear()
        search.fill(_by_urgency(columns))
    if (board.row == NOWHERE).any():
        return board
    for _ in range(MOST_POLISH_ROUNDS):
        if not search.polish():
            break
    search.run(min(steps, STEPS_PER_JOB * len(columns.tasks)))
    return board


def _by_urgency(columns: Columns) -> list[int]:
    """Jobs by their last possible start."""
    latest = np.maximum.reduceat(columns.start, columns.first[:-1])
    return [int(job) for job in np.argsort(latest, kind="stable")]
