"""How a project's carbon budget stands, as the edges show it."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class BudgetView(BaseModel):
    """One project's running month. Grams at the facility; a job counts in the month it ends in."""

    model_config = ConfigDict(frozen=True)

    project: str
    month_start: AwareDatetime
    month_end: AwareDatetime = Field(description="when the budget opens again")
    budget_g: float
    settled_g: float = Field(description="of jobs that ended this month, from the ledger")
    estimated_g: float = Field(
        description="of ended jobs that are not settled yet, and of begun jobs that end this month (in one piece: with their rest)"
    )
    left_g: float = Field(description="negative where it is overspent")
    over_budget: Literal["stop", "ask"] = Field(description="ask: a job beyond the budget may be approved")
    approved_jobs: list[str] = Field(description="jobs that wait or run and may exceed the budget")
