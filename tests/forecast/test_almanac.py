"""What months usually are: from one source and release alone, with the spread across years."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from forecast.almanac import Almanac, almanac_of, years_cleaner
from forecast.csv_rows import PORTAL
from forecast.intensity import LIFECYCLE_AVERAGE, PeriodMean, Reading
from forecast.record import Record
from forecast.timeline import HOUR, Interval
from tests.forecast.grids import DIRECT, month

NOW = datetime(2026, 2, 1, tzinfo=UTC)


def hours(year: int, number: int, level: Callable[[datetime], float], days: int = 31, release: str | None = "2025-01-27") -> list[Reading]:
    start = datetime(year, number, 1, tzinfo=UTC)
    instants = [start + HOUR * index for index in range(24 * days) if (start + HOUR * index).month == number]
    return [
        Reading("DE", Interval(at, at + HOUR), level(at), LIFECYCLE_AVERAGE, PORTAL, NOW, release=release) for at in instants
    ]  # fmt: skip


def nights_clean(level: float) -> Callable[[datetime], float]:
    """Lowest at 03:00 UTC, and never long the same."""
    return lambda at: level + abs(at.hour - 3) * 4 + at.day % 7 * 0.01


def monthly(year: int, number: int, value: float, release: str | None = "2025-01-27") -> PeriodMean:
    return replace(month(year, number, value), source=PORTAL, release=release)


def made(readings: list[Reading], means: list[PeriodMean], now: datetime = NOW) -> Almanac:
    almanac = almanac_of("DE", LIFECYCLE_AVERAGE, Record.of(readings), means, now)
    assert almanac is not None
    return almanac


def test_a_month_is_the_mean_of_its_years_with_the_least_and_the_greatest_beside_it() -> None:
    almanac = made([], [monthly(2023, 1, 400.0), monthly(2024, 1, 500.0), monthly(2025, 1, 480.0), monthly(2024, 7, 300.0)])
    january, july = almanac.months
    assert (january.mean, january.low, january.high, list(january.by_year)) == (460.0, 400.0, 500.0, [2023, 2024, 2025])
    assert (july.mean, july.low, july.high, list(july.by_year)) == (300.0, None, None, [2024]), "one year has no spread: unknown, not zero"
    assert almanac.best is july
    assert almanac.month(3) is None


def test_hours_give_the_month_and_the_cleanest_hour_of_its_days() -> None:
    almanac = made(hours(2024, 1, nights_clean(300)) + hours(2025, 1, nights_clean(340)), [])
    assert almanac.basis == "hourly values, Electricity Maps data portal, release 2025-01-27"
    (january,) = almanac.months
    assert january.cleanest_hour_utc == 3
    assert january.low is not None
    assert january.high is not None
    assert january.high - january.low == pytest.approx(40)


def test_releases_are_never_mixed_and_what_was_left_out_is_said() -> None:
    """The same January differs by 14 % between two releases of the portal: a mean over both would be of nothing."""
    newer = [monthly(2024, 1, 417.4), monthly(2024, 2, 400.0)]
    older = [monthly(2023, 1, 475.2, release="2024-01-17")]
    almanac = made([], newer + older)
    january = almanac.month(1)
    assert january is not None
    assert january.by_year == {2024: 417.4}
    assert almanac.left_out == ("1 month of monthly values, Electricity Maps data portal, release 2024-01-17 left out",)


def test_monthly_and_hourly_values_are_never_mixed_either() -> None:
    almanac = made(hours(2025, 1, nights_clean(300)), [monthly(2024, number, 475.2) for number in (1, 2, 3)])
    assert almanac.basis.startswith("monthly values")
    assert [each.month for each in almanac.months] == [1, 2, 3]
    assert almanac.left_out == ("1 month of hourly values, Electricity Maps data portal, release 2025-01-27 left out",)


def test_values_of_another_kind_or_zone_are_left_out_and_counted() -> None:
    almanac = made([], [monthly(2024, 1, 400.0), replace(monthly(2024, 2, 7.0), kind=DIRECT), replace(monthly(2024, 3, 30.0), zone="SE")])
    assert [each.month for each in almanac.months] == [1]
    assert almanac.left_out == ("2 values of another zone or kind left out",)


def test_a_month_that_is_not_over_or_has_too_many_gaps_does_not_count() -> None:
    assert almanac_of("DE", LIFECYCLE_AVERAGE, Record.of(hours(2025, 1, nights_clean(300), days=27)), [], NOW) is None
    assert almanac_of("DE", LIFECYCLE_AVERAGE, Record.of(hours(2026, 1, nights_clean(300))), [], NOW - timedelta(days=1)) is None
    assert made(hours(2026, 1, nights_clean(300)), []).months[0].by_year.keys() == {2026}
    assert almanac_of("DE", LIFECYCLE_AVERAGE, None, [monthly(2026, 2, 300.0)], NOW) is None


def test_a_frozen_feed_makes_no_month() -> None:
    stuck = hours(2025, 1, lambda at: 300.0 if at.day > 3 else nights_clean(300)(at))
    assert almanac_of("DE", LIFECYCLE_AVERAGE, Record.of(stuck), [], NOW) is None


def test_an_api_that_stamps_every_hour_anew_is_one_source() -> None:
    told = [
        replace(one, source="Electricity Maps API", release=one.interval.start.isoformat()) for one in hours(2025, 1, nights_clean(300))
    ]
    assert made(told, []).basis == "hourly values, Electricity Maps API"


def test_months_are_compared_within_years_because_whole_years_differ() -> None:
    dirty_year, clean_year = [monthly(2022, 1, 500.0), monthly(2022, 7, 450.0)], [monthly(2023, 1, 400.0), monthly(2023, 7, 380.0)]
    almanac = made([], [*dirty_year, *clean_year, monthly(2024, 8, 1.0), monthly(2024, 1, 300.0)])
    january, july, august = almanac.months
    assert years_cleaner(july, january) == (2, 2)
    assert years_cleaner(january, july) == (0, 2)
    assert years_cleaner(august, january) == (1, 1)
    assert years_cleaner(august, july) == (0, 0)
