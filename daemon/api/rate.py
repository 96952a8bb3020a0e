"""How often one user may ask: so many requests a minute, saved up for a minute at most. Who never pauses slows down nobody else."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE_SECONDS = 60.0


@dataclass(slots=True)
class _Bucket:
    """Requests that a user may still send, as of an instant."""

    left: float
    at_seconds: float


class RequestRate:
    """A bucket for each user that fills evenly. For one thread; instants are seconds of any clock that never goes back."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: dict[str, _Bucket] = {}

    def wait_seconds(self, user: str, now_seconds: float) -> float:
        """0 where the user may ask now, which is counted; else after how long the next request may come, and nothing is counted."""
        bucket = self._buckets.setdefault(user, _Bucket(self._per_minute, now_seconds))
        earned = (now_seconds - bucket.at_seconds) * self._per_minute / MINUTE_SECONDS
        bucket.left, bucket.at_seconds = min(self._per_minute, bucket.left + earned), now_seconds
        if bucket.left < 1.0:
            return (1.0 - bucket.left) * MINUTE_SECONDS / self._per_minute
        bucket.left -= 1.0
        return 0.0
