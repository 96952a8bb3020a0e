"""Places of zones: known ones, children of known ones, and unknown ones."""

from __future__ import annotations

import pytest

from forecast.model.places import SOMEWHERE, place_of
from forecast.yearly import bundled_zones


def test_distances_are_about_right() -> None:
    assert place_of("DE").distance_km(place_of("PL")) == pytest.approx(630, abs=60)
    assert place_of("DE").distance_km(place_of("DE")) == 0
    assert place_of("AU-NSW").distance_km(place_of("GB")) == pytest.approx(17_000, abs=600)


def test_a_zone_within_a_known_one_lies_there() -> None:
    assert place_of("DE-NOWHERE-AT-ALL") == place_of("DE")
    assert place_of("US-NW-PACW") == place_of("US-NW")


def test_an_unknown_zone_lies_somewhere() -> None:
    assert place_of("QQ") == SOMEWHERE
    assert place_of("") == SOMEWHERE


def test_every_zone_of_the_yearly_table_but_the_world_has_a_place() -> None:
    assert [zone for zone in bundled_zones() if place_of(zone) == SOMEWHERE] == ["WORLD"]


@pytest.mark.parametrize(("zone", "offset"), [("DE", 1), ("IN-NO", 5.5), ("US-CAL-CISO", -8), ("JP-TK", 9), ("AU-SA", 9.5)])
def test_offsets_are_those_of_standard_time(zone: str, offset: float) -> None:
    assert place_of(zone).utc_offset_hours == offset
