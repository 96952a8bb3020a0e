"""One question to a provider: asked only when it is time to, and remembered how it went."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from forecast.source.budget import BackOff, TokenBucket
from forecast.source.capabilities import Capabilities
from forecast.source.errors import HeldBack, SourceError

Told = TypeVar("Told")


class Asker:
    """Guards every request of one client: its budget, the pauses after failures, the memory of what it may not read."""

    def __init__(
        self, now: Callable[[], datetime], budget: TokenBucket, back_off: BackOff | None = None, dice: random.Random | None = None
    ) -> None:
        self._now, self._budget = now, budget
        self._capabilities = Capabilities(back_off or BackOff(), dice or random.Random())

    def ask(self, zone: str, endpoint: str, question: Callable[[], Told]) -> Told:
        """What `question` returns. Raises the SourceError it raises (softened, where it comes right after a success), the remembered
        one while it is not yet time to ask again, or HeldBack where the budget is used up."""
        self._capabilities.may_ask(zone, endpoint, self._now())
        wait = self._budget.take(self._now())
        if wait:
            raise HeldBack(f"{zone} {endpoint}: the shared request budget is used up", self._now() + wait)
        try:
            told = question()
        except SourceError as error:
            raise self._capabilities.failed(zone, endpoint, error, self._now()) from error.__cause__
        self._capabilities.succeeded(zone, endpoint, self._now())
        return told
