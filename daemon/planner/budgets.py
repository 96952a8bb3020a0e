"""Carbon budgets of projects: what would exceed one is not started, and says what is left, what it needs and when it opens again."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from daemon.domain.budget import Spending, month_start, next_month
from daemon.domain.plan import Placement, Plan, PlanJob, Snapshot, Unplaced
from daemon.planner.draft import Draft
from daemon.planner.reasons import grams_text


def stay_within_budgets(draft: Draft, spending: Spending) -> list[Unplaced]:
    """Take jobs out of the draft until each project stays within its grams of every month, and what waits for them.

    Running jobs are never stopped for a budget and count first, then approved ones; then higher priority, then the earlier deadline.
    """
    refused: list[Unplaced] = []
    now = draft.terrain.now
    ends = {job: draft.terrain.instant(offer.end) for job, offer in draft.offers.items()}
    till = Till(spending, now, ends)
    for job in sorted(draft.offers, key=lambda job: _turn(draft, spending, job)):
        bill = Bill(job, draft.tasks[job].job.project, draft.offers[job].grams, ends[job])
        if bill.project not in spending.budgets:
            continue
        if _is_free_to_run(draft, spending, job) or bill.grams <= till.left_g(bill):
            till.pay(bill)
        else:
            refused.append(Unplaced(job, _refusal(bill, till.left_g(bill), spending), is_over_budget=True))
    for answer in tuple(refused):
        draft.take_out(answer.job_id)
    return refused + _followers(draft, [answer.job_id for answer in refused])


def waiting_for_budgets(snapshot: Snapshot, answer: Plan) -> set[str]:
    """The jobs that the plan left out for their budgets, and all that wait for one of them."""
    found = [unplaced.job_id for unplaced in answer.unplaced if unplaced.is_over_budget]
    if not found:
        return set()
    then: dict[str, list[str]] = {}
    for job in snapshot.jobs:
        for name in job.after:
            then.setdefault(name, []).append(job.id)
    waiting = set(found)
    while found:
        more = [job for job in then.get(found.pop(), ()) if job not in waiting]
        waiting.update(more)
        found += more
    return waiting


@dataclass(frozen=True, slots=True)
class Bill:
    """What a plan lets a job still emit, in grams, and when the job ends: in that month it pays, as in the ledger."""

    job: str
    project: str
    grams: float
    end: datetime


class Till:
    """Grams left by project and month; only for projects that have a budget.

    What begun jobs have emitted so far counts in the month they end in, too: `ends` tells when.
    """

    def __init__(self, spending: Spending, now: datetime, ends: Mapping[str, datetime]) -> None:
        self._monthly = {project: budget.rule.monthly_g for project, budget in spending.budgets.items()}
        self._counted = spending.counted_g(now, ends)

    def left_g(self, bill: Bill) -> float:
        """What the bill's project has left of the bill's month."""
        return self._monthly[bill.project] - self._counted.get((bill.project, month_start(bill.end)), 0.0)

    def pay(self, bill: Bill) -> None:
        month = bill.project, month_start(bill.end)
        self._counted[month] = self._counted.get(month, 0.0) + bill.grams


def till_behind(snapshot: Snapshot, plan: Plan) -> Till:
    """What the plan leaves of the budgets."""
    projects = {job.id: job.project for job in snapshot.jobs}
    till = Till(snapshot.spending, snapshot.now, {placement.job_id: placement.end for placement in plan.placements})
    for placement in plan.placements:
        project = projects[placement.job_id]
        if project in snapshot.spending.budgets:
            till.pay(Bill(placement.job_id, project, placement.expected_g, placement.end))
    return till


def warned(answer: Placement | Unplaced, job: PlanJob, spending: Spending, till: Till) -> Placement | Unplaced:
    """A preview that says so where its project's budget will not let the job run then; its numbers stay."""
    if isinstance(answer, Unplaced) or job.project not in spending.budgets:
        return answer
    bill = Bill("ID", job.project, answer.expected_g, answer.end)
    left_g = till.left_g(bill)
    if bill.grams <= left_g:
        return answer
    return replace(answer, reason=f"{_refusal(bill, left_g, spending)}; otherwise: {answer.reason}")


def _is_free_to_run(draft: Draft, spending: Spending, job: str) -> bool:
    return draft.tasks[job].running >= 0 or job in spending.approved


def _turn(draft: Draft, spending: Spending, job: str) -> tuple[bool, bool, int, float, str]:
    task = draft.tasks[job]
    return task.running < 0, job not in spending.approved, -task.job.priority, task.due, job


def _refusal(bill: Bill, left_g: float, spending: Spending) -> str:
    """What is left, what is needed, and what to do about it."""
    project, rule = bill.project, spending.budgets[bill.project].rule
    remedy = f"`lowtide approve {bill.job}` lets it run all the same" if rule.asks else f"raise projects.{project}.budget_kg_per_month"
    begun = spending.begun.get(bill.job)
    whole_g = bill.grams + (begun.emitted_g if begun is not None else 0.0)
    if whole_g > rule.monthly_g:
        return (
            f"project {project} may emit {grams_text(rule.monthly_g)} a month and this job alone needs {grams_text(whole_g)}: "
            f"{remedy}, or split the job"
        )
    opens = next_month(bill.end)
    what = "this job" if begun is None else "the rest of this job"
    return (
        f"project {project} has {grams_text(max(left_g, 0.0))} left of its {grams_text(rule.monthly_g)} for {bill.end:%B}, "
        f"and {what} needs {grams_text(bill.grams)}: it opens again on {opens.day} {opens:%B}; "
        f"{remedy}{' before' if rule.asks else ' to run it before'}"
    )


def _followers(draft: Draft, refused: list[str]) -> list[Unplaced]:
    """Jobs that wait for a refused one, directly or through others. A chain may be as long as the queue: it is walked, not climbed."""
    held: list[Unplaced] = []
    blockers = deque(refused)
    while blockers:
        blocker = blockers.popleft()
        for job in draft.links.then[blocker]:
            if job in draft.offers:
                draft.take_out(job)
                held.append(Unplaced(job, f"waits for job {blocker}, which has no place"))
                blockers.append(job)
    return held
