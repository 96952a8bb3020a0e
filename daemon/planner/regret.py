"""Wait only if it pays: the expected saving of a placement against what its forecast may be wrong by."""

from __future__ import annotations

import math
from dataclasses import dataclass

from daemon.planner.task import Offer
from daemon.planner.terrain import HOUR_SECONDS, Terrain

# Forecast errors of two windows of one snapshot move together: a level missed now is mostly missed tomorrow as well.
SAME_RUNG_CORRELATION = 0.5

ERROR_MEMORY_HOURS = 12.0  # weather systems move on; an error of now says little about the one a day later
SHORT = 1e-3  # below this share of a memory the formula loses its digits, and the errors are one


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `chosen` is expected to save against `instead`, in grams and with the standard deviation of the difference."""

    saving_g: float
    deviation_g: float

    def is_worth(self, confidence: float) -> bool:
        """A saving counts if it exceeds `confidence` standard deviations; 0 asks only for the mean to be lower."""
        return self.saving_g > confidence * self.deviation_g


def deviation(offer: Offer, terrain: Terrain) -> float:
    """Standard deviation of the emissions of `offer` in grams: errors far apart in the same placement partly cancel."""
    together = sum(p.choice.power * terrain.spread_per_kw(p.choice.site, p.start, p.end) for p in offer.pieces)
    hours = sum(p.end - p.start for p in offer.pieces) / HOUR_SECONDS
    return together * math.sqrt(_shared_share(hours / ERROR_MEMORY_HOURS))


def _shared_share(length: float) -> float:
    """Variance of the mean of an exponentially correlated error over `length` memories, as a share of the error's own."""
    if length < SHORT:
        return 1.0
    return 2.0 / length * (1.0 - (1.0 - math.exp(-length)) / length)


def compare(chosen: Offer, instead: Offer, terrain: Terrain) -> Comparison:
    """Values from different rungs of the ladder share no error, so a move between them needs more."""
    a, b = deviation(chosen, terrain), deviation(instead, terrain)
    shared = SAME_RUNG_CORRELATION if _rungs(chosen, terrain) & _rungs(instead, terrain) else 0.0
    variance = a * a + b * b - 2 * shared * a * b
    return Comparison(instead.score - chosen.score, math.sqrt(max(variance, 0.0)))


def _rungs(offer: Offer, terrain: Terrain) -> set[int]:
    return {int(terrain.rung[piece.choice.site, terrain.cell(piece.start)]) for piece in offer.pieces}
