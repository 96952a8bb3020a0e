"""Carbon budgets of projects: what each may emit in a calendar month.

A job counts in the month it ends in, with all it emitted. Months are calendar months of grid time, in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

APPROVED = "over-budget-approved"  # the event that lets one job run over its project's budget

Month = tuple[str, datetime]  # a project and the first moment of a calendar month


@dataclass(frozen=True, slots=True)
class BudgetRule:
    """What the operator allows a project, and whether a job beyond waits for the next month or may be approved before."""

    monthly_g: float
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Budget:
    """What counts against a project's budget whatever is planned, in grams at the facility.

    `settled_g` is the ledger's of the running month. `estimated_g` is, by the first moment of the month it counts in, what
    ended and is not settled yet, and what runs in one piece with all it will still emit.
    """

    rule: BudgetRule
    settled_g: float = 0.0
    estimated_g: Mapping[datetime, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Begun:
    """What a job that a plan may still move has emitted so far, in grams: it counts in the month that the job will end in."""

    project: str
    emitted_g: float


@dataclass(frozen=True, slots=True)
class Spending:
    """Budgets by project, the jobs that may run over theirs, and begun jobs by id. A project without a budget is free."""

    budgets: Mapping[str, Budget] = field(default_factory=dict)
    approved: frozenset[str] = frozenset()
    begun: Mapping[str, Begun] = field(default_factory=dict)

    def counted_g(self, now: datetime, ends: Mapping[str, datetime]) -> dict[Month, float]:
        """What was emitted or cannot be moved any more, by project and month.

        `ends` says when begun jobs will end; one that it does not name counts in the running month, for nobody knows better.
        """
        counted = {(project, month_start(now)): budget.settled_g for project, budget in self.budgets.items()}
        estimates = [((project, month), grams) for project, budget in self.budgets.items() for month, grams in budget.estimated_g.items()]
        begun = [((one.project, counts_in(now, ends.get(job))), one.emitted_g) for job, one in self.begun.items()]
        for month, grams in (*estimates, *begun):
            counted[month] = counted.get(month, 0.0) + grams
        return counted


def month_start(instant: datetime) -> datetime:
    """The first moment of the instant's calendar month."""
    return instant.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(instant: datetime) -> datetime:
    """The first moment of the calendar month after the instant's."""
    start = month_start(instant)
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def counts_in(now: datetime, end: datetime | None) -> datetime:
    """The month of a job that has not ended: that of its expected end, the running one where it is overdue or nobody knows it."""
    return month_start(now if end is None else max(now, end))
