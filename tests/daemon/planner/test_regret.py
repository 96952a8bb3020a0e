"""When the planner lets a job wait: promises against their uncertainty and their record; asked once, when a job is new."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.domain.job import PlannedSegment
from daemon.domain.plan import Mode, Placement, Snapshot
from daemon.planner import PlannerOptions, plan, preview
from tests.daemon.planner.builders import BARE, HOUR, MONDAY, job, placed, snapshot, start_hour

VALLEY = [400.0] * 6 + [300.0] * 3 + [400.0] * 15
RULE = replace(BARE, wait_confidence=PlannerOptions().wait_confidence)


def with_record(share_kept: float, half_width: float = 60.0, *, zone: str = "DE", mode: Mode = Mode.CONTIGUOUS) -> Snapshot:
    """A forecast that promises a quarter less from 06:00 on, and how far such promises were kept."""
    return replace(snapshot([job(hours=3, mode=mode)], {"DE": VALLEY}, half_width=half_width), shares_kept={zone: share_kept})


def test_a_zone_whose_forecasts_were_useless_lately_makes_jobs_start_now_and_the_reason_says_so() -> None:
    answer = placed(plan(with_record(0.05), RULE))
    assert start_hour(answer) == 0
    assert answer.reason.startswith("not worth waiting: 1 % +- ")
    assert answer.reason.endswith("; forecasts of DE lately kept 5% of the savings they promised")


def test_the_same_promise_is_waited_for_where_forecasts_kept_theirs_or_have_no_record() -> None:
    for share in (0.9, 1.0):
        assert start_hour(placed(plan(with_record(share), RULE))) == 6
    assert start_hour(placed(plan(with_record(0.05, zone="SE"), RULE))) == 6, "the record of another zone says nothing"


def test_a_preview_follows_the_record_as_the_plan_does() -> None:
    here = with_record(0.05)
    answer = preview(here.jobs[0], here, RULE)
    assert isinstance(answer, Placement)
    assert start_hour(answer) == 0
    assert "lately kept 5%" in answer.reason


def test_without_the_rule_the_record_is_not_asked() -> None:
    assert start_hour(placed(plan(with_record(0.0), BARE))) == 6


@pytest.mark.parametrize("mode", [Mode.CONTIGUOUS, Mode.INTERRUPTIBLE])
def test_a_job_that_waits_already_follows_the_newest_forecast_without_being_asked_again(mode: Mode) -> None:
    """Less is left to gain the longer it waits: asked at every plan, the rule would end most waits early."""
    unsure = with_record(1.0, half_width=400.0, mode=mode)
    assert start_hour(placed(plan(unsure, RULE))) == 0, "a new job would not wait for this"
    waits = (PlannedSegment("de", MONDAY + 7 * HOUR, MONDAY + 10 * HOUR, 1),)
    waiting = replace(unsure, jobs=(replace(unsure.jobs[0], previous=waits),))
    assert start_hour(placed(plan(waiting, RULE))) == 6


def test_a_job_that_was_to_start_by_now_and_could_not_is_asked_like_a_new_one() -> None:
    unsure = with_record(1.0, half_width=400.0)
    missed = (PlannedSegment("de", MONDAY - timedelta(minutes=5), MONDAY + 3 * HOUR, 1),)
    assert start_hour(placed(plan(replace(unsure, jobs=(replace(unsure.jobs[0], previous=missed),)), RULE))) == 0


def test_a_move_to_a_cleaner_zone_needs_no_record_in_time() -> None:
    both = snapshot([job(hours=3, sites=("de", "se"))], {"DE": [400.0] * 24, "SE": [40.0] * 24}, half_width=10.0)
    answer = placed(plan(replace(both, shares_kept={"DE": 0.0, "SE": 0.0}), RULE))
    assert answer.segments[0].site == "se"
    assert start_hour(answer) == 0
