"""Carbon budgets of projects: what would exceed one is not started, and says what is left, what it needs and when it opens again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from daemon.domain.budget import BudgetRule, Spending, month_start, next_month
from daemon.domain.plan import Placement, Plan, PlanJob, Snapshot, Unplaced
from daemon.planner.draft import Draft
from daemon.planner.reasons import grams_text


def stay_within_budgets(draft: Draft, spending: Spending) -> list[Unplaced]:
    """Take jobs out of the draft until each project stays within its grams of every month, and what waits for them.

    Running jobs are never stopped for a budget and count first, then approved ones; then higher priority, then the earlier deadline.
    """
    refused: list[Unplaced] = []
    till = Till(spending, draft.terrain.now)
    for job in sorted(draft.offers, key=lambda job: _turn(draft, spending, job)):
        project, offer = draft.tasks[job].job.project, draft.offers[job]
        if project not in spending.budgets:
            continue
        ends = draft.terrain.instant(offer.end)
        if _is_free_to_run(draft, spending, job) or offer.grams <= till.left_g(project, ends):
            till.pay(project, ends, offer.grams)
        else:
            words = _refusal(job, project, offer.grams, till.left_g(project, ends), spending.budgets[project].rule, ends)
            refused.append(Unplaced(job, words, is_over_budget=True))
    for answer in tuple(refused):
        draft.take_out(answer.job_id)
    return refused + _followers(draft, [answer.job_id for answer in refused])


def waiting_for_budgets(snapshot: Snapshot, answer: Plan) -> set[str]:
    """The jobs that the plan left out for their budgets, and all that wait for one of them."""
    waiting = {unplaced.job_id for unplaced in answer.unplaced if unplaced.is_over_budget}
    while more := {job.id for job in snapshot.jobs if job.id not in waiting and waiting.intersection(job.after)}:
        waiting |= more
    return waiting


class Till:
    """Grams left by project and month; only for projects that have a budget."""

    def __init__(self, spending: Spending, now: datetime) -> None:
        self._monthly = {project: budget.rule.monthly_g for project, budget in spending.budgets.items()}
        self._left = {(project, month_start(now)): budget.left_g for project, budget in spending.budgets.items()}

    def left_g(self, project: str, instant: datetime) -> float:
        return self._left.get((project, month_start(instant)), self._monthly[project])

    def pay(self, project: str, instant: datetime, grams: float) -> None:
        self._left[project, month_start(instant)] = self.left_g(project, instant) - grams


def till_behind(snapshot: Snapshot, plan: Plan) -> Till:
    """What the plan leaves of the budgets."""
    till, projects = Till(snapshot.spending, snapshot.now), {job.id: job.project for job in snapshot.jobs}
    for placement in plan.placements:
        if projects[placement.job_id] in snapshot.spending.budgets:
            till.pay(projects[placement.job_id], placement.segments[-1].end, placement.expected_g)
    return till


def warned(answer: Placement | Unplaced, job: PlanJob, spending: Spending, till: Till) -> Placement | Unplaced:
    """A preview that says so where its project's budget will not let the job run then; its numbers stay."""
    if isinstance(answer, Unplaced) or job.project not in spending.budgets:
        return answer
    ends = answer.segments[-1].end
    left_g = till.left_g(job.project, ends)
    if answer.expected_g <= left_g:
        return answer
    words = _refusal("ID", job.project, answer.expected_g, left_g, spending.budgets[job.project].rule, ends)
    return replace(answer, reason=f"{words}; otherwise: {answer.reason}")


def _is_free_to_run(draft: Draft, spending: Spending, job: str) -> bool:
    return draft.tasks[job].running >= 0 or job in spending.approved


def _turn(draft: Draft, spending: Spending, job: str) -> tuple[bool, bool, int, float, str]:
    task = draft.tasks[job]
    return task.running < 0, job not in spending.approved, -task.job.priority, task.due, job


def _refusal(job: str, project: str, grams: float, left_g: float, rule: BudgetRule, ends: datetime) -> str:
    """What is left, what is needed, and what to do about it."""
    remedy = f"`lowtide approve {job}` lets it run all the same" if rule.asks else f"raise projects.{project}.budget_kg_per_month"
    if grams > rule.monthly_g:
        return (
            f"project {project} may emit {grams_text(rule.monthly_g)} a month and this job alone needs {grams_text(grams)}: "
            f"{remedy}, or split the job"
        )
    opens = next_month(ends)
    return (
        f"project {project} has {grams_text(max(left_g, 0.0))} left of its {grams_text(rule.monthly_g)} for {ends:%B}, and this job "
        f"needs {grams_text(grams)}: it opens again on {opens.day} {opens:%B}; {remedy}{' before' if rule.asks else ' to run it before'}"
    )


def _followers(draft: Draft, refused: list[str]) -> list[Unplaced]:
    """Jobs that wait for a refused one, directly or through others."""
    held: list[Unplaced] = []
    for blocker in refused:
        for job in draft.links.then[blocker]:
            if job in draft.offers:
                draft.take_out(job)
                held.append(Unplaced(job, f"waits for job {blocker}, which has no place"))
                held += _followers(draft, [job])
    return held
