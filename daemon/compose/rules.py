"""What settings say, as the clock, the policy and the rules that the rest of the daemon reads."""

from __future__ import annotations

from datetime import timedelta

from daemon.domain.budget import BudgetRule
from daemon.domain.shares import ShareRule
from daemon.planner import PlannerOptions
from daemon.service.policy import Policy
from daemon.settings.schema import Settings
from forecast.clock import Clock, real_now


def make_clock(settings: Settings) -> Clock:
    replay = settings.replay
    if replay.grid_start is None:
        return Clock.live()
    return Clock(replay.real_start or real_now(), replay.grid_start, replay.rate)


def make_policy(settings: Settings) -> Policy:
    return Policy(
        default_home=settings.home,
        slot=timedelta(minutes=settings.planner.step_minutes),
        horizon=timedelta(hours=settings.planner.horizon_hours),
        maximum_delay=timedelta(hours=settings.planner.maximum_delay_hours),
        retries=settings.planner.retries,
        max_parallel=settings.planner.max_parallel,
        final_after=timedelta(hours=settings.ledger.final_after_hours),
        kind=settings.intensity.intensity_kind,
        homebound_projects=frozenset(name for name, project in settings.projects.items() if not project.weights_may_travel),
    )


def planner_options(settings: Settings) -> PlannerOptions:
    planner = settings.planner
    return PlannerOptions(planner.wait_confidence, planner.stability_threshold, planner.deadline_margin, search_steps=planner.search_steps)


def budget_rules(settings: Settings) -> dict[str, BudgetRule]:
    """By project; projects without a budget have no rule."""
    return {
        name: BudgetRule(project.budget_kg_per_month * 1000, project.over_budget == "ask")
        for name, project in settings.projects.items()
        if project.budget_kg_per_month is not None
    }


def share_rule(settings: Settings) -> ShareRule | None:
    """None where nobody has a weight."""
    shares = settings.shares
    return ShareRule(shares.weights, timedelta(days=shares.half_life_days)) if shares.weights else None
