"""Seasonal advice on a real daemon: for a zone, and for a job that may wait weeks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.domain.errors import NotFound
from daemon.domain.job import JobRequest
from daemon.service.almanac import almanac_view
from daemon.store.intensity import RecordedIntensity
from forecast.almanac import Almanac, CalendarMonth
from forecast.intensity import LIFECYCLE_AVERAGE, PeriodMean
from forecast.timeline import Interval
from tests.daemon.service.world import HEIDELBERG, NOON, UMEA, World, open_world, synthesis

MARCH = CalendarMonth(3, {2022: 390.0, 2023: 410.0})
APRIL = CalendarMonth(4, {2022: 350.0, 2023: 420.0})


def month(year: int, number: int, g_per_kwh: float, release: str = "2025-01-27") -> PeriodMean:
    interval = Interval(datetime(year, number, 1, tzinfo=UTC), datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC))
    return PeriodMean("DE", interval, g_per_kwh, LIFECYCLE_AVERAGE, "Electricity Maps data portal", release)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """In March, with two years of three months of Germany, and one month of another release."""
    with open_world(tmp_path, HEIDELBERG, UMEA) as opened:
        means = [
            month(year, number, level + year - 2022) for year in (2022, 2023) for number, level in ((3, 400.0), (4, 380.0), (7, 300.0))
        ]
        RecordedIntensity(opened.daemon.store.database).put_period_means([*means, month(2021, 6, 1.0, release="2024-01-17")], opened.now)
        yield opened


def test_a_zone_tells_this_month_next_month_and_the_best_with_the_spread_of_years(world: World) -> None:
    answer = world.daemon.service.seasons("DE")
    assert NOON.month == 3
    assert answer.this_month is not None
    assert answer.next_month is not None
    assert answer.best_month is not None
    assert [each.month for each in (answer.this_month, answer.next_month, answer.best_month)] == ["2024-03", "2024-04", "2024-07"]
    assert (answer.best_month.cleanest_year_g_per_kwh, answer.best_month.dirtiest_year_g_per_kwh) == (300.0, 301.0)
    assert answer.best_month.years == [2022, 2023]
    assert answer.sentence == (
        "July 2024 is the cleanest known month: 300 g/kWh (300 to 301 in 2022-2023), 25% below this month's 400; "
        "it was the cleaner of the two in 2 of 2 years."
    )


def test_another_release_is_not_mixed_in_and_the_answer_says_so(world: World) -> None:
    answer = world.daemon.service.seasons("DE")
    assert answer.basis == "monthly values, Electricity Maps data portal, release 2025-01-27"
    assert answer.left_out == ["1 month of monthly values, Electricity Maps data portal, release 2024-01-17 left out"]
    assert [each.month for each in answer.months] == ["2024-03", "2024-04", "2024-07"]


def test_a_zone_without_a_recorded_month_says_what_to_do_and_an_unknown_one_is_not_found(world: World) -> None:
    answer = world.daemon.service.seasons("SE")
    assert (answer.basis, answer.best_month, answer.months) == (None, None, [])
    assert answer.sentence.startswith("No whole month of SE is recorded: import data-portal files")
    with pytest.raises(NotFound):
        world.daemon.service.seasons("FR")


def test_an_estimate_tells_the_whole_job_at_home_in_each_of_them(world: World) -> None:
    request = JobRequest.model_validate({"workload": synthesis(40, {"path": "weights.pt"})})
    answer = world.daemon.service.estimate(request)
    almanac = answer.advice.almanac
    assert almanac is not None
    assert almanac.best_month is not None
    assert almanac.best_month.g is not None
    assert almanac.best_month.g.mid == pytest.approx(answer.estimate.energy_kwh.mid * 1.5 * 300.5)
    assert almanac.best_month.g.low < almanac.best_month.g.mid < almanac.best_month.g.high


@pytest.mark.parametrize(
    ("months", "sentence"),
    [
        (
            (MARCH, APRIL),
            "April 2024 is the cleanest known month: 385 g/kWh (350 to 420 in 2022-2023), 4% below this month's 400; it was",
        ),
        ((MARCH,), "No known month is cleaner than this one, March 2024, with 400 g/kWh (390 to 410 in 2022-2023)."),
        ((CalendarMonth(2, {2023: 300.0}), MARCH), "February 2025 is the cleanest known month: 300 g/kWh in 2023, 25% below"),
        ((APRIL,), "The cleanest known month is April 2024 with 385 g/kWh (350 to 420 in 2022-2023); of this month nothing is recorded."),
    ],
)
def test_the_sentence_says_when_and_how_sure(months: tuple[CalendarMonth, ...], sentence: str) -> None:
    assert almanac_view(Almanac("DE", LIFECYCLE_AVERAGE, "somebody", months), NOON).sentence.startswith(sentence)


def test_with_one_year_the_spread_is_unknown_and_the_sentence_says_that() -> None:
    months = (CalendarMonth(2, {2023: 300.0}), MARCH)
    assert almanac_view(Almanac("DE", LIFECYCLE_AVERAGE, "somebody", months), NOON).sentence.endswith(
        "how far years differ in that is unknown, as 1 year has both."
    )
