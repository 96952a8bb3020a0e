"""Made-up grids for training stay between the grids they are made of."""

from __future__ import annotations

import numpy as np

from forecast.model.mixtures import LEVELS_G_PER_KWH, mixtures
from forecast.model.places import place_of
from tests.forecast.model.records import record

EUROPE = [record(500, zone, seed=seed) for seed, zone in enumerate(("DE", "FR", "PL"))]


def test_a_mixture_lies_where_its_first_zone_lies_and_spans_the_same_hours() -> None:
    for mixture in mixtures(EUROPE, 10, seed=0):
        assert mixture.zone not in ("DE", "FR", "PL")
        assert place_of(mixture.zone) in [place_of(one.zone) for one in EUROPE]
        assert (mixture.start, len(mixture.values)) == (EUROPE[0].start, 500)
        assert LEVELS_G_PER_KWH[0] <= mixture.values.mean() <= LEVELS_G_PER_KWH[1]


def test_every_hour_of_a_mixture_lies_between_those_of_its_parts() -> None:
    relative = np.array([one.values / one.values.mean() for one in EUROPE])
    for mixture in mixtures(EUROPE, 10, seed=0):
        shape = mixture.values / mixture.values.mean()
        assert (shape <= relative.max(axis=0) + 1e-9).all()
        assert (shape >= relative.min(axis=0) - 1e-9).all()


def test_the_same_seed_mixes_the_same_and_another_does_not() -> None:
    first, again, other = (mixtures(EUROPE, 3, seed)[0].values for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_zones_whose_days_do_not_lie_on_each_other_are_not_mixed() -> None:
    assert mixtures([record(500, "DE"), record(500, "JP-TK")], 5, seed=0) == []
    assert mixtures([record(500, "DE"), record(499, "FR")], 5, seed=0) == []
    assert mixtures([], 5, seed=0) == []
