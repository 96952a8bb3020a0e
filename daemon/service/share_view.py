"""Where users stand in fair shares, as the edges show it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from daemon.service.gpu_use import GpuUse
from forecast.clock import Clock


class ShareView(BaseModel):
    """One user: the name of a token, or a project where jobs come without."""

    model_config = ConfigDict(frozen=True)

    user: str
    weight: float
    gpu_hours: float = Field(description="lately used, older ones counting less by the half-life")
    standing: float = Field(description="gpu_hours / weight: of equal jobs, those of the lowest standing choose first")


class Standings:
    """Tells where everybody stands now. Where shares are not looked at, nobody stands anywhere."""

    def __init__(self, use: GpuUse | None, clock: Clock) -> None:
        self._use, self._clock = use, clock

    def shares(self) -> list[ShareView]:
        """Everybody with a weight or with recent use, whose turn comes first."""
        if self._use is None:
            return []
        weights = self._use.rule.weights
        gpu_hours = dict.fromkeys(weights, 0.0) | self._use.gpu_hours(self._clock.now())
        standings = self._use.rule.standings(gpu_hours)
        views = [
            ShareView(user=user, weight=weights.get(user, 1.0), gpu_hours=hours, standing=standings[user])
            for user, hours in gpu_hours.items()
        ]
        return sorted(views, key=lambda view: (view.standing, view.user))
