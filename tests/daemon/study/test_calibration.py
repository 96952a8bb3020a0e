"""The line through the paper's energies: exact where the points are, honest where they are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.study.calibration import Line, Point, fit
from daemon.study.study import Study

positive = st.floats(min_value=1e-3, max_value=1e3)


@given(overhead=positive, picojoules_per_flop=positive, gflops=st.lists(positive, min_size=3, max_size=6, unique_by=lambda x: round(x, 2)))
def test_points_on_a_line_give_that_line(overhead: float, picojoules_per_flop: float, gflops: list[float]) -> None:
    true = Line(overhead, picojoules_per_flop * 1e-12)
    points = [Point(each * 1e9, true.joules(each * 1e9)) for each in gflops]
    found = fit(points)
    for point in points:
        assert found.joules(point.flops) == pytest.approx(point.joules, rel=1e-5)


def test_neither_overhead_nor_price_of_a_flop_becomes_negative() -> None:
    assert fit([Point(1e9, 1.0), Point(2e9, 4.0), Point(3e9, 9.0)]).overhead_joules == 0.0
    falling = fit([Point(1e9, 9.0), Point(2e9, 4.0), Point(3e9, 1.0)])
    assert falling.joules_per_flop == 0.0
    assert 1.0 < falling.overhead_joules < 9.0


@given(nudge=st.floats(min_value=-0.05, max_value=0.05))
def test_no_other_line_has_a_smaller_relative_error(nudge: float) -> None:
    points = [Point(1.3e11, 3.5), Point(1.1e12, 16.8), Point(4.2e11, 5.5), Point(2.6e13, 335.0)]

    def error(line: Line) -> float:
        return sum((line.joules(point.flops) / point.joules - 1) ** 2 for point in points)

    best = fit(points)
    assert error(best) <= error(Line(best.overhead_joules * (1 + nudge), best.joules_per_flop)) + 1e-12
    assert error(best) <= error(Line(best.overhead_joules, best.joules_per_flop * (1 + nudge))) + 1e-12


def test_the_published_energies_give_the_known_coefficients_and_residuals(a100_study: Study) -> None:
    made = a100_study.calibration
    assert made.synthesis.overhead_joules == pytest.approx(1.58, abs=0.01)
    assert made.synthesis.gflop_per_joule == pytest.approx(83, abs=0.5)
    assert made.training.overhead_joules == pytest.approx(25.3, abs=0.1)
    assert made.training.gflop_per_joule == pytest.approx(144, abs=1)
    percent = [round(100 * each.in_sample) for each in made.residuals]
    assert percent == [14, -1, -25, 4, -11, -12, 20, -5]


def test_leaving_an_energy_out_never_makes_its_residual_smaller(a100_study: Study) -> None:
    for each in a100_study.calibration.residuals:
        assert abs(each.left_out) >= abs(each.in_sample)


def test_the_bundled_profile_is_the_line_and_another_hardware_is_not(a100_study: Study, cpu_study: Study) -> None:
    for each in a100_study.calibration.residuals:
        assert each.profile == pytest.approx(each.in_sample, abs=0.01)
    assert all(abs(each.profile) > 1 for each in cpu_study.calibration.residuals if each.phase == "synthesis")
