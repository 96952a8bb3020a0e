"""Which cells of lanes are worth their cost at a price for the whole job, and the price at which the lanes do just enough of it.

Many prices and lanes are looked at together: one pass over the cells, each step an array operation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forecast.intensity import FloatArray

BoolArray = NDArray[np.bool_]

PRICES = 25  # looked at together; three rounds tell prices apart by less than a ten-thousandth of their range
ROUNDS = 3
DEAREST = 1e4  # times the dearest cell: whoever does not work for that price has no room


class Worth:
    """Kinds of lanes, [cell, kind] but where told otherwise; `counts`: how many lanes there are of each kind.

    `unit_g`: score of the whole job at the cell's rate; `share`: of the job that the open seconds of the cell do, 0 where
    closed; `fresh_g`: emissions of a start in the cell; `start_share`: of the job that a start's time would do, by kind.
    """

    def __init__(
        self,
        unit_g: FloatArray,
        share: FloatArray,
        fresh_g: FloatArray,
        start_share: FloatArray,
        is_running: BoolArray,
        counts: Sequence[int],
    ) -> None:
        self._unit_g, self._share, self._fresh_g = unit_g, share, fresh_g
        self._start_share, self._is_running, self._counts = start_share, is_running, np.asarray(counts)

    def bracket(self, full: float) -> tuple[BoolArray, BoolArray] | None:
        """The cells used at the greatest price found at which the lanes do less than `full` of the job, and at the least at which they
        do it. None where no price does.
        """
        dearest = float(self._unit_g.max())
        low, high = 0.0, 2.0 * dearest + float((self._fresh_g.max(axis=0) * self._counts).sum()) + 1.0
        while high < DEAREST * (dearest + 1.0) and self._done(self.used(np.array([high])))[0] < full:
            high *= 8
        for _ in range(ROUNDS):
            prices = np.linspace(low, high, PRICES)
            used = self.used(prices)
            enough = np.flatnonzero(self._done(used) >= full)
            if not enough.size:
                return None
            least = int(enough[0])
            if least == 0:  # work that costs nothing is done for nothing
                return np.zeros_like(used[:, 0]), used[:, 0]
            low, high = float(prices[least - 1]), float(prices[least])
        return used[:, least - 1], used[:, least]

    def used(self, prices: FloatArray) -> BoolArray:
        """[cell, price, kind]: the cells that minimise cost - price x work done, every start paid: a two-state shortest path.

        `lead` is the cost of working minus the cost of standing still after a cell; a start costs `toll`, a stop nothing.
        """
        price = prices[None, :, None]
        gain = (self._unit_g[:, None, :] - price) * self._share[:, None, :]
        gain[np.broadcast_to((self._share <= 0)[:, None, :], gain.shape)] = np.inf
        toll = self._fresh_g[:, None, :] + price * self._start_share
        leads = np.empty_like(gain)
        lead = np.where(self._is_running, 0.0, toll[0])
        for cell in range(len(gain)):
            leads[cell] = lead
            lead = np.maximum(np.minimum(lead, toll[cell]), 0.0) + gain[cell]
        goes_on, begins = leads <= toll, leads < 0.0
        used = np.empty(gain.shape, dtype=np.bool_)
        working = lead < 0.0
        for cell in range(len(gain) - 1, -1, -1):
            used[cell] = working
            working = begins[cell] | (working & goes_on[cell])
        return used

    def _done(self, used: BoolArray) -> FloatArray:
        """By price: the share of the job that all lanes do."""
        starts = (used[0] & ~self._is_running) + (used[1:] & ~used[:-1]).sum(axis=0)
        work = np.einsum("cpk,ck->pk", used, self._share) - starts * self._start_share
        done: FloatArray = work @ self._counts
        return done
