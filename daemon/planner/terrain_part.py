"""A stretch of a long terrain, so that placing one job does not look at a whole year of cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from daemon.planner.terrain import Terrain


def part_of(terrain: Terrain, first: int, last: int) -> Terrain:
    """Cells [first, last) of the terrain behind one cell that stands for everything before; instants and sites stay the same.

    All but `edges` are views: what is written into the whole is seen in the part. Cell `first` is cell 1 of the part, and
    nothing may be placed before it. `first` is at least 1.
    """
    cells = slice(first - 1, last)
    edges = slice(first - 1, last + 1)
    return replace(
        terrain,
        first_edge=float(terrain.edges[first]),
        count=last - first + 1,
        edges=np.concatenate((terrain.edges[:1], terrain.edges[first : last + 1])),
        rate=terrain.rate[:, cells],
        spread=terrain.spread[:, cells],
        paid=terrain.paid[:, edges],
        spread_paid=terrain.spread_paid[:, edges],
        rung=terrain.rung[:, cells],
        free=terrain.free[:, cells],
    )
