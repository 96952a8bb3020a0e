"""The trained network, evaluated in plain numpy so that the daemon needs no learning library.

Two roads lead to each hour ahead. A linear map takes the whole record to all hours. A small network looks at one hour at a
time: at the same hour of the last days and weeks, at the calendar of that hour, and at a summary of the whole record made by
an encoder. Known zones have small corrections of their own; any other zone goes without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import IO

import numpy as np

from forecast.model.features import HORIZON_HOURS, BoolArray, SingleArray, by_lead

QUANTILES = (0.1, 0.5, 0.9)
BUNDLED_FILE = "model.npz"
WARM_HOURS = 240
"""Known hours of the four weeks from which the networks for longer records know better than the one for short ones."""

BATCH = 512
"""Windows evaluated at a time: the hidden layer of one batch (27 MB) stays small beside the daemon."""

_LEADS = np.arange(HORIZON_HOURS)


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
class Network:
    """Members trained from different beginnings, whose mean counts, one `cold` member for short records, and the zones known."""

    members: tuple[Member, ...]
    cold: Member
    zones: tuple[str, ...]

    def quantiles(self, inputs: SingleArray, short: BoolArray, zone: str) -> SingleArray:
        """(windows, 3, HORIZON_HOURS): the 10 %, 50 % and 90 % quantiles in scaled units, in order.

        `short` marks the windows with less than WARM_HOURS known.
        """
        row = self.zones.index(zone) + 1 if zone in self.zones else 0
        result = np.empty((len(inputs), HORIZON_HOURS, len(QUANTILES)), dtype=np.float32)
        for chosen, members in ((np.flatnonzero(~short), self.members), (np.flatnonzero(short), (self.cold,))):
            for first in range(0, len(chosen), BATCH):
                rows = chosen[first : first + BATCH]
                aligned = by_lead(inputs[rows], _LEADS)
                result[rows] = np.mean([member.quantiles(inputs[rows], aligned, row) for member in members], axis=0)
        ordered: SingleArray = np.sort(result, axis=2).transpose(0, 2, 1)
        return ordered

    @staticmethod
    @cache
    def bundled() -> Network:
        """The network that comes with Lowtide."""
        with files("forecast.model").joinpath(BUNDLED_FILE).open("rb") as file:
            return load(file)


def _linear(weights: Mapping[str, SingleArray], name: str, inputs: SingleArray) -> SingleArray:
    output: SingleArray = inputs @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return output


def _relu(values: SingleArray) -> SingleArray:
    return np.maximum(values, 0, out=values)


def load(file: IO[bytes]) -> Network:
    """A network as `save` wrote it. Raises ValueError on a file that is not one."""
    with np.load(file, allow_pickle=False) as archive:
        if "zones" not in archive or "members" not in archive:
            raise ValueError("this file holds no Lowtide model: train one with `python -m forecast.model.train`")
        zones = tuple(str(zone) for zone in archive["zones"])
        members = [_member(archive, f"{index}/") for index in range(int(archive["members"]))]
    return Network(tuple(members[1:]), members[0], zones)


def _member(archive: Mapping[str, np.ndarray], prefix: str) -> Member:
    return Member({key.removeprefix(prefix): archive[key].astype(np.float32) for key in archive if key.startswith(prefix)})


def save(file: IO[bytes], network: Network) -> None:
    """Write the network, its weights in half precision."""
    members = (network.cold, *network.members)
    arrays: dict[str, np.ndarray] = {"zones": np.array(network.zones), "members": np.array(len(members))}
    for index, member in enumerate(members):
        arrays |= {f"{index}/{name}": weight.astype(np.float16) for name, weight in member.weights.items()}
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # the stub takes the names of arrays for its own options
