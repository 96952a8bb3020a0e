"""How the daemon goes about its work: how often, on which clock, when accounts are closed, what it logs."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from daemon.settings.values import Section


class TickerSettings(Section):
    """How often the tick and the chores run, in real time."""

    tick_seconds: float = Field(default=10.0, gt=0, le=3600, description="observe, plan, act")
    latest_minutes: float = Field(default=15.0, gt=0, le=1440, description="fetch the newest intensity and the last day")
    forecast_minutes: float = Field(default=60.0, gt=0, le=1440, description="fetch the provider's forecast, make ours, learn, score both")
    monthly_hours: float = Field(default=24.0, gt=0, le=744, description="fetch monthly and yearly means where the plan has them")
    settle_minutes: float = Field(default=5.0, gt=0, le=1440, description="account for ended jobs")
    retention_hours: float = Field(default=24.0, gt=0, le=744, description="drop what is older than it needs to be")


class LedgerSettings(Section):
    """When an account is closed."""

    final_after_hours: float = Field(default=72.0, ge=0, le=8760, description="an hour is final when no longer estimated and this old")


class ReplaySettings(Section):
    """The grid's clock for dry runs: grid time = grid_start + rate x (real time since real_start). Live unless grid_start is set."""

    grid_start: AwareDatetime | None = Field(default=None, description="grid time at the daemon's start; none: live")
    real_start: AwareDatetime | None = Field(
        default=None, description="real time that is grid_start, needed to go on after a restart; default: the daemon's start"
    )
    rate: float = Field(default=1.0, gt=0, le=100_000, description="how many grid seconds pass in a real one")

    @model_validator(mode="after")
    def _needs_a_start(self) -> Self:
        if self.grid_start is None and (self.rate != 1.0 or self.real_start is not None):
            raise ValueError("rate and real_start need grid_start: say when the replayed time begins, for example 2023-05-02T00:00:00Z")
        return self


class LogSettings(Section):
    """What the daemon writes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="least important level that is written")
    format: Literal["text", "json"] = Field(default="text", description="key=value lines for people, JSON lines for machines")
