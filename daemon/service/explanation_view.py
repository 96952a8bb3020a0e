"""The explanation of one job's plan as the edges show it: a sentence and its numbers."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from daemon.domain.explanation import Binding, Explanation


class OtherSiteView(BaseModel):
    """A site where the job may not run, and what it would emit less if it might."""

    model_config = ConfigDict(frozen=True)

    site: str
    saves_g: float


class ExplanationView(BaseModel):
    """Why the last plan treats the job as it does. Expected grams at the facility of the work that was left; null is unknown."""

    model_config = ConfigDict(frozen=True)

    planned_at: AwareDatetime = Field(description="when the plan was made that this speaks of")
    sentence: str
    chosen_g: float | None = Field(description="null where the plan has no place for the job")
    run_now_g: float | None = Field(description="the same work started at once at home, or where it may run if home is closed to it")
    saved_g: float | None = Field(description="run_now_g less chosen_g; may be negative")
    saved_percent: float | None
    bound_by: list[Binding] = Field(description="what keeps it from a cleaner placement; empty: nothing does")
    alone_g: float | None = Field(description="with all capacity to itself, in the same window")
    held_by: list[str] = Field(description="jobs, of those that the caller sees, that hold the GPUs it would take if it were alone")
    day_more_saves_g: float | None = Field(description="what a deadline one day later would save")
    other_sites: list[OtherSiteView] = Field(description="sites closed to it that would save")
    nearest_deadline: AwareDatetime | None = Field(description="the first deadline that would be kept, where this one is not")


def explanation_view(explanation: Explanation) -> ExplanationView:
    placed = explanation.placement
    chosen = None if placed is None else placed.expected_g
    run_now = None if placed is None else placed.run_now_g
    saved = None if chosen is None or run_now is None else run_now - chosen
    return ExplanationView(
        planned_at=explanation.made_at,
        sentence=explanation.sentence,
        chosen_g=chosen,
        run_now_g=run_now,
        saved_g=saved,
        saved_percent=100 * saved / run_now if saved is not None and run_now else None,
        bound_by=list(explanation.bound_by),
        alone_g=explanation.alone_g,
        held_by=list(explanation.held_by),
        day_more_saves_g=_less(chosen, explanation.day_more_g),
        other_sites=_other_sites(chosen, explanation.site_more_g),
        nearest_deadline=explanation.nearest_deadline,
    )


def _less(chosen_g: float | None, wish_g: float | None) -> float | None:
    """What the wish would save; one that would cost more saves nothing."""
    return None if chosen_g is None or wish_g is None else max(0.0, chosen_g - wish_g)


def _other_sites(chosen_g: float | None, site_more_g: Mapping[str, float]) -> list[OtherSiteView]:
    if chosen_g is None:
        return []
    return [OtherSiteView(site=site, saves_g=chosen_g - grams) for site, grams in site_more_g.items()]
