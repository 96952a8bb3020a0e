"""Jobs with months of slack wait for a cleaner season where climatology is clear enough, and only there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.domain.plan import Mode, Placement, PlanJob, PlanSite, SlotGrid, Snapshot
from daemon.planner import PlannerOptions, Residual, explain, held_for_a_season, plan, preview
from forecast.intensity import LIFECYCLE_AVERAGE, Rung, ZoneOutlook
from tests.daemon.planner.builders import BARE, HOUR, MONDAY, job, outlook, snapshot

STEP = timedelta(hours=3)
DAYS = 180
CAREFUL = PlannerOptions(wait_confidence=1.0)


def near(level: float = 400.0, half_width: float = 20.0) -> Snapshot:
    return snapshot([], {"DE": [level] * 96}, half_width=half_width)


def seasonal(summer: float, half_width: float = 20.0, winter: float = 400.0) -> Snapshot:
    """Winter, and from day 100 on summer."""
    count = DAYS * 8
    values = np.where(np.arange(count) < 800, winter, summer)
    rung = np.full(count, int(Rung.CLIMATOLOGY), dtype=np.int8)
    view = ZoneOutlook("DE", LIFECYCLE_AVERAGE, MONDAY, MONDAY, STEP, values, values - half_width, values + half_width, rung)
    site = PlanSite("de", "DE", 1.0, np.full(count, 4, dtype=np.int64))
    return Snapshot(MONDAY, SlotGrid(MONDAY, STEP, count), (site,), (), {"DE": view})


def campaign(days: float = 170, **more: object) -> PlanJob:
    return job(hours=10, deadline_hours=24 * days, mode=Mode.INTERRUPTIBLE, **more)  # type: ignore[arg-type]  # whatever fields a test names


def held(one: PlanJob, months: Snapshot, soon: Snapshot, options: PlannerOptions = CAREFUL) -> Placement | None:
    return held_for_a_season([one], months, soon, options).get(one.id)


def test_a_campaign_waits_for_the_season_and_says_what_it_expects_there() -> None:
    placement = held(campaign(), seasonal(150.0), near())
    assert placement is not None
    assert placement.segments[0].start == MONDAY + timedelta(days=100)
    assert placement.expected_g == pytest.approx(1500)
    assert placement.low_g < 1500 < placement.high_g
    assert placement.run_now_g == pytest.approx(4000)
    assert placement.reason.startswith("waits for a cleaner season, Wed 15 Apr 00:00-10:00 UTC in DE: 1,500 g (")
    assert "instead of 4,000 g until 09 Jan; looked at again as it comes near" in placement.reason


@pytest.mark.parametrize(
    ("one", "months", "soon"),
    [
        (campaign(), seasonal(380.0, half_width=250.0), near()),  # the gain drowns in the error of the climatology
        (campaign(days=90), seasonal(150.0), near()),  # the deadline comes before the season
        (campaign(), seasonal(150.0), near(100.0)),  # it is cleaner now
        (campaign(), seasonal(395.0, half_width=0.0), near(half_width=0.0)),  # hardly anything to gain
        (campaign(price_of_waiting_g_per_hour=2.0), seasonal(150.0), near()),  # 2,400 h at 2 g an hour
    ],
)
def test_a_campaign_does_not_wait_where_that_does_not_pay(one: PlanJob, months: Snapshot, soon: Snapshot) -> None:
    assert held(one, months, soon) is None


def test_who_trusts_the_climatology_waits_for_a_smaller_gain() -> None:
    months, soon = seasonal(330.0, half_width=250.0), near()
    assert held(campaign(), months, soon, replace(CAREFUL, wait_confidence=3.0)) is None
    assert held(campaign(), months, soon, replace(CAREFUL, wait_confidence=0.0)) is not None


@given(st.floats(20, 600), st.floats(20, 600), st.floats(0, 300), st.floats(20, 179))
def test_what_is_held_is_in_time_beyond_the_horizon_and_expected_to_be_cleaner(
    now: float, summer: float, error: float, days: float
) -> None:
    placement = held(campaign(days), seasonal(summer, error), near(now))
    if placement is not None:
        assert placement.segments[0].start >= near().grid.end
        assert placement.segments[-1].end <= MONDAY + timedelta(days=days)
        assert placement.expected_g < placement.run_now_g


def test_a_window_months_away_takes_nothing_from_the_near_future() -> None:
    soon = near()
    placement = held(campaign(), seasonal(150.0), soon)
    assert placement is not None
    answer = replace(plan(soon, BARE), placements=(placement,) * 4)
    beside = Residual.of(soon, answer, BARE)
    assert int(beside.free.min()) == 4
    assert isinstance(preview(job(hours=90, deadline_hours=96), beside), Placement)


def test_a_held_job_is_explained_beside_what_the_near_future_offers() -> None:
    one = campaign()
    soon = replace(near(), jobs=(one,))
    placement = held(one, seasonal(150.0), soon)
    assert placement is not None
    why = explain(one.id, soon, replace(plan(near(), BARE), placements=(placement,)))
    assert why is not None
    assert "1,500 g, 2,500 g (62 %) less than running at once at home" in why.sentence
    assert why.bound_by == ()


def test_the_outlook_in_these_tests_is_on_the_near_grid() -> None:
    assert outlook("DE", [400.0] * 96).end == near().grid.end == MONDAY + 96 * HOUR
