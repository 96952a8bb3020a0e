"""How often we ask: one shared request budget, and growing pauses after failures. Time is always an argument."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from forecast.timeline import HOUR

DEFAULT_REQUESTS_PER_HOUR = 30.0
"""No limit is published; third parties report 50 an hour for free keys, so this stays well below."""

PIECE = timedelta(hours=216)
"""Longest span of one past-range request: "10 days" in the documentation, less than ten whole days in the vendor's own client."""


class TokenBucket:
    """A budget of requests that refills evenly, shared by all zones and endpoints of a client; safe between threads."""

    def __init__(self, per_hour: float = DEFAULT_REQUESTS_PER_HOUR, capacity: float | None = None) -> None:
        if not per_hour > 0:
            raise ValueError(f"a request budget must allow more than {per_hour} requests an hour")
        self._per_hour = per_hour
        self._capacity = max(1.0, per_hour if capacity is None else capacity)
        self._tokens = self._capacity
        self._filled_at: datetime | None = None
        self._lock = threading.Lock()

    def take(self, now: datetime) -> timedelta:
        """Spend one request and return zero, or spend nothing and return how long to wait for the next one."""
        with self._lock:
            self._refill(now)
            if self._tokens >= 1.0:
                self._tokens -= 1.0
                return timedelta(0)
            return HOUR * ((1.0 - self._tokens) / self._per_hour)

    def _refill(self, now: datetime) -> None:
        # A clock that steps back must not drain or fill the bucket: it only restarts the count from there.
        if self._filled_at is not None and now > self._filled_at:
            self._tokens = min(self._capacity, self._tokens + (now - self._filled_at) / HOUR * self._per_hour)
        self._filled_at = now


@dataclass(frozen=True, slots=True)
class BackOff:
    """The pause after the n-th failure in a row: doubling from `first` to `longest`, times a random 0.5 to 1."""

    first: timedelta = timedelta(seconds=30)
    longest: timedelta = timedelta(hours=1)

    def pause(self, failures: int, dice: random.Random) -> timedelta:
        """The jitter keeps many daemons that failed together from coming back together."""
        doubled: timedelta = self.first * 2 ** min(max(failures, 1) - 1, 20)
        return min(doubled, self.longest) * dice.uniform(0.5, 1.0)
