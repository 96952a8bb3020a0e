"""The trained model, evaluated in plain numpy so that the daemon needs no learning library.

Two families forecast beside each other, and their weighted mean errs less than either; the weights are learnt from the zone's recent past
(`forecast.model.calibration`).

The networks add two parts: a linear map from the whole record to all hours, and a small network that looks at one hour ahead at a time (the
same hour of the last days and weeks, its calendar, and a summary of the whole record made by an encoder). The second opinion is a linear
forecast for each local hour of day, to which the zone's own map (`forecast.model.local_map`) is added, corrected by boosted trees.

Known zones have small corrections of their own; any other zone goes without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import IO

import numpy as np

from forecast.model.features import DAY_HOURS, HORIZON_HOURS, WEEK_HOURS, SingleArray, by_lead
from forecast.model.linear import Linear
from forecast.model.tree_columns import tree_columns
from forecast.model.trees import Trees
from forecast.scoring import IntArray

QUANTILES = (0.1, 0.5, 0.9)
BUNDLED_FILE = "model.npz"
WARM_HOURS = 240
"""Known hours of the four weeks from which the networks for longer records know better than those for short ones."""

BATCH = 512
"""Windows evaluated at a time: a hidden layer of one batch (14 MB) stays small beside the daemon."""

TINY = 1e-6  # in scaled units; keeps a day without any spread from dividing by zero

_LEADS = np.arange(HORIZON_HOURS)

NEWEST_DAY_SHARES = np.interp(_LEADS, (0, 24, 48), (0.3, 0.45, 0.9)).astype(np.float32)
"""How far a forecast from a single day of record is drawn to that day again, by hour ahead, where the day ends as it began: such a grid
repeats itself, whatever others do. Where the newest hour lies one spread of the day from the one 23 h before, the share is e times less.

Zones left out of the training (two folds of nine, second half of 2022) err less by it: 0.8 and 1.4 % on the first day, 1.3 and 3.8 % on the
later ones, the worst of them 3 and 7 % on the first."""


@dataclass(frozen=True, slots=True)
class Member:
    """One trained network: its weights by name, in single precision. Row 0 of a zone table serves any zone not in it."""

    weights: Mapping[str, SingleArray]

    def quantiles(self, inputs: SingleArray, aligned: SingleArray, zone_row: int) -> SingleArray:
        """(windows, leads, 3) in scaled units, not yet in order; `aligned` is `by_lead` of the inputs for every hour ahead."""
        weights = self.weights
        summary = _relu(_linear(weights, "encoder_in", inputs) + weights["zone_encoder"][zone_row])
        summary = _relu(_linear(weights, "encoder_out", summary))
        context = _linear(weights, "context", summary) + weights["zone_context"][zone_row]
        hidden = _relu(_linear(weights, "lead_in", aligned) + weights["lead_bias"] + context[:, None, :])
        hidden = _relu(_linear(weights, "lead_hidden", hidden))
        output = _linear(weights, "lead_out", hidden) + _linear(weights, "lead_skip", aligned)
        per_lead = np.matmul(hidden.transpose(1, 0, 2), weights["lead_correction"]).transpose(1, 0, 2)
        linear = _linear(weights, "skip", inputs)
        total: SingleArray = output + per_lead + linear[:, :, None] + weights["zone_lead"][zone_row].reshape(HORIZON_HOURS, -1)
        return total


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """Speaks of longer records only: a linear forecast, corrected by trees, by as many for each of the QUANTILES."""

    linear: Linear
    trees: tuple[Trees, ...]

    def quantiles(self, inputs: SingleArray, zone_row: int, added: SingleArray) -> SingleArray:
        """(windows, 3, HORIZON_HOURS) in scaled units, in order; `added` is what the zone's own record adds to the linear forecast."""
        ahead = self.linear.forecast(inputs, zone_row) + added
        columns = tree_columns(inputs, ahead, _LEADS)
        said = np.stack([ahead + trees.sums(columns) for trees in self.trees], axis=1)
        said.sort(axis=1)
        return said


@dataclass(frozen=True, slots=True)
class Network:
    """The whole model: networks, second opinion, and the zones that have corrections.

    `members` are networks trained from different beginnings, whose mean counts; `cold` ones of the same kind serve short records.
    """

    members: tuple[Member, ...]
    cold: tuple[Member, ...]
    second: SecondOpinion
    zones: tuple[str, ...]

    def row(self, zone: str) -> int:
        """Where the tables of corrections hold `zone`, 0 for a zone not known."""
        return self.zones.index(zone) + 1 if zone in self.zones else 0

    def opinions(self, inputs: SingleArray, known_hours: IntArray, zone: str, added: SingleArray) -> SingleArray:
        """(windows, 2, 3, HORIZON_HOURS) in scaled units: the QUANTILES of the networks and those of the second opinion, in order.

        Of windows with less than WARM_HOURS of `known_hours` there is no second opinion; the first stands in its place. `added` (windows,
        HORIZON_HOURS) is what the zone's own record adds to the linear forecast.
        """
        row, short = self.row(zone), known_hours < WARM_HOURS
        result = np.empty((len(inputs), 2, len(QUANTILES), HORIZON_HOURS), dtype=np.float32)
        for rows in _batches(np.flatnonzero(short)):
            drawn = _drawn_to_newest_day(_means(self.cold, inputs[rows], row), inputs[rows], known_hours[rows])
            result[rows] = drawn[:, None]
        for rows in _batches(np.flatnonzero(~short)):
            result[rows, 0] = _means(self.members, inputs[rows], row)
            result[rows, 1] = self.second.quantiles(inputs[rows], row, added[rows])
        return result

    @staticmethod
    @cache
    def bundled() -> Network:
        """The network that comes with Lowtide."""
        with files("forecast.model").joinpath(BUNDLED_FILE).open("rb") as file:
            return load(file)


def _batches(rows: IntArray) -> list[IntArray]:
    return [rows[first : first + BATCH] for first in range(0, len(rows), BATCH)]


def _means(members: tuple[Member, ...], inputs: SingleArray, zone_row: int) -> SingleArray:
    """The mean quantiles of `members` in order: (windows, 3, HORIZON_HOURS)."""
    aligned = by_lead(inputs, _LEADS)
    mean = np.mean([member.quantiles(inputs, aligned, zone_row) for member in members], axis=0)
    ordered: SingleArray = np.sort(mean, axis=2).transpose(0, 2, 1)
    return ordered


def _drawn_to_newest_day(quantiles: SingleArray, inputs: SingleArray, known_hours: IntArray) -> SingleArray:
    """The quantiles (windows, 3, HORIZON_HOURS) moved towards the newest day, less so where more than that day is known."""
    day = inputs[:, WEEK_HOURS - DAY_HOURS : WEEK_HOURS]
    unlike = np.abs(day[:, -1] - day[:, 0]) / np.maximum(day.std(axis=1), TINY)
    trust = np.exp(-unlike) * DAY_HOURS / np.maximum(known_hours, DAY_HOURS)
    again = day[:, _LEADS % DAY_HOURS]
    moved: SingleArray = quantiles + (trust[:, None] * NEWEST_DAY_SHARES * (again - quantiles[:, 1]))[:, None, :]
    return moved


def _linear(weights: Mapping[str, SingleArray], name: str, inputs: SingleArray) -> SingleArray:
    output: SingleArray = inputs @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return output


def _relu(values: SingleArray) -> SingleArray:
    return np.maximum(values, 0, out=values)


def load(file: IO[bytes]) -> Network:
    """A network as `save` wrote it. Raises ValueError on a file that is not one."""
    with np.load(file, allow_pickle=False) as archive:
        if not {"zones", "members", "cold", "trees/0/leaves"} <= set(archive):
            raise ValueError("this file holds no Lowtide model: train one with `python -m forecast.model.train`")
        zones = tuple(str(zone) for zone in archive["zones"])
        members, cold = (
            tuple(Member(_group(archive, f"{name}/{index}/")) for index in range(int(archive[name]))) for name in ("members", "cold")
        )
        trees = tuple(Trees.unpacked(_group(archive, f"trees/{index}/")) for index in range(len(QUANTILES)))
        second = SecondOpinion(Linear(**_group(archive, "linear/")), trees)
    return Network(members, cold, second, zones)


def _group(archive: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with `prefix`; those written in half precision come back in single."""
    arrays = {key.removeprefix(prefix): archive[key] for key in archive if key.startswith(prefix)}
    return {key: array.astype(np.float32) if array.dtype == np.float16 else array for key, array in arrays.items()}


def save(file: IO[bytes], network: Network) -> None:
    """Write the network, its weights in half precision."""
    linear = network.second.linear
    groups: dict[str, Mapping[str, np.ndarray]] = {
        "linear/": {"maps": linear.maps, "zone_maps": linear.zone_maps, "directions": linear.directions},
        **{f"members/{index}/": member.weights for index, member in enumerate(network.members)},
        **{f"cold/{index}/": member.weights for index, member in enumerate(network.cold)},
    }
    arrays: dict[str, np.ndarray] = {"zones": np.array(network.zones)}
    arrays |= {"members": np.array(len(network.members)), "cold": np.array(len(network.cold))}
    arrays |= {f"{prefix}{name}": weight.astype(np.float16) for prefix, group in groups.items() for name, weight in group.items()}
    for index, trees in enumerate(network.second.trees):
        arrays |= {f"trees/{index}/{name}": array for name, array in trees.packed().items()}
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # the stub takes the names of arrays for its own options
