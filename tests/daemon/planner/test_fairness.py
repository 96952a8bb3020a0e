"""Fair shares order equals, and never cost a deadline."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.domain.budget import Budget, BudgetRule, Spending
from daemon.domain.plan import Mode, Plan, PlanJob, Snapshot
from daemon.planner import plan, plan_fairly
from tests.daemon.planner.builders import BARE, job, placed, snapshot
from tests.daemon.planner.strategies import snapshots

VALLEY = [400.0] * 6 + [100.0] * 3 + [400.0] * 15
plan_bare = partial(plan, options=BARE)


def rivals(mode: Mode) -> list[PlanJob]:
    return [job("greedy", hours=3, mode=mode, user="ada"), job("patient", hours=3, mode=mode, user="bob")]


def with_standings(snap: Snapshot, **standings: float) -> Snapshot:
    return replace(snap, standings=standings)


def test_of_equal_jobs_whoever_had_the_least_lately_gets_the_clean_hours() -> None:
    for mode in (Mode.CONTIGUOUS, Mode.INTERRUPTIBLE):
        snap = snapshot(rivals(mode), {"DE": VALLEY}, gpus=1)
        for standings, first in (({"ada": 90.0, "bob": 1.0}, "patient"), ({"ada": 1.0, "bob": 90.0}, "greedy"), ({"ada": 1.0}, "patient")):
            answer = plan_fairly(with_standings(snap, **standings), plan_bare)
            assert placed(answer, first).expected_g == 300, (mode, standings)


def test_priority_outweighs_any_share() -> None:
    jobs = [replace(one, priority=1 if one.id == "greedy" else 0) for one in rivals(Mode.INTERRUPTIBLE)]
    answer = plan_fairly(with_standings(snapshot(jobs, {"DE": VALLEY}, gpus=1), ada=90.0, bob=0.0), plan_bare)
    assert placed(answer, "greedy").expected_g == 300


def test_where_everybody_stands_equal_nothing_is_planned_anew() -> None:
    seen: list[Snapshot] = []

    def watched(snap: Snapshot) -> Plan:
        seen.append(snap)
        return plan_bare(snap)

    snap = with_standings(snapshot(rivals(Mode.CONTIGUOUS), {"DE": VALLEY}, gpus=1), ada=5.0, bob=5.0)
    plan_fairly(snap, watched)
    assert seen == [snap]


def test_a_job_that_waits_for_its_budget_and_its_heir_are_no_reason_to_plan_without_shares() -> None:
    seen: list[Snapshot] = []

    def watched(snap: Snapshot) -> Plan:
        seen.append(snap)
        return plan_bare(snap)

    spent = [job("spent", hours=3, project="ct", user="ada"), job("heir", hours=1, after=("spent",), user="ada")]
    snap = with_standings(snapshot([*rivals(Mode.INTERRUPTIBLE), *spent], {"DE": VALLEY}, gpus=1), ada=90.0, bob=1.0)
    answer = plan_fairly(replace(snap, spending=Spending({"ct": Budget(BudgetRule(2000.0), 2000.0)})), watched)
    assert missed(answer) == {"spent", "heir"}
    assert placed(answer, "patient").expected_g == 300
    assert len(seen) == 1


def missed(answer: Plan) -> set[str]:
    return {placement.job_id for placement in answer.placements if placement.is_late} | {u.job_id for u in answer.unplaced}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(snapshots(), st.lists(st.floats(0, 100), min_size=3, max_size=3), st.integers(0, 2))
def test_shares_make_no_job_late_that_would_otherwise_be_on_time(snap: Snapshot, standings: list[float], offset: int) -> None:
    users = ["ada", "bob", "eve"]
    jobs = tuple(replace(one, user=users[(number + offset) % 3]) for number, one in enumerate(snap.jobs))
    shared = replace(snap, jobs=jobs, standings=dict(zip(users, standings, strict=True)))
    assert missed(plan_fairly(shared, plan_bare)) <= missed(plan_bare(replace(shared, standings={})))
