"""How plans are made."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from daemon.settings.values import Section
from forecast.regret import WAIT_CONFIDENCE


class PlannerSettings(Section):
    """How far and how finely plans look ahead. Hours of the grid's clock."""

    step_minutes: Literal[5, 10, 15, 20, 30, 60] = Field(default=30, description="length of a slot")
    horizon_hours: int = Field(
        default=96, ge=1, le=744, description="how far ahead plans reach at least; a later deadline takes them further, to 14 days at most"
    )
    maximum_delay_hours: float = Field(
        default=72.0, gt=0, le=720, description="deadline of a job that names none, after its acceptance or, if later, its earliest_start"
    )
    search_steps: int = Field(
        default=4000, ge=0, le=1_000_000, description="how long a plan is improved: in steps, so that plans repeat; about 10,000 a second"
    )
    wait_confidence: float = Field(
        default=WAIT_CONFIDENCE, ge=0, le=5, description="standard deviations of forecast error that a wait must save"
    )
    stability_threshold: float = Field(
        default=0.03, ge=0, lt=1, description="a new plan moves a job, or hours of one that may pause, only for a saving above this share"
    )
    deadline_margin: float = Field(
        default=0.1, ge=0, le=1, description="share of a job's work kept free before its deadline where that is possible: estimates err"
    )
    max_parallel: int = Field(default=4, ge=1, le=64, description="runs of one synthesis side by side at most, where GPUs are idle")
    retries: int = Field(
        default=3, ge=0, le=100, description="failed or lost attempts a job may have beyond the first, and pre-empted ones without progress"
    )

    @model_validator(mode="after")
    def _delay_within_horizon(self) -> Self:
        if self.maximum_delay_hours > self.horizon_hours:
            raise ValueError(
                f"maximum_delay_hours {self.maximum_delay_hours:g} exceeds horizon_hours {self.horizon_hours}: raise the horizon"
            )
        return self
