"""Boosted regression trees evaluated in plain numpy, all rows at once, so that the daemon needs no learning library.

Each tree keeps, per row, the leaves that may still be reached as bits of one number. A column of the row clears the leaves it
rules out, by a table that its value looks up; the lowest bit left is the leaf (Lucchese et al., QuickScorer, SIGIR 2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from forecast.model.features import SingleArray

BitArray = NDArray[np.uint32]
ByteArray = NDArray[np.uint8]

LEAVES = 32
"""At most, per tree: the bits of one number."""

ALL_LEAVES = np.uint32(0xFFFFFFFF)
_WHOLE = ("node_tree", "node_column", "node_edge", "node_mask", "leaves")


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
    _tables: list[list[tuple[int, BitArray]]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tables", [self._tables_of(tree) for tree in range(len(self.leaves))])

    @staticmethod
    def unpacked(arrays: Mapping[str, np.ndarray]) -> Trees:
        """The trees that `packed` took apart."""
        ends = np.cumsum(arrays["edge_counts"])[:-1]
        return Trees(tuple(np.split(arrays["edges"], ends)), *(arrays[name] for name in _WHOLE))

    def packed(self) -> dict[str, np.ndarray]:
        """As arrays of fixed shape, for a file."""
        counts = np.array([len(edges) for edges in self.edges])
        return {"edges": np.concatenate(self.edges), "edge_counts": counts, **{name: getattr(self, name) for name in _WHOLE}}

    def _tables_of(self, tree: int) -> list[tuple[int, BitArray]]:
        """For each column the tree asks about, the leaves left by the number of edges that a value lies above."""
        nodes = np.flatnonzero(self.node_tree == tree)
        tables = []
        for column in np.unique(self.node_column[nodes]):
            table = np.full(len(self.edges[column]) + 1, ALL_LEAVES)
            for node in nodes[self.node_column[nodes] == column]:
                table[int(self.node_edge[node]) + 1 :] &= self.node_mask[node]
            tables.append((int(column), table))
        return tables

    def sums(self, rows: SingleArray) -> SingleArray:
        """The sum over all trees for each of `rows` (n, columns)."""
        passed = [np.searchsorted(edges, rows[:, column], side="left") for column, edges in enumerate(self.edges)]
        total = np.zeros(len(rows), dtype=np.float32)
        left, kept = np.empty(len(rows), dtype=np.uint32), np.empty(len(rows), dtype=np.uint32)
        for tables, leaves in zip(self._tables, self.leaves, strict=True):
            left.fill(ALL_LEAVES)
            for column, table in tables:
                np.take(table, passed[column], mode="clip", out=kept)  # never clips, but spares a check and a copy
                left &= kept
            total += leaves[_lowest_bit(left)]
        return total


def _lowest_bit(bits: BitArray) -> NDArray[np.int32]:
    """The number of the lowest bit that is set."""
    lowest = bits & (~bits + np.uint32(1))
    exponent: NDArray[np.int32] = np.frexp(lowest.astype(np.float32))[1]
    return exponent - 1
