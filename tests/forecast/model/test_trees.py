"""Trees in numpy: they go where the questions lead, survive a file, and say what LightGBM says."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forecast.model.features import HORIZON_HOURS, INPUT_COLUMNS, SingleArray, by_lead
from forecast.model.network import Network
from forecast.model.tree_columns import joined, tree_columns
from forecast.model.trees import ALL_LEAVES, LEAVES, ROWS_AT_ONCE, Trees
from tests.forecast.model.lightgbm_needed import lightgbm_or_skip

LEADS = np.array([0, 7, 30, HORIZON_HOURS - 1])


def rows_of(*rows: tuple[float, ...]) -> list[SingleArray]:
    """Windows of a single hour."""
    return [column[:, None] for column in np.array(rows, dtype=np.float32).T]


def two_trees() -> Trees:
    """x0 > 1 ? 30 : (x2 > 5 ? 20 : 10), and beside it x2 > 7 ? 2 : 1."""
    leaves = np.zeros((2, LEAVES), dtype=np.float32)
    leaves[0, :3], leaves[1, :2] = (10, 20, 30), (1, 2)
    clear_two, clear_one = int(ALL_LEAVES) & ~0b11, int(ALL_LEAVES) & ~0b1
    return Trees(
        (np.array([1], dtype=np.float32), np.zeros(0, dtype=np.float32), np.array([5, 7], dtype=np.float32)),
        np.array([0, 0, 1], dtype=np.uint16),
        np.array([0, 2, 2], dtype=np.uint8),
        np.array([0, 0, 1], dtype=np.uint8),
        np.array([clear_two, clear_one, clear_one], dtype=np.uint32),
        leaves,
    )


@given(st.floats(-9, 9, width=32), st.floats(-9, 9, width=32))
def test_a_row_ends_in_the_leaf_that_the_questions_lead_to(first: float, third: float) -> None:
    expected = (30 if first > 1 else 20 if third > 5 else 10) + (2 if third > 7 else 1)
    assert two_trees().sums(rows_of((first, 0, third))) == [[expected]]


def test_a_value_on_the_edge_does_not_lie_above_it() -> None:
    rows = rows_of((1, 0, 5), (1, 0, 7), (1.0001, 0, 7))
    np.testing.assert_array_equal(two_trees().sums(rows), [[11], [21], [31]])


def test_what_is_the_same_for_all_hours_of_a_window_counts_as_if_it_were_repeated() -> None:
    bundled = Network.bundled().second.trees[0]
    random = np.random.default_rng(0)
    windows, hours = 3 * ROWS_AT_ONCE // HORIZON_HOURS + 1, HORIZON_HOURS
    columns = [random.normal(0, 2, (windows, 1 if index % 2 else hours)).astype(np.float32) for index in range(len(bundled.edges))]
    repeated = [np.broadcast_to(column, (windows, hours)) for column in columns]
    np.testing.assert_array_equal(bundled.sums(columns), bundled.sums(repeated))
    assert np.ptp(bundled.sums(columns)) > 0.1


def test_trees_come_back_from_a_file_as_they_were() -> None:
    bundled = Network.bundled().second.trees[0]
    again = Trees.unpacked(bundled.packed())
    rows = rows_of(*np.random.default_rng(0).normal(0, 2, (500, len(bundled.edges))))
    np.testing.assert_array_equal(again.sums(rows), bundled.sums(rows))
    assert np.ptp(bundled.sums(rows)) > 0.1


def test_columns_are_those_the_bundled_trees_ask_about() -> None:
    inputs = np.random.default_rng(0).normal(0, 1, (5, INPUT_COLUMNS)).astype(np.float32)
    linear = np.random.default_rng(1).normal(0, 1, (5, HORIZON_HOURS)).astype(np.float32)
    columns = joined(tree_columns(inputs, linear, LEADS))
    for trees in Network.bundled().second.trees:
        assert columns.shape == (5 * len(LEADS), len(trees.edges))
    seen = by_lead(inputs, LEADS)
    np.testing.assert_array_equal(columns[:, : seen.shape[2]], seen.reshape(5 * len(LEADS), -1))
    np.testing.assert_array_equal(columns[:, seen.shape[2]].reshape(5, -1), linear[:, LEADS])
    np.testing.assert_array_equal(columns[:, -1], np.tile(LEADS, 5))


def test_numpy_says_what_lightgbm_says() -> None:
    lightgbm = lightgbm_or_skip()
    from forecast.model.boosting import RECIPE, exported

    random = np.random.default_rng(0)
    rows = random.normal(0, 1, (3000, 6)).astype(np.float32)
    target = np.sin(3 * rows[:, 0]) + rows[:, 1] * (rows[:, 4] > 0)
    recipe = {**RECIPE, "alpha": 0.9, "min_data_in_leaf": 20, "seed": 0}
    booster = lightgbm.train(recipe, lightgbm.Dataset(rows, target), num_boost_round=12)
    np.testing.assert_allclose(exported(booster.dump_model()).sums(rows_of(*rows))[:, 0], booster.predict(rows), atol=1e-4)
