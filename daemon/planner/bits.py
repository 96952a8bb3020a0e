"""Free GPUs of one site as bit planes: a change over a span of cells and a test of a span cost a few integer operations.

Plane p holds, in bit c, binary digit p of the number of GPUs free in cell c. Python's integers are then vectors of cells
that are added, subtracted and compared digit by digit, in well under a microsecond for a week of hours.
"""

from __future__ import annotations

from daemon.domain.plan import IntArray


def span(low: int, high: int) -> int:
    """The cells [low, high) as a bit mask."""
    return (1 << high) - (1 << low)


class BitShelf:
    """Free GPUs per cell of one site. Counts never fall below zero: the caller tests before it takes."""

    def __init__(self, free: IntArray, most_ever: int) -> None:
        """`most_ever` is the most that can be asked for in all: a site with more than that always has room."""
        clipped = [min(max(int(count), 0), most_ever) for count in free]
        self._full = span(0, len(clipped))
        self._planes = [
            sum(1 << cell for cell, count in enumerate(clipped) if count >> digit & 1) for digit in range(max(clipped).bit_length())
        ]

    def short_of(self, gpus: int) -> int:
        """The cells with fewer than `gpus` free."""
        if gpus >> len(self._planes):
            return self._full
        enough = self._full
        for plane in self._planes:
            enough = plane & enough if gpus & 1 else plane | enough
            gpus >>= 1
        return self._full ^ enough

    def take(self, gpus: int, cells: int) -> None:
        """Hold `gpus` in all of `cells`."""
        planes, digit = self._planes, 0
        while gpus:
            if gpus & 1:
                borrow, at = cells, digit
                while borrow:
                    planes[at] ^= borrow
                    borrow &= planes[at]
                    at += 1
            gpus >>= 1
            digit += 1

    def give(self, gpus: int, cells: int) -> None:
        """Free `gpus` in all of `cells`."""
        planes, digit = self._planes, 0
        while gpus:
            if gpus & 1:
                carry, at = cells, digit
                while carry:
                    before = planes[at]
                    planes[at] = before ^ carry
                    carry &= before
                    at += 1
            gpus >>= 1
            digit += 1
