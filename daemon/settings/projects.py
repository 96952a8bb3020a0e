"""Who may use how much: rules of projects, and fair shares between users."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from daemon.settings.values import Section


class ProjectSettings(Section):
    """Rules of one project, by its name."""

    weights_may_travel: bool = Field(default=True, description="false: what patient data trained stays on sites that admit patient data")
    budget_kg_per_month: float | None = Field(
        default=None, gt=0, le=1e9, description="kg CO2e its jobs may emit in a calendar month (UTC); none: no limit"
    )
    over_budget: Literal["stop", "ask"] = Field(
        default="stop", description="a job beyond the budget waits for the next month; ask: or until `lowtide approve`"
    )


class ShareSettings(Section):
    """Fair shares of the GPUs between users: the names of tokens, or projects where there are no tokens."""

    weights: dict[str, Annotated[float, Field(gt=0, le=1e6)]] = Field(
        default={}, description="entitlement by user (name of the token, else project), others 1; none: shares are not looked at"
    )
    half_life_days: float = Field(default=7.0, ge=0.01, le=365, description="GPU-hours this long ago count half")
