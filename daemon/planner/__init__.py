"""The planner: pure, a Snapshot in, a Plan out; no clock, no I/O, no database."""

from __future__ import annotations

from daemon.planner.again import Planner
from daemon.planner.budgets import till_behind, warned
from daemon.planner.coming import REMEMBERED
from daemon.planner.engine import plan
from daemon.planner.explain import explain
from daemon.planner.fairness import plan_fairly
from daemon.planner.options import PlannerOptions
from daemon.planner.residual import Residual, preview
from daemon.planner.seasons import held_for_a_season

__all__ = [
    "REMEMBERED",
    "Planner",
    "PlannerOptions",
    "Residual",
    "explain",
    "held_for_a_season",
    "plan",
    "plan_fairly",
    "preview",
    "till_behind",
    "warned",
]
