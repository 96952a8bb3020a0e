"""Training of the trees with LightGBM, on what a linear forecast misses by in hours from which it has not learnt.

Only the training command imports this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import lightgbm
import numpy as np

from forecast.model.dataset import NEAR_HOURS, Examples
from forecast.model.features import HORIZON_HOURS, SingleArray
from forecast.model.linear import Linear
from forecast.model.network import QUANTILES
from forecast.model.tree_columns import joined, tree_columns
from forecast.model.trees import ALL_LEAVES, LEAVES, Trees

TREES = 150
"""240 err 0.1 % less than 120 over the first day and take twice the time (second half of 2022)."""

EDGES = 62  # per column
FIRST_HOURS = 8
LEADS_DRAWN = ((0, FIRST_HOURS, 2), (FIRST_HOURS, NEAR_HOURS, 4), (NEAR_HOURS, HORIZON_HOURS, 6))
"""For every few windows: from which lead, to which, and how many. The first hours are few and the most certain to be used."""

WINDOWS_PER_DRAW = 100

RECIPE: dict[str, Any] = {
    "objective": "quantile",
    "learning_rate": 0.08,
    "num_leaves": LEAVES - 1,
    "min_data_in_leaf": 400,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "lambda_l2": 50,
    "max_bin": EDGES + 1,
    "num_threads": 1,  # sums over several threads come out in another order each time
    "deterministic": True,
    "verbose": -1,
}


def train_trees(data: Iterable[tuple[Examples, Linear]], seed: int) -> tuple[Trees, ...]:
    """For each of the QUANTILES, trees that correct a linear forecast, the same for all zones.

    Each part of `data` comes with a linear forecast that has not learnt from it: on hours from which it has learnt, a forecast errs less
    than it will on new ones, and trees would make its bounds too narrow. The same data and seed give the same trees.
    """
    random = np.random.default_rng(seed)
    parts = [part for examples, linear in data for part in _draws(examples, linear, random)]
    columns, misses, weights = (np.concatenate(each) for each in zip(*parts, strict=True))
    rows = lightgbm.Dataset(columns, misses, weight=weights)
    return tuple(
        exported(lightgbm.train({**RECIPE, "alpha": quantile, "seed": seed}, rows, num_boost_round=TREES).dump_model())
        for quantile in QUANTILES
    )


def _draws(examples: Examples, linear: Linear, random: np.random.Generator) -> Iterator[tuple[SingleArray, SingleArray, SingleArray]]:
    """Columns, what the linear forecast misses by, and weights, for some leads of every window."""
    ahead = linear.forecast_each(examples.inputs, examples.zone_rows)
    for first in range(0, len(examples), WINDOWS_PER_DRAW):
        rows = slice(first, first + WINDOWS_PER_DRAW)
        leads = np.concatenate([start + random.choice(end - start, count, replace=False) for start, end, count in LEADS_DRAWN])
        weights = np.where(leads < NEAR_HOURS, examples.near_weight[rows, None], examples.far_weight[rows, None])
        misses = (examples.targets - ahead)[rows][:, leads]
        yield joined(tree_columns(examples.inputs[rows], ahead[rows], leads)), misses.ravel(), weights.ravel()


def exported(dumped: dict[str, Any]) -> Trees:
    """The trees of a LightGBM model, as `Booster.dump_model` describes it, in the form the daemon evaluates."""
    nodes: list[tuple[int, int, float, int]] = []
    leaves = np.zeros((len(dumped["tree_info"]), LEAVES), dtype=np.float32)
    for tree, info in enumerate(dumped["tree_info"]):
        _collect(info["tree_structure"], tree, 0, nodes, leaves[tree])
    edges = [sorted({edge for _, column, edge, _ in nodes if column == each}) for each in range(len(dumped["feature_names"]))]
    return Trees(
        tuple(np.array(each, dtype=np.float32) for each in edges),
        np.array([tree for tree, *_ in nodes], dtype=np.uint16),
        np.array([column for _, column, _, _ in nodes], dtype=np.uint8),
        np.array([edges[column].index(edge) for _, column, edge, _ in nodes], dtype=np.uint8),
        np.array([mask for *_, mask in nodes], dtype=np.uint32),
        leaves,
    )


def _collect(branch: dict[str, Any], tree: int, first_leaf: int, nodes: list[tuple[int, int, float, int]], leaves: SingleArray) -> int:
    """Note the branch's leaves, counted from `first_leaf`, and its nodes; the number of its leaves."""
    if "split_feature" not in branch:
        leaves[first_leaf] = branch["leaf_value"]
        return 1
    left = _collect(branch["left_child"], tree, first_leaf, nodes, leaves)
    right = _collect(branch["right_child"], tree, first_leaf + left, nodes, leaves)
    cleared = ((1 << left) - 1) << first_leaf
    nodes.append((tree, branch["split_feature"], float(branch["threshold"]), int(ALL_LEAVES) & ~cleared))
    return left + right
