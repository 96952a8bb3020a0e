"""Which cells of lanes are worth their cost at a price for the whole job, and the price at which the lanes do just enough of it.

Many prices and lanes are looked at together: one pass over the cells, each step an array operation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forecast.intensity import FloatArray

BoolArray = NDArray[np.bool_]

PRICES = 65  # looked at together, so two rounds tell prices apart by a four-thousandth of their range; a round costs by its cells
ROUNDS = 2
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
        rounds = 0
        while rounds < ROUNDS:
            prices = np.linspace(low, high, PRICES)
            used = self.used(prices)
            enough = np.flatnonzero(self._done(used) >= full)
            if enough.size == 0 and high < DEAREST * (dearest + 1.0):
                high *= 8
                continue
            if enough.size == 0:
                return None
            least = int(enough[0])
            if least == 0:  # work that costs nothing is done for nothing
                return np.zeros_like(used[:, 0]), used[:, 0]
            low, high, rounds = float(prices[least - 1]), float(prices[least]), rounds + 1
        return used[:, least - 1], used[:, least]

    def used(self, prices: FloatArray) -> BoolArray:
        """[cell, price, kind]: the cells that minimise cost - price x work done, every start paid: a two-state shortest path.

        `lead` is the cost of working minus the cost of standing still after a cell; a start costs `toll`, a stop nothing.
        """
        price = prices[None, :, None]
        gain = (self._unit_g[:, None, :] - price) * self._share[:, None, :]
        gain[np.broadcast_to((self._share <= 0)[:, None, :], gain.shape)] = np.inf
        toll = self._fresh_g[:, None, :] + price * self._start_share
        leads = np.empty((len(gain) + 1, *gain.shape[1:]))
        leads[0] = np.where(self._is_running, 0.0, toll[0])
        nothing = np.zeros_like(leads[0])
        for lead, after, start, gained in zip(leads, leads[1:], toll, gain, strict=False):
            np.minimum(lead, start, out=after)
            np.maximum(after, nothing, out=after)
            np.add(after, gained, out=after)
        goes_on, begins = leads[:-1] <= toll, leads < 0.0
        used = np.empty(begins.shape, dtype=np.bool_)  # one cell later than the cells they speak of
        used[-1] = begins[-1]
        for working, before, on, fresh in zip(used[:0:-1], used[-2::-1], goes_on[::-1], begins[-2::-1], strict=True):
            np.logical_and(working, on, out=before)
            np.logical_or(before, fresh, out=before)
        return used[1:]

    def _done(self, used: BoolArray) -> FloatArray:
        """By price: the share of the job that all lanes do."""
        starts = (used[0] & ~self._is_running) + (used[1:] & ~used[:-1]).sum(axis=0)
        work = np.einsum("cpk,ck->pk", used, self._share) - starts * self._start_share
        done: FloatArray = work @ self._counts
        return done
