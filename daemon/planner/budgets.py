"""Carbon budgets of projects: what would exceed one is not started, and says what is left and what it would need."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.domain.plan import Unplaced
from daemon.planner.draft import Draft
from daemon.planner.reasons import grams_text


def stay_within_budgets(draft: Draft, budgets_g: Mapping[str, float]) -> list[Unplaced]:
    """Take jobs out of the draft until each project stays within its grams, and what waits for them.

    Running jobs are never stopped for a budget and count first; then higher priority, then the earlier deadline.
    """
    refused: list[Unplaced] = []
    left = dict(budgets_g)
    for job in sorted(draft.offers, key=lambda job: _turn(draft, job)):
        project, grams = draft.tasks[job].job.project, draft.offers[job].grams
        if project not in left:
            continue
        if draft.tasks[job].running >= 0 or grams <= left[project]:
            left[project] -= grams
            continue
        words = f"{grams_text(max(left[project], 0.0))} left in its budget, and this job needs {grams_text(grams)}"
        refused.append(Unplaced(job, f"project {project} has {words}: raise the budget or wait for the next month", is_over_budget=True))
    for answer in tuple(refused):
        draft.take_out(answer.job_id)
    return refused + _followers(draft, [answer.job_id for answer in refused])


def _turn(draft: Draft, job: str) -> tuple[bool, int, float, str]:
    task = draft.tasks[job]
    return task.running < 0, -task.job.priority, task.due, job


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
