"""Fair shares: of jobs with equal priority, whoever had the least lately chooses first. Never at the price of a deadline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from daemon.domain.plan import Plan, PlanJob, Snapshot
from daemon.planner.budgets import waiting_for_budgets


def plan_fairly(snapshot: Snapshot, plan: Callable[[Snapshot], Plan]) -> Plan:
    """The plan in the order of shares, unless that leaves a job late or without a place that another order places in time."""
    ordered = with_turns(snapshot)
    if ordered is snapshot:
        return plan(snapshot)
    fair = plan(ordered)
    missed = _missed(ordered, fair)
    if not missed:
        return fair
    plain = plan(snapshot)
    chosen = fair if missed <= _missed(snapshot, plain) else plain
    return replace(chosen, planner_seconds=fair.planner_seconds + plain.planner_seconds)


def with_turns(snapshot: Snapshot) -> Snapshot:
    """The jobs with priorities that hold their users' turns, too; the snapshot itself where nobody is ahead of anybody."""
    users = {job.user for job in snapshot.jobs}
    standings = sorted({snapshot.standings.get(user, 0.0) for user in users})
    if len(standings) < 2:
        return snapshot
    turn = {user: standings.index(snapshot.standings.get(user, 0.0)) for user in users}
    return replace(snapshot, jobs=tuple(_in_turn(job, turn[job.user], len(standings)) for job in snapshot.jobs))


def has_same_turns(before: Snapshot, now: Snapshot) -> bool:
    """Whether users who have jobs in both snapshots choose in the same order in both."""
    users = sorted({job.user for job in before.jobs} & {job.user for job in now.jobs})
    return _places(before, users) == _places(now, users)


def _places(snapshot: Snapshot, users: Sequence[str]) -> list[int]:
    standings = [snapshot.standings.get(user, 0.0) for user in users]
    ranks = {standing: place for place, standing in enumerate(sorted(set(standings)))}
    return [ranks[standing] for standing in standings]


def _in_turn(job: PlanJob, turn: int, turns: int) -> PlanJob:
    """A turn weighs less than one step of priority."""
    return replace(job, priority=job.priority * turns - turn)


def _missed(snapshot: Snapshot, plan: Plan) -> set[str]:
    """Jobs that are late or without a place, but for those that a budget keeps waiting: it would in any order."""
    late = {placement.job_id for placement in plan.placements if placement.is_late}
    return (late | {answer.job_id for answer in plan.unplaced}) - waiting_for_budgets(snapshot, plan)
