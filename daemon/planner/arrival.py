"""A job arrives at a standing plan: it takes the best of what is free, swaps hours with others, makes room where it must."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from daemon.planner.exchange import improve_by_swaps
from daemon.planner.field import Field, Held, grams_of, movable
from daemon.planner.offers import best_offer, soonest_offer
from daemon.planner.regret import compare
from daemon.planner.room import make_room
from daemon.planner.task import Offer, Piece, Task, given_up_g
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, TIE_SHARE, Terrain
from daemon.planner.trade import trade
from daemon.planner.windows import prompt_window


def arrive(field: Field, held: Held, now: float, confidence: float) -> bool:
    """Place a new job of the field within its deadline; False, and nothing changed, where that would make any job late.

    `confidence`: it waits only for a saving of that many standard deviations of the forecast; 0 trusts the forecast.
    """
    offer = _best(field, held.task, now, confidence)
    if offer is not None:
        field.take(held, offer)
    elif not make_room(field, held, now):
        return False
    settle_in(field, held, now)
    return True


def settle_in(field: Field, held: Held, now: float, keep: float = 0.0) -> None:
    """Let a job that has a place trade it for a better one; others move for the share `keep` of what they emitted, or more."""
    if held.swaps_hours:
        improve_by_swaps(field, held, now, keep)
    if not held.swaps_hours or len(held.task.choices) > 1:
        trade(field, held, now, keep)


def look_again(field: Field, now: float, confidence: float, keep: float = 0.0) -> None:
    """Place every job that may still move anew: the outlook has changed. One that waits already just follows it.

    A job moves for the share `keep` of what it emits in the hours that it leaves, or more.
    """
    for held in sorted(movable(field.live.values(), now), key=lambda held: (held.task.due, held.id)):
        before = held.rest(now)
        task = field.take_ahead(held, now)
        waits = any(piece.start > now for piece in before)
        offer = best_offer(task, field.terrain, field.free, now, task.due) if waits else _best(field, task, now, confidence)
        if offer is None or not _is_clear_gain(offer, before, task, field.terrain, keep):
            field.hold(held, before)
        else:
            field.take(held, offer)


def _is_clear_gain(offer: Offer, before: Sequence[Piece], task: Task, terrain: Terrain, keep: float) -> bool:
    """`task` is the job as it is now: what moving its data cost is paid once and no gain any more."""
    choices = {choice.site: choice for choice in task.choices}
    gain = grams_of([replace(piece, choice=choices[piece.choice.site]) for piece in before], terrain) - offer.grams
    return gain > TIE_SHARE * offer.grams and gain >= keep * given_up_g(before, offer.pieces, terrain)


def _best(field: Field, task: Task, now: float, confidence: float) -> Offer | None:
    """The cheapest placement in time, or running at once where waiting does not beat its uncertainty."""
    release = max(now, task.release)
    offer = best_offer(task, field.terrain, field.free, release, task.due)
    if offer is None or confidence <= 0 or (offer.start <= release + EDGE_TOLERANCE_SECONDS and len(offer.pieces) == 1):
        return offer
    instead = prompt_window(task, field.terrain, field.free, release, task.due)
    if instead is None or compare(offer, instead, field.terrain).is_worth(confidence):
        return offer
    return instead


def soonest(field: Field, task: Task, now: float) -> Offer | None:
    """As early as there is room, late or not; None where the outlook ends before that."""
    offer = soonest_offer(task, field.terrain, field.free, max(now, task.release))
    if offer is not None:
        return offer
    field.look(now, field.whole.end)
    return soonest_offer(task, field.terrain, field.free, max(now, task.release))
