"""Carbon budgets of projects: what each may emit in a calendar month.

A job counts in the month it ends in, with all it emitted. Months are calendar months of grid time, in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

APPROVED = "over-budget-approved"  # the event that lets one job run over its project's budget


@dataclass(frozen=True, slots=True)
class BudgetRule:
    """What the operator allows a project, and whether a job beyond waits for the next month or may be approved before."""

    monthly_g: float
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Budget:
    """A project's budget as a plan sees it: `left_g` of the running month, below zero if it is overspent."""

    rule: BudgetRule
    left_g: float

    @property
    def spent_g(self) -> float:
        return self.rule.monthly_g - self.left_g


@dataclass(frozen=True, slots=True)
class Spending:
    """Budgets by project, and the jobs that may run over theirs. A project without a budget is free."""

    budgets: Mapping[str, Budget] = field(default_factory=dict)
    approved: frozenset[str] = frozenset()


def month_start(instant: datetime) -> datetime:
    """The first moment of the instant's calendar month."""
    return instant.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(instant: datetime) -> datetime:
    """The first moment of the calendar month after the instant's."""
    start = month_start(instant)
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
