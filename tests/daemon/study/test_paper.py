"""The paper's own numbers, and what follows from them: golden figures."""

from __future__ import annotations

import pytest

from daemon.domain.equivalents import EQUIVALENTS
from daemon.study import paper
from daemon.study.paper import Phase, published, repeats


@pytest.mark.parametrize(
    ("phase", "shape", "machine_kwh", "step_joules"),
    [
        ("training", (192, 192), 1.03, 24.7),
        ("training", (512, 512), 2.03, 48.7),
        ("training", (64, 64, 64), 1.90, 45.6),
        ("training", (256, 256, 192), 23.1, 555),
        ("synthesis", (192, 192), 9.84, 3.54),
        ("synthesis", (512, 512), 46.8, 16.8),
        ("synthesis", (64, 64, 64), 15.3, 5.51),
        ("synthesis", (256, 256, 192), 931, 335),
    ],
)
def test_energies_behind_the_printed_emissions(phase: Phase, shape: tuple[int, ...], machine_kwh: float, step_joules: float) -> None:
    run = published(phase, shape)
    assert run is not None
    assert run.machine_kwh == pytest.approx(machine_kwh, rel=5e-3)
    assert run.step_joules == pytest.approx(step_joules, rel=5e-3)


def test_energy_per_step_is_the_whole_runs_over_its_steps() -> None:
    for run in paper.RUNS:
        passes = repeats(run.phase) * (paper.INFERENCE_STEPS if run.phase == "synthesis" else 1)
        assert run.step_joules * passes / 3.6e6 * paper.PUE * paper.EU27 / 1000 == pytest.approx(run.kg)


def test_362_kg_are_3348_km_1500_km_of_flight_and_a_third_of_the_budget() -> None:
    grams = 362_300.0
    assert paper.kilometres(362.3) == pytest.approx(3348, abs=0.5)
    assert EQUIVALENTS[0].amount(grams) == pytest.approx(paper.kilometres(362.3))
    amounts = {item.name: item.amount(grams) for item in EQUIVALENTS}
    assert amounts["flying"] == pytest.approx(1500)
    assert amounts["a personal year within 1.5 degrees"] == pytest.approx(33.7, abs=0.05)
    assert paper.budget_kg() == pytest.approx(1075, abs=0.5)


def test_image_sizes_the_paper_prints_nothing_for_have_no_value() -> None:
    assert published("synthesis", (192, 192, 192)) is None


def test_the_great_circle_of_a_quarter_of_the_globe() -> None:
    assert paper.great_circle_km((0.0, 0.0), (0.0, 90.0)) == pytest.approx(6371 * 3.141592653589793 / 2)
    assert paper.great_circle_km((50.0, 8.0), (50.0, 8.0)) == 0.0
