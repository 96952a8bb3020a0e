from __future__ import annotations

from forecast.intensity import LIFECYCLE_AVERAGE
from forecast.yearly import bundled_zones, yearly_means
from tests.forecast.grids import DIRECT


def test_many_zones_have_a_yearly_mean_with_its_source() -> None:
    assert len(bundled_zones()) >= 50
    for zone in bundled_zones():
        for mean in yearly_means(zone, LIFECYCLE_AVERAGE):
            assert 10 < mean.g_per_kwh < 1000
            assert mean.source
            assert mean.interval.duration.days in (365, 366)


def test_germany_and_sweden_are_what_their_hours_average_to() -> None:
    newest = {zone: yearly_means(zone, LIFECYCLE_AVERAGE)[-1] for zone in ("DE", "SE")}
    assert newest["DE"].g_per_kwh == 366.97
    assert newest["SE"].g_per_kwh == 23.71
    assert newest["DE"].release == "2025-01-27"


def test_a_zone_without_its_own_mean_has_its_parents_and_says_so() -> None:
    (mean,) = yearly_means("NO-NO1", LIFECYCLE_AVERAGE)[-1:]
    assert mean.zone == "NO-NO1"
    assert mean.source.endswith("of parent zone NO")


def test_an_unknown_zone_has_none() -> None:
    assert yearly_means("ATLANTIS-SOUTH", LIFECYCLE_AVERAGE) == ()


def test_another_kind_is_never_served_from_the_life_cycle_table() -> None:
    assert yearly_means("DE", DIRECT) == ()
