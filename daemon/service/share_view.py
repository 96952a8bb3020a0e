"""Where users stand in fair shares, as the edges show it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from daemon.domain.shares import ShareRule
from daemon.store import Store
from forecast.clock import Clock


class ShareView(BaseModel):
    """One user: the name of a token, or a project where jobs come without."""

    model_config = ConfigDict(frozen=True)

    user: str
    weight: float
    gpu_hours: float = Field(description="lately used, older ones counting less by the half-life")
    standing: float = Field(description="gpu_hours / weight: of equal jobs, those of the lowest standing choose first")


class Standings:
    """Reads where everybody stands now. Without a rule shares are not looked at, and nobody stands anywhere."""

    def __init__(self, store: Store, rule: ShareRule | None, clock: Clock) -> None:
        self._store, self._rule, self._clock = store, rule, clock

    def shares(self) -> list[ShareView]:
        """Everybody with a weight or with recent use, whose turn comes first."""
        if self._rule is None:
            return []
        now, weights = self._clock.now(), self._rule.weights
        with self._store.read() as reader:
            standings = dict.fromkeys(weights, 0.0) | self._rule.standings(reader.held_since(now - self._rule.memory), now)
        views = [
            ShareView(user=user, weight=weights.get(user, 1.0), gpu_hours=standing * weights.get(user, 1.0), standing=standing)
            for user, standing in standings.items()
        ]
        return sorted(views, key=lambda view: (view.standing, view.user))
