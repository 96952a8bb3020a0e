"""What a key turned out to be allowed to read, and when to ask again: discovered at run time, never assumed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from forecast.source.budget import BackOff
from forecast.source.errors import (
    BadKey,
    HeldBack,
    KeyProblem,
    NotInPlan,
    RateLimited,
    SourceError,
    Temporary,
    Transient,
)

PLAN_PROBE_EVERY = timedelta(days=1)
KEY_PROBE_EVERY = timedelta(hours=1)
TRUST_AFTER_SUCCESS = timedelta(hours=2)
"""How long refusals of a key that has just worked count as transient: rate limits and outages of the key service look like 401."""


@dataclass(slots=True)
class _Memory:
    """What happened lately at one (zone, endpoint)."""

    last_success: datetime | None = None
    refused: KeyProblem | None = None
    failures: int = 0
    ask_again_at: datetime | None = None


class Capabilities:
    """Memory per (zone, endpoint): when it last worked, why it is not asked at the moment, and until when."""

    def __init__(self, back_off: BackOff, dice: random.Random) -> None:
        self._back_off = back_off
        self._dice = dice
        self._memories: dict[tuple[str, str], _Memory] = {}

    def may_ask(self, zone: str, endpoint: str, now: datetime) -> None:
        """Return if it is time to ask. Raises the remembered BadKey or NotInPlan, or HeldBack during a pause."""
        memory = self._memory(zone, endpoint)
        if memory.ask_again_at is None or now >= memory.ask_again_at:
            return
        if memory.refused is not None:
            raise type(memory.refused)(f"{memory.refused} (remembered; next probe at {memory.ask_again_at:%Y-%m-%dT%H:%MZ})")
        raise HeldBack(f"{zone} {endpoint}: pausing after {memory.failures} failures in a row", memory.ask_again_at)

    def succeeded(self, zone: str, endpoint: str, now: datetime) -> None:
        """Forget all failures here."""
        self._memories[zone, endpoint] = _Memory(last_success=now)

    def failed(self, zone: str, endpoint: str, error: SourceError, now: datetime) -> SourceError:
        """Remember a failure; returns the error to raise: a refusal soon after a success is only Transient."""
        memory = self._memory(zone, endpoint)
        if isinstance(error, KeyProblem) and memory.last_success is not None and now - memory.last_success < TRUST_AFTER_SUCCESS:
            error = Transient(f"{error} (the key worked here at {memory.last_success:%Y-%m-%dT%H:%MZ}: taken as an outage for now)")
        memory.failures += 1
        memory.refused = error if isinstance(error, KeyProblem) else None
        memory.ask_again_at = self._next_try(memory, error, now)
        return error

    def _next_try(self, memory: _Memory, error: SourceError, now: datetime) -> datetime | None:
        if isinstance(error, NotInPlan):
            return now + PLAN_PROBE_EVERY
        if isinstance(error, BadKey):
            return now + KEY_PROBE_EVERY
        if isinstance(error, Temporary):
            pause = self._back_off.pause(memory.failures, self._dice)
            asked_for = error.retry_after if isinstance(error, RateLimited) else None
            return now + max(pause, asked_for or timedelta(0))
        return None

    def _memory(self, zone: str, endpoint: str) -> _Memory:
        return self._memories.setdefault((zone, endpoint), _Memory())
