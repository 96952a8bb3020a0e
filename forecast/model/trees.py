"""Boosted regression trees evaluated in plain numpy, many rows and trees at once, so that the daemon needs no learning library.

Each tree keeps, per row, the leaves that may still be reached as bits of one number. A column of the row clears the leaves it
rules out, by a table that its value looks up; the lowest bit left is the leaf (Lucchese et al., QuickScorer, SIGIR 2015).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from forecast.model.features import SingleArray

BitArray = NDArray[np.uint32]
ByteArray = NDArray[np.uint8]

LEAVES = 32
"""At most, per tree: the bits of one number."""

ALL_LEAVES = np.uint32(0xFFFFFFFF)

ROWS_AT_ONCE = 1024
"""Enough to be worth a call, few enough that the bits of all trees stay in the processor's cache."""

_WHOLE = ("node_tree", "node_column", "node_edge", "node_mask", "leaves")


class _Table(NamedTuple):
    """`left` (trees, edges + 1): the leaves left in each of `trees` by the number of edges of `column` that a value lies above."""

    column: int
    trees: NDArray[np.intp]
    left: BitArray


@dataclass(frozen=True, slots=True)
class Trees:
    """`edges` per column, ascending: a node asks whether a value lies above edge number `node_edge` of column `node_column`, and
    if so clears the leaves missing in `node_mask`. `leaves` (trees, LEAVES) are counted from the side of small values."""

    edges: tuple[SingleArray, ...]
    node_tree: NDArray[np.uint16]
    node_column: ByteArray
    node_edge: ByteArray
    node_mask: BitArray
    leaves: SingleArray
    _tables: tuple[_Table, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        columns = np.unique(self.node_column).tolist()
        object.__setattr__(self, "_tables", tuple(self._table_of(column) for column in columns))

    @staticmethod
    def unpacked(arrays: Mapping[str, np.ndarray]) -> Trees:
        """The trees that `packed` took apart."""
        ends = np.cumsum(arrays["edge_counts"])[:-1]
        return Trees(tuple(np.split(arrays["edges"], ends)), *(arrays[name] for name in _WHOLE))

    def packed(self) -> dict[str, np.ndarray]:
        """As arrays of fixed shape, for a file."""
        counts = np.array([len(edges) for edges in self.edges])
        return {"edges": np.concatenate(self.edges), "edge_counts": counts, **{name: getattr(self, name) for name in _WHOLE}}

    def _table_of(self, column: int) -> _Table:
        """The leaves left by the number of edges of `column` that a value lies above, in every tree that asks about it."""
        nodes = np.flatnonzero(self.node_column == column)
        trees = np.unique(self.node_tree[nodes])
        left = np.full((len(trees), len(self.edges[column]) + 1), ALL_LEAVES)
        for node, row in zip(nodes, np.searchsorted(trees, self.node_tree[nodes]), strict=True):
            left[row, int(self.node_edge[node]) + 1 :] &= self.node_mask[node]
        return _Table(column, trees.astype(np.intp), left)

    def sums(self, columns: Sequence[SingleArray]) -> SingleArray:
        """The sum over all trees: (windows, hours). Each of `columns` is (windows, hours), or (windows, 1) where it says the same of all
        hours of a window; such a column is looked up once."""
        windows, hours = np.broadcast_shapes(*(column.shape for column in columns))
        total = np.empty((windows, hours), dtype=np.float32)
        once = [table for table in self._tables if columns[table.column].shape[1] < hours]
        hourly = [table for table in self._tables if columns[table.column].shape[1] == hours]
        first_leaf = LEAVES * np.arange(len(self.leaves), dtype=np.int32)[:, None]
        at_once = max(1, ROWS_AT_ONCE // hours)
        for first in range(0, windows, at_once):
            some = [column[first : first + at_once] for column in columns]
            left = np.full((len(self.leaves), len(some[0])), ALL_LEAVES)
            self._clear(left, once, some)
            left = np.repeat(left, hours, axis=1)
            self._clear(left, hourly, some)
            total[first : first + at_once] = self.leaves.take(first_leaf + _lowest_bit(left)).sum(axis=0).reshape(-1, hours)
        return total

    def _clear(self, left: BitArray, tables: Sequence[_Table], columns: Sequence[SingleArray]) -> None:
        """Rule out, of the leaves `left` (trees, rows), what the values in the columns of `tables` rule out."""
        for column, trees, table in tables:
            passed = np.searchsorted(self.edges[column], columns[column].ravel(), side="left")
            left[trees] &= table.take(passed, axis=1, mode="clip")  # never clips, but spares a check


def _lowest_bit(bits: BitArray) -> NDArray[np.int32]:
    """The number of the lowest bit that is set, read from the exponent of that bit alone as a number."""
    lowest = np.bitwise_and(bits, ~bits + np.uint32(1))
    exponent: NDArray[np.int32] = (lowest.astype(np.float32).view(np.int32) >> 23) - 127
    return exponent
