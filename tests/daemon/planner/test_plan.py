"""Single cases a person can follow, the ugly ones included."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from daemon.domain.job import PlannedSegment
from daemon.domain.plan import Mode, Unplaced
from daemon.planner import PlannerOptions, Residual, plan, preview
from tests.daemon.planner.builders import BARE, HOUR, MONDAY, end_hour, job, placed, snapshot, start_hour

VALLEY = [400.0] * 6 + [100.0] * 3 + [400.0] * 15
FLAT = [300.0] * 24


def test_a_job_waits_for_the_cleaner_window_and_says_so() -> None:
    answer = placed(plan(snapshot([job(hours=3)], {"DE": VALLEY}), BARE))
    assert start_hour(answer) == 6
    assert answer.expected_g == pytest.approx(300)
    assert answer.run_now_g == pytest.approx(1200)
    assert answer.reason == "cleaner window 06:00-09:00 UTC in DE: 300 g instead of 1,200 g"


def test_a_job_moves_to_the_cleaner_site_if_that_pays_for_its_transfer() -> None:
    zones = {"DE": FLAT, "SE": [30.0] * 24}
    near = job(hours=2, sites=("de", "se"), transfer_kwh={"se": 1.0})
    far = job(hours=2, sites=("de", "se"), transfer_kwh={"se": 20.0})
    assert placed(plan(snapshot([near], zones), BARE)).segments[0].site == "se"
    assert placed(plan(snapshot([near], zones), BARE)).expected_g == pytest.approx(2 * 30 + 30)
    assert placed(plan(snapshot([far], zones), BARE)).segments[0].site == "de"


def test_pue_counts_once_for_work_and_not_for_the_transfer_that_is_facility_energy() -> None:
    moved = job(hours=2, sites=("de", "se"), transfer_kwh={"se": 1.0})
    answer = placed(plan(snapshot([moved], {"DE": FLAT, "SE": [30.0] * 24}, pue=1.5), BARE))
    assert answer.expected_g == pytest.approx(1.5 * 2 * 30 + 30)


def test_waiting_must_beat_the_forecasts_uncertainty() -> None:
    slightly = [400.0] * 6 + [390.0] * 3 + [400.0] * 15
    unsure = snapshot([job(hours=3)], {"DE": slightly}, half_width=60)
    cautious, bold = plan(unsure, replace(BARE, wait_confidence=0.5)), plan(unsure, BARE)
    assert start_hour(placed(cautious)) == 0
    assert placed(cautious).reason.startswith("not worth waiting: 2 % +- ")
    assert start_hour(placed(bold)) == 6
    assert placed(bold).low_g < placed(bold).expected_g < placed(bold).high_g


def test_a_synthesis_starts_after_its_training() -> None:
    first, second = job("train", hours=3), job("sample", hours=2, after=("train",))
    answer = plan(snapshot([second, first], {"DE": VALLEY}), BARE)
    assert start_hour(placed(answer, "sample")) >= end_hour(placed(answer, "train"))
    assert not any(p.is_late for p in answer.placements)


def test_a_predecessor_leaves_time_for_what_follows_it() -> None:
    late_valley = [400.0] * 18 + [100.0] * 6
    first, second = job("train", hours=3), job("sample", hours=20, after=("train",), deadline_hours=24)
    answer = plan(snapshot([first, second], {"DE": late_valley}), BARE)
    assert not placed(answer, "sample").is_late


def test_jobs_that_wait_for_each_other_are_named() -> None:
    jobs = [job("a", after=("b",)), job("b", after=("a",)), job("c", after=("a",)), job("d")]
    answer = plan(snapshot(jobs, {"DE": FLAT}), BARE)
    reasons = {unplaced.job_id: unplaced.reason for unplaced in answer.unplaced}
    assert reasons.keys() == {"a", "b", "c"}
    assert "waits for itself: " in reasons["a"]
    assert reasons["c"] == "waits for job a, which has no place"
    assert placed(answer, "d")


def test_each_job_of_a_long_chain_behind_one_without_a_place_names_the_one_before_it() -> None:
    wide = job("link-0", gpus=8)
    chain = [job(f"link-{n}", after=(f"link-{n - 1}", "done before")) for n in range(1, 2000)]
    answer = plan(snapshot([*reversed(chain), wide, job("other")], {"DE": FLAT}, gpus=4), BARE)
    reasons = {unplaced.job_id: unplaced.reason for unplaced in answer.unplaced}
    assert len(reasons) == 2000
    assert all(reasons[f"link-{n}"] == f"waits for job link-{n - 1}, which has no place" for n in range(1, 2000))
    assert [placement.job_id for placement in answer.placements] == ["other"]


def test_a_job_wider_than_any_site_has_no_place_and_says_how_many_there_are() -> None:
    answer = plan(snapshot([job(gpus=8)], {"DE": FLAT}, gpus=4), BARE)
    assert answer.unplaced == (
        Unplaced("job", "needs 8 GPUs at once, but at most 4 become free at de: ask for fewer or allow another site"),
    )


def test_with_all_sites_down_nothing_is_placed_and_nothing_breaks() -> None:
    answer = plan(snapshot([job("a"), job("b")], {"DE": FLAT}, gpus=0), PlannerOptions())
    assert len(answer.unplaced) == 2
    assert answer.gap == 0


def test_an_impossible_deadline_is_met_as_nearly_as_it_can_be_with_the_deadline_that_would_do() -> None:
    answer = placed(plan(snapshot([job(hours=5, deadline_hours=3)], {"DE": VALLEY}), BARE))
    assert answer.is_late
    assert start_hour(answer) == 0
    assert "a deadline of 05:00 UTC would do" in answer.reason


def test_one_free_hour_is_found() -> None:
    snap = snapshot([job(hours=1)], {"DE": VALLEY}, gpus=1)
    snap.sites[0].free_gpus[:] = 0
    snap.sites[0].free_gpus[17] = 1
    assert start_hour(placed(plan(snap, BARE))) == 17


def test_short_jobs_without_slack_follow_each_other_within_a_slot() -> None:
    jobs = [job(f"j{n}", hours=1 / 3, deadline_hours=(n + 1) / 3) for n in range(6)]
    answer = plan(snapshot(jobs, {"DE": FLAT}, gpus=1), BARE)
    assert not any(p.is_late for p in answer.placements)


def test_identical_jobs_share_the_valley_without_exceeding_it() -> None:
    jobs = [job(f"j{n}", hours=3) for n in range(8)]
    answer = plan(snapshot(jobs, {"DE": VALLEY}, gpus=4), BARE)
    assert sum(start_hour(p) == 6 for p in answer.placements) == 4
    assert answer.cost_g == pytest.approx(4 * 300 + 4 * 1200)
    assert answer.gap < 0.01


def test_a_running_job_that_may_pause_goes_on_when_stopping_does_not_pay() -> None:
    running = job(hours=4, mode=Mode.INTERRUPTIBLE, startup_seconds=1800, startup_kwh=2.0, running_at="de")
    slightly = [310.0] * 2 + [300.0] * 22
    answer = placed(plan(snapshot([running], {"DE": slightly}), BARE))
    assert (start_hour(answer), end_hour(answer)) == (0, 4)
    assert answer.reason == "keeps running at de"


def test_a_running_unbroken_job_is_kept_without_taking_capacity_twice() -> None:
    running = job(hours=4, running_at="de")
    snap = snapshot([running, job("next", hours=1, after=("job",))], {"DE": FLAT}, gpus=1)
    snap.sites[0].free_gpus[:4] = 0
    answer = plan(snap, BARE)
    assert start_hour(placed(answer)) == 0
    assert start_hour(placed(answer, "next")) == 4


def test_work_that_may_pause_takes_clean_hours_and_pays_every_start() -> None:
    zigzag = [400.0, 100.0] * 12
    free_start, dear_start = (job(hours=3, mode=Mode.INTERRUPTIBLE, startup_seconds=60.0, startup_kwh=kwh) for kwh in (0.02, 50.0))
    assert len(placed(plan(snapshot([free_start], {"DE": zigzag}), BARE)).segments) > 1
    assert len(placed(plan(snapshot([dear_start], {"DE": zigzag}), BARE)).segments) == 1


def test_divisible_work_runs_side_by_side_and_on_two_sites_in_their_clean_hours() -> None:
    zones = {"DE": [500.0] * 2 + [50.0] + [500.0] * 21, "SE": [500.0] * 10 + [50.0] + [500.0] * 13}
    batch = job(hours=4, mode=Mode.DIVISIBLE, sites=("de", "se"), max_width=2)
    answer = placed(plan(snapshot([batch], zones), BARE))
    assert answer.expected_g == pytest.approx(4 * 50)
    assert {segment.site for segment in answer.segments} == {"de", "se"}


def test_a_price_of_waiting_shortens_the_wait() -> None:
    falling = [400.0 - 10 * hour for hour in range(24)]
    patient, eager = (job(hours=1, price_of_waiting_g_per_hour=price) for price in (0.0, 20.0))
    assert start_hour(placed(plan(snapshot([patient], {"DE": falling}), BARE))) == 23
    assert start_hour(placed(plan(snapshot([eager], {"DE": falling}), BARE))) == 0


def test_a_planned_job_moves_only_for_a_clear_gain() -> None:
    there = (PlannedSegment("de", MONDAY + 3 * HOUR, MONDAY + 5 * HOUR, 1),)
    planned = job(hours=2, previous=there)
    little, much = list(FLAT), list(FLAT)
    little[10:12], much[10:12] = [297.0] * 2, [100.0] * 2
    options = replace(BARE, keep_threshold=0.03)
    assert start_hour(placed(plan(snapshot([planned], {"DE": little}), options))) == 3
    assert start_hour(placed(plan(snapshot([planned], {"DE": much}), options))) == 10


def test_hours_of_a_planned_job_that_may_pause_move_for_a_clear_gain_in_these_hours() -> None:
    there = (PlannedSegment("de", MONDAY, MONDAY + 20 * HOUR, 1),)
    planned = job(hours=20, mode=Mode.INTERRUPTIBLE, previous=there)
    little, much = list(FLAT), list(FLAT)
    little[22], much[22] = 297.0, 200.0  # of 300, which all of its work emits twenty times
    options = replace(BARE, keep_threshold=0.03)
    assert placed(plan(snapshot([planned], {"DE": little}), options)).segments == there
    moved = placed(plan(snapshot([planned], {"DE": much}), options))
    assert (moved.segments[-1].start, moved.segments[-1].end) == (MONDAY + 22 * HOUR, MONDAY + 23 * HOUR)
    assert moved.expected_g == pytest.approx(19 * 300 + 200)


def test_a_margin_is_kept_before_the_deadline_where_there_is_room() -> None:
    falling = [400.0 - 10 * hour for hour in range(24)]
    options = replace(BARE, deadline_margin=0.5)
    assert end_hour(placed(plan(snapshot([job(hours=4)], {"DE": falling}), options))) == 22
    assert end_hour(placed(plan(snapshot([job(hours=4, deadline_hours=4)], {"DE": falling}), options))) == 4


def test_a_job_longer_than_the_forecast_is_placed_beyond_it() -> None:
    answer = placed(plan(snapshot([job(hours=40, deadline_hours=100)], {"DE": VALLEY}), BARE))
    assert not answer.is_late
    assert (end_hour(answer) - start_hour(answer)) == pytest.approx(40)


def test_unknown_intensity_is_never_taken_for_clean() -> None:
    gap = list(FLAT)
    gap[5:8] = [float("nan")] * 3
    answer = placed(plan(snapshot([job(hours=3, earliest=MONDAY + 4 * HOUR)], {"DE": gap}), BARE))
    assert start_hour(answer) >= 8
    assert np.isfinite(answer.expected_g)


def test_two_jobs_with_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="same id"):
        plan(snapshot([job("a"), job("a")], {"DE": FLAT}))


def test_a_preview_sees_what_the_plan_left_and_equals_the_next_plan() -> None:
    snap = snapshot([job("a", hours=3)], {"DE": VALLEY}, gpus=1)
    residual = Residual.of(snap, plan(snap, BARE), BARE)
    new = job("b", hours=3)
    seen = preview(new, residual)
    assert not isinstance(seen, Unplaced)
    assert seen.segments[0].start >= MONDAY + 9 * HOUR or seen.segments[0].end <= MONDAY + 6 * HOUR
    assert preview(replace(new, gpus=2), residual) == Unplaced("b", "no site admits this job, or none has as many GPUs as it needs")


def test_capacity_lowered_under_planned_jobs_moves_some_and_keeps_deadlines() -> None:
    jobs = [job(f"j{n}", hours=3, deadline_hours=20) for n in range(4)]
    before = plan(snapshot(jobs, {"DE": VALLEY}, gpus=4), BARE)
    kept = [replace(j, previous=placed(before, j.id).segments) for j in jobs]
    after = plan(snapshot(kept, {"DE": VALLEY}, gpus=1), BARE)
    assert not any(p.is_late for p in after.placements)
    assert sorted(start_hour(p) for p in after.placements) == sorted({start_hour(p) for p in after.placements})


@pytest.mark.parametrize(("gpus", "begins"), [(1, 3.0), (4, 2.5)])
def test_whoever_waits_for_a_job_that_ends_later_than_planned_begins_later_too(gpus: int, begins: float) -> None:
    def planned(begin: int, end: int) -> tuple[PlannedSegment, ...]:
        return (PlannedSegment("de", MONDAY + begin * HOUR, MONDAY + end * HOUR, 1),)

    slow = job("slow", hours=2.5, mode=Mode.INTERRUPTIBLE, running_at="de", state_at="de", previous=planned(0, 2))
    follows = job("follows", hours=1, after=("slow",), previous=planned(2, 3))
    answer = plan(snapshot([follows, slow], {"DE": FLAT}, gpus=gpus), BARE)
    assert end_hour(placed(answer, "slow")) == 2.5
    assert start_hour(placed(answer, "follows")) == begins


def test_now_inside_a_slot_is_where_a_job_may_start() -> None:
    now = MONDAY + timedelta(minutes=20)
    assert placed(plan(snapshot([job(earliest=now)], {"DE": FLAT}, now=now), BARE)).segments[0].start == now
