"""Better plans by small moves: take jobs out and put them back where they are cheapest now."""

from __future__ import annotations

from daemon.domain.plan import Mode
from daemon.planner.draft import Draft
from daemon.planner.offers import best_offer
from daemon.planner.regret import Comparison, compare, decided_to_wait
from daemon.planner.task import Offer, given_up_g
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, TIE_SHARE
from daemon.planner.windows import prompt_window


def improve(draft: Draft) -> None:
    """Re-insert jobs one after the other, the dearest first, until a whole round changes nothing or the moves are used up."""
    steps = draft.options.moves
    changed = True
    while changed and steps > 0:
        changed = False
        for job in sorted(draft.offers, key=lambda j: (-draft.offers[j].score, j)):
            if steps <= 0:
                return
            steps -= 1
            changed |= reinsert(draft, job)


def reinsert(draft: Draft, job: str) -> bool:
    """Move the job to its cheapest place if that is clearly better; True if it moved. No job becomes late by it."""
    task = draft.tasks[job]
    if task.is_pinned:
        return False
    was_late = draft.is_late(job)
    current = draft.take_out(job)
    last = draft.last_end(job)
    due = max(last - draft.margin(job), min(current.end, last))
    offer = best_offer(task, draft.terrain, draft.occupancy.free, draft.release(job), due)
    if offer is None or not (was_late or offer.score < current.score - _least_gain(draft, job, current, offer)):
        draft.put(job, current)
        return False
    draft.put(job, offer)
    return True


def _least_gain(draft: Draft, job: str, current: Offer, offer: Offer) -> float:
    """What a move must save: little for a job that is new in this plan, a clear share for one that people saw planned.

    The share is one of all that the job emits where it may not pause, else of the hours that it leaves: asked of everything, long work
    would hardly ever follow a new forecast. In ten weeks of jobs of 4 to 90 h with own forecasts (DE, GB, US-CAL-CISO 2022) a threshold of
    3 % of everything costs 12, 10 and 2 % of the saving. One of 3 % of the hours left costs 2, 0 and 0 %, with less than half of the moves
    that are made without a threshold.
    """
    least = TIE_SHARE * current.score
    if not draft.tasks[job].job.previous:
        return least
    is_unbroken = draft.tasks[job].job.mode is Mode.CONTIGUOUS
    moved = current.score if is_unbroken else given_up_g(current.pieces, offer.pieces, draft.terrain)
    return max(draft.options.keep_threshold * moved, least)


def settle_waits(draft: Draft) -> dict[str, Comparison]:
    """Start every new job at once whose expected saving does not beat its uncertainty; what was compared, by job.

    Only jobs that could start at once in the free capacity are asked, and none that waits already. 0 confidence switches the rule off.
    """
    notes: dict[str, Comparison] = {}
    if draft.options.wait_confidence <= 0:
        return notes
    for job in list(draft.offers):
        task = draft.tasks[job]
        if task.is_pinned or task.beside or draft.is_late(job) or decided_to_wait(task, draft.terrain):
            continue
        current = draft.take_out(job)
        release = draft.release(job)
        instead = prompt_window(task, draft.terrain, draft.occupancy.free, release, draft.last_end(job))
        waits = len(current.pieces) > 1 or current.start > release + EDGE_TOLERANCE_SECONDS
        if instead is None or not waits:
            draft.put(job, current)
            continue
        comparison = compare(current, instead, draft.terrain)
        if comparison.is_worth(draft.options.wait_confidence):
            draft.put(job, current)
        else:
            draft.put(job, instead)
            notes[job] = comparison
    return notes
