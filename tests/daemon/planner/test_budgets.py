"""Projects stay within their carbon budgets, month by month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.domain.budget import Begun, Budget, BudgetRule, Spending, counts_in, month_start, next_month
from daemon.domain.explanation import Binding
from daemon.domain.plan import Placement, Plan, PlanJob, Snapshot
from daemon.planner import plan, preview, till_behind, warned
from daemon.planner.budgets import Bill
from daemon.planner.explain import explain
from tests.daemon.planner.builders import BARE, MONDAY, job, snapshot

VALLEY = [400.0] * 6 + [100.0] * 3 + [400.0] * 15
NEW_YEAR = datetime(2026, 2, 1, tzinfo=UTC)


def spending(left_g: float, monthly_g: float = 2000.0, asks: bool = False, approved: Sequence[str] = ()) -> Spending:
    return Spending({"ct": Budget(BudgetRule(monthly_g, asks), monthly_g - left_g)}, frozenset(approved))


def with_budget(jobs: Sequence[PlanJob], chosen: Spending) -> Snapshot:
    return replace(snapshot(jobs, {"DE": VALLEY}), spending=chosen)


def reasons(answer: Plan) -> Mapping[str, str]:
    return {unplaced.job_id: unplaced.reason for unplaced in answer.unplaced}


def test_a_spent_budget_stops_jobs_that_do_not_run_yet_and_what_waits_for_them() -> None:
    jobs = [
        job("first", hours=3, priority=1, project="ct"),
        job("second", hours=3, project="ct"),
        job("follows", hours=1, after=("second",), project="mr"),
        job("running", hours=2, running_at="de", project="ct"),
    ]
    snap = with_budget(jobs, spending(1150.0))
    answer = plan(snap, BARE)
    assert {placement.job_id for placement in answer.placements} == {"first", "running"}
    assert reasons(answer)["second"] == (
        "project ct has 50 g left of its 2,000 g for January, and this job needs 300 g: it opens again on 1 February; "
        "raise projects.ct.budget_kg_per_month to run it before"
    )
    assert reasons(answer)["follows"] == "waits for job second, which has no place"
    why = explain("second", snap, answer)
    assert why is not None
    assert why.bound_by == (Binding.BUDGET,)


def test_what_waits_for_its_budget_takes_no_place_from_others() -> None:
    spent = [job(f"spent-{number}", hours=4, priority=9, project="ct", deadline_hours=4 * number + 4.5) for number in range(5)]
    heir = job("heir", hours=1, priority=9, after=("spent-0",), project="mr", deadline_hours=6)
    others = [
        job("other", hours=3, project="mr", deadline_hours=8),
        job("next", hours=1, after=("other",), project="mr", deadline_hours=10),
    ]
    answer = plan(with_budget([*spent, heir, *others], spending(50.0)), BARE)
    alone = plan(with_budget(others, spending(50.0)), BARE)
    assert answer.placements == alone.placements
    assert {placement.job_id: placement.is_late for placement in answer.placements} == {"other": False, "next": False}
    assert set(reasons(answer)) == {"heir", *(each.id for each in spent)}
    assert (answer.cost_g, answer.bound_g) == (alone.cost_g, alone.bound_g)


def test_a_chain_of_a_thousand_jobs_behind_a_spent_budget_waits_and_keeps_no_other_from_its_place() -> None:
    chain = [job(f"link-{n}", hours=0.01, project="ct" if n == 0 else "mr", after=(f"link-{n - 1}",) if n else ()) for n in range(1200)]
    other = job("other", hours=3, project="mr", deadline_hours=8)
    answer = plan(with_budget([*chain, other], spending(0.0)), BARE)
    assert [placement.job_id for placement in answer.placements] == ["other"]
    assert reasons(answer)["link-1199"] == "waits for job link-1198, which has no place"
    assert len(answer.unplaced) == len(chain)


def test_where_a_project_asks_the_reason_names_the_command_and_an_approved_job_runs() -> None:
    jobs = [job("asked", hours=3, project="ct"), job("allowed", hours=3, project="ct", deadline_hours=9.5)]
    answer = plan(with_budget(jobs, spending(0.0, asks=True, approved=["allowed"])), BARE)
    assert [placement.job_id for placement in answer.placements] == ["allowed"]
    assert "`lowtide approve asked` lets it run all the same before" in reasons(answer)["asked"]


def test_what_an_approved_job_emits_is_missing_to_the_others() -> None:
    jobs = [job("allowed", hours=3, project="ct"), job("other", hours=3, project="ct")]
    alone = plan(with_budget(jobs[1:], spending(400.0)), BARE)
    beside = plan(with_budget(jobs, spending(400.0, asks=True, approved=["allowed"])), BARE)
    assert [placement.job_id for placement in alone.placements] == ["other"]
    assert [placement.job_id for placement in beside.placements] == ["allowed"]


def test_a_job_larger_than_a_whole_month_is_told_so() -> None:
    answer = plan(with_budget([job(hours=3, project="ct")], spending(200.0, monthly_g=200.0)), BARE)
    assert "may emit 200 g a month and this job alone needs 300 g" in reasons(answer)["job"]


def test_a_job_that_ends_next_month_pays_from_that_month() -> None:
    now = datetime(2026, 1, 31, 20, tzinfo=UTC)
    values = [400.0] * 26 * 24
    values += [400.0] * 20 + [300.0] * 4 + [100.0] * 12 + [400.0] * 36
    late = job("late", hours=6, deadline_hours=27 * 24 + 12, earliest=now, project="ct")
    soon = job("soon", hours=2, deadline_hours=27 * 24, earliest=now, project="ct")
    answer = plan(replace(snapshot([late, soon], {"DE": values}, now=now), spending=spending(0.0)), BARE)
    assert [placement.job_id for placement in answer.placements] == ["late"]
    assert answer.placements[0].segments[-1].end > NEW_YEAR


def over_new_year(jobs: Sequence[PlanJob], chosen: Spending, hours_left: float = 4.0) -> Snapshot:
    """A plan made that many hours before the month ends; the first hours of the new month are clean."""
    now = NEW_YEAR - timedelta(hours=hours_left)
    new_year = 27 * 24
    values = [400.0] * new_year + [100.0] * 12 + [400.0] * 60
    return replace(snapshot(jobs, {"DE": values}, now=now), spending=chosen)


def hours_into(month: datetime) -> float:
    return (month - MONDAY) / timedelta(hours=1)


def test_what_a_begun_job_has_emitted_pays_in_the_month_that_it_will_end_in() -> None:
    begun = job("begun", hours=3, earliest=MONDAY, deadline_hours=hours_into(NEW_YEAR) + 20, project="ct", state_at="de")
    emitted = {"begun": Begun("ct", 1650.0)}
    snap = over_new_year([begun], replace(spending(2000.0), begun=emitted))
    answer = plan(snap, BARE)
    assert answer.placements[0].end > NEW_YEAR
    till = till_behind(snap, answer)
    rest_g = answer.placements[0].expected_g
    assert till.left_g(Bill("any", "ct", 0.0, snap.now)) == pytest.approx(2000.0)
    assert till.left_g(Bill("any", "ct", 0.0, NEW_YEAR)) == pytest.approx(350.0 - rest_g)


def test_what_runs_in_one_piece_beyond_the_month_s_end_is_missing_to_the_next_month() -> None:
    late = job("late", hours=4, earliest=NEW_YEAR, deadline_hours=hours_into(NEW_YEAR) + 20, project="ct")
    rest = {NEW_YEAR: 1700.0}
    fits = plan(over_new_year([late], Spending({"ct": Budget(BudgetRule(2000.0), 1999.0)})), BARE)
    held = plan(over_new_year([late], Spending({"ct": Budget(BudgetRule(2000.0), 1999.0, rest)})), BARE)
    assert [placement.job_id for placement in fits.placements] == ["late"]
    assert "has 300 g left of its 2,000 g for February" in reasons(held)["late"]
    assert "opens again on 1 March" in reasons(held)["late"]


def test_the_rest_of_a_paused_job_is_refused_as_what_it_is() -> None:
    paused = job("paused", hours=3, project="ct", state_at="de")
    small, large = (replace(spending(1950.0 - emitted), begun={"paused": Begun("ct", 50.0)}) for emitted in (1800.0, 0.0))
    assert (
        "has 100 g left of its 2,000 g for January, and the rest of this job needs 300 g"
        in reasons(plan(with_budget([paused], small), BARE))["paused"]
    )
    assert plan(with_budget([paused], large), BARE).placements
    dear = replace(spending(2000.0), begun={"paused": Begun("ct", 1800.0)})
    assert "this job alone needs 2,100 g" in reasons(plan(with_budget([paused], dear), BARE))["paused"]


def test_what_a_plan_leaves_of_a_budget_is_missing_to_the_next_preview() -> None:
    snap = with_budget([job("planned", hours=3, project="ct")], spending(500.0))
    till = till_behind(snap, plan(snap, BARE))
    assert till.left_g(Bill("any", "ct", 0.0, MONDAY)) == pytest.approx(200)
    new = job("new", hours=3, project="ct")
    answer = preview(new, snap, BARE)
    told = warned(answer, new, snap.spending, till)
    assert isinstance(answer, Placement)
    assert isinstance(told, Placement)
    assert told.reason.startswith("project ct has 200 g left of its 2,000 g for January, and this job needs 300 g")
    assert replace(told, reason=answer.reason) == answer
    small = job("small", hours=1, project="ct")
    assert warned(preview(small, snap, BARE), small, snap.spending, till) == preview(small, snap, BARE)


def test_projects_without_a_budget_are_free() -> None:
    assert len(plan(with_budget([job(project="mr")], spending(0.0)), BARE).placements) == 1


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 2), st.booleans()), min_size=1, max_size=8), st.floats(0, 5000))
def test_what_is_planned_stays_within_the_budget_unless_it_runs_or_is_approved(jobs: list[tuple[int, int, bool]], left_g: float) -> None:
    named = [
        job(f"j{number}", hours=hours, priority=priority, project="ct", deadline_hours=23)
        for number, (hours, priority, _) in enumerate(jobs)
    ]
    approved = [f"j{number}" for number, (_, _, is_approved) in enumerate(jobs) if is_approved]
    answer = plan(with_budget(named, spending(left_g, asks=True, approved=approved)), BARE)
    free = sum(placement.expected_g for placement in answer.placements if placement.job_id in approved)
    paid = sum(placement.expected_g for placement in answer.placements if placement.job_id not in approved)
    assert paid == 0 or paid + free <= left_g + 1e-6
    assert set(approved) <= {placement.job_id for placement in answer.placements}
    assert len(answer.placements) + len(answer.unplaced) == len(jobs)


moments = st.datetimes(datetime(1971, 1, 1), datetime(2198, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis wants bounds without a zone


@given(moments)
def test_a_month_holds_its_moments_and_ends_where_the_next_begins(instant: datetime) -> None:
    start, end = month_start(instant), next_month(instant)
    assert start <= instant < end
    assert timedelta(days=28) <= end - start <= timedelta(days=31)
    assert month_start(end) == end
    assert next_month(start) == end


@given(moments, moments)
def test_an_expected_end_is_never_in_a_month_that_is_over(now: datetime, end: datetime) -> None:
    assert counts_in(now, end) == max(month_start(now), month_start(end))
    assert counts_in(now, None) == month_start(now)


amounts = st.floats(0, 2500)


@given(
    begun=st.lists(st.tuples(st.integers(1, 6), st.booleans(), amounts), max_size=5),
    settled_g=amounts,
    in_one_piece_g=st.tuples(amounts, amounts),
    hours_left=st.sampled_from([0.0, 0.5, 4.0, 30.0]),
)
def test_over_the_end_of_a_month_each_month_pays_for_the_jobs_that_end_in_it_and_no_other(
    begun: list[tuple[int, bool, float]], settled_g: float, in_one_piece_g: tuple[float, float], hours_left: float
) -> None:
    """The ledger's rule, written down once more: all that a job emitted, in the month of its end."""
    now = NEW_YEAR - timedelta(hours=hours_left)
    jobs = [
        job(
            f"j{number}",
            hours=hours,
            earliest=MONDAY,
            deadline_hours=hours_into(NEW_YEAR) + 40,
            project="ct",
            running_at="de" if runs else None,
            state_at="de",
        )
        for number, (hours, runs, _) in enumerate(begun)
    ]
    emitted = {f"j{number}": Begun("ct", grams) for number, (_, _, grams) in enumerate(begun)}
    months = (month_start(now), next_month(now))
    fixed = Budget(BudgetRule(2000.0), settled_g, dict(zip(months, in_one_piece_g, strict=True)))
    snap = over_new_year(jobs, Spending({"ct": fixed}, begun=emitted), hours_left)
    answer = plan(snap, BARE)
    placed = {placement.job_id: placement for placement in answer.placements}
    till = till_behind(snap, answer)
    for month, known_g in zip(months, (settled_g + in_one_piece_g[0], in_one_piece_g[1]), strict=True):
        ending = {name for name in emitted if month_start(placed[name].end if name in placed else now) == month}
        paid_g = known_g + sum(emitted[name].emitted_g + (placed[name].expected_g if name in placed else 0.0) for name in ending)
        assert till.left_g(Bill("any", "ct", 0.0, month)) == pytest.approx(2000.0 - paid_g, abs=1e-6)
        if any(name in placed and not snap.jobs[int(name[1:])].running_at for name in ending):
            assert paid_g <= 2000.0 + 1e-6
