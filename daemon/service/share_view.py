"""Where users stand in fair shares, as the edges show it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from daemon.domain.caller import Caller
from daemon.service.gpu_use import GpuUse
from forecast.clock import Clock

SOMEBODY = "another user"


class ShareView(BaseModel):
    """One user: the name of a token, or a project where jobs come without."""

    model_config = ConfigDict(frozen=True)

    user: str = Field(description=f"'{SOMEBODY}' to a token that is bound to projects, unless it is itself or one of these")
    weight: float
    gpu_hours: float = Field(description="lately used, older ones counting less by the half-life")
    standing: float = Field(description="gpu_hours / weight: of equal jobs, those of the lowest standing choose first")


class Standings:
    """Tells where everybody stands now. Where shares are not looked at, nobody stands anywhere."""

    def __init__(self, use: GpuUse | None, clock: Clock) -> None:
        self._use, self._clock = use, clock

    def shares(self, caller: Caller) -> list[ShareView]:
        """Everybody with a weight or with recent use, whose turn comes first; by the names that the caller may hear."""
        if self._use is None:
            return []
        weights = self._use.rule.weights
        gpu_hours = dict.fromkeys(weights, 0.0) | self._use.gpu_hours(self._clock.now())
        standings = self._use.rule.standings(gpu_hours)
        return [
            ShareView(
                user=user if _may_name(caller, user) else SOMEBODY,
                weight=weights.get(user, 1.0),
                gpu_hours=gpu_hours[user],
                standing=standings[user],
            )
            for user in sorted(gpu_hours, key=lambda user: (standings[user], user))
        ]


def _may_name(caller: Caller, user: str) -> bool:
    """A user is the name of a token, or a project where jobs came without one."""
    return user == caller.name or caller.sees_project(user)
