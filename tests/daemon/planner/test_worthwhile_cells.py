"""Cells worth their cost at a price: nothing else is cheaper, more is paid for more, and the bracket is as tight as it says."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.domain.plan import Mode
from daemon.planner import plan
from daemon.planner.worthwhile_cells import PRICES, ROUNDS, Worth
from tests.daemon.planner.builders import BARE, job, placed, snapshot, start_hour

CELLS = 7
FULL = 1.0 - 1e-9


@st.composite
def worths(draw: st.DrawFn) -> tuple[Worth, dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]]:
    """One or two kinds of lanes over a few cells, some closed, some where the job runs already."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = draw(st.integers(1, 2))
    share = np.where(random.random((CELLS, kinds)) < 0.2, 0.0, random.uniform(0.1, 0.5, (CELLS, kinds)))
    facts = {
        "unit_g": random.uniform(1, 500, (CELLS, kinds)),
        "share": share,
        "fresh_g": random.uniform(0, 30, (CELLS, kinds)) * draw(st.sampled_from([0.0, 1.0])),
        "start_share": random.uniform(0, 0.05, kinds),
        "is_running": random.random(kinds) < 0.3,
    }
    return Worth(**facts, counts=[draw(st.integers(1, 3)) for _ in range(kinds)]), facts


def cost(mask: tuple[bool, ...], kind: int, price: float, facts: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]) -> float:
    """Cost - price x work of using these cells, worked out one after the other."""
    total, working = 0.0, bool(facts["is_running"][kind])
    for cell, is_used in enumerate(mask):
        if is_used and facts["share"][cell, kind] <= 0:
            return float("inf")
        if is_used:
            total += 0.0 if working else facts["fresh_g"][cell, kind] + price * facts["start_share"][kind]
            total += (facts["unit_g"][cell, kind] - price) * facts["share"][cell, kind]
        working = is_used
    return total


@given(worths(), st.floats(0, 1500))
def test_no_other_choice_of_cells_costs_less_at_the_price(
    case: tuple[Worth, dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]], price: float
) -> None:
    worth, facts = case
    used = worth.used(np.array([0.0, price]))
    for kind in range(used.shape[2]):
        best = min(cost(mask, kind, price, facts) for mask in product((False, True), repeat=CELLS))
        assert cost(tuple(used[:, 1, kind].tolist()), kind, price, facts) == pytest.approx(best, abs=1e-6)


@given(worths())
def test_the_bracket_does_less_than_the_job_and_then_all_of_it(
    case: tuple[Worth, dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]],
) -> None:
    worth, _ = case
    found = worth.bracket(FULL)
    if found is None:
        assert worth._done(worth.used(np.array([1e7])))[0] < FULL
        return
    too_little, enough = (worth._done(used[:, None, :])[0] for used in found)
    assert too_little < FULL <= enough


def test_prices_are_told_apart_finely_enough() -> None:
    assert (PRICES - 1) ** ROUNDS > 4_000


def test_lanes_side_by_side_share_equal_hours_without_a_surplus_to_trim() -> None:
    """Eight idle GPUs and one clean hour of four: the work of three hours takes three lanes, not eight short ones."""
    wide = job(hours=3, deadline_hours=20, mode=Mode.DIVISIBLE, max_width=8, startup_seconds=120, startup_kwh=1 / 30)
    answer = placed(plan(snapshot([wide], {"DE": [400.0] * 4 + [40.0] + [400.0] * 19}, gpus=8), BARE))
    assert start_hour(answer) >= 4
    assert len(answer.segments) == 4  # three hours and the start-ups do not quite fit into three


def test_a_crowd_of_wide_jobs_emits_no_more_than_the_same_jobs_one_piece_at_a_time() -> None:
    random = np.random.default_rng(5)
    hours = (300 + 250 * np.sin(np.arange(72) / 24 * 2 * np.pi) + random.uniform(0, 40, 72)).tolist()
    totals = [
        plan(
            snapshot(
                [job(f"j{n}", 2 + n, 60, mode=Mode.DIVISIBLE, max_width=width, startup_seconds=60, startup_kwh=1 / 60) for n in range(8)],
                {"DE": hours},
                gpus=3,
            ),
            BARE,
        ).cost_g
        for width in (1, 3)
    ]
    assert totals[1] <= totals[0] * (1 + 1e-9)
