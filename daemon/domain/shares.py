"""Fair shares: what users have had of the GPUs lately, beside what they are entitled to.

A user is the name of the token a job came with, or its project where there are no tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Held:
    """A stretch of time for which a user held GPUs; without an end it is not over."""

    user: str
    gpus: int
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class ShareRule:
    """Weights of users, 1 where none is given, and after how long use counts half."""

    weights: Mapping[str, float] = field(default_factory=dict)
    half_life: timedelta = timedelta(days=7)

    @property
    def memory(self) -> timedelta:
        """Use longer ago counts less than a thousandth."""
        return 10 * self.half_life

    def gpu_hours(self, held: Iterable[Held], now: datetime) -> dict[str, float]:
        """Decayed GPU-hours by user: the integral of GPUs x 2^(-age / half-life). A user who held none has no key."""
        used: dict[str, float] = {}
        for stretch in held:
            used[stretch.user] = used.get(stretch.user, 0.0) + self._decayed_hours(stretch, now)
        return used

    def faded(self, gpu_hours: Mapping[str, float], span: timedelta) -> dict[str, float]:
        """What decayed GPU-hours are worth after that span, nothing added. A clock that was set back makes them no more."""
        share = math.exp2(-max(span, timedelta(0)) / self.half_life)
        return {user: hours * share for user, hours in gpu_hours.items()}

    def standings(self, gpu_hours: Mapping[str, float]) -> dict[str, float]:
        """Decayed GPU-hours over the user's weight: who has the least is served first. A user without any is at 0."""
        return {user: hours / self.weights.get(user, 1.0) for user, hours in gpu_hours.items()}

    def _decayed_hours(self, stretch: Held, now: datetime) -> float:
        end = now if stretch.end is None else min(stretch.end, now)
        if end <= stretch.start:
            return 0.0
        begin_age, end_age = (now - stretch.start) / self.half_life, (now - end) / self.half_life
        return stretch.gpus * (self.half_life / timedelta(hours=1)) / math.log(2) * (math.exp2(-end_age) - math.exp2(-begin_age))
