"""The figures of the study: what the paper says, and what must hold on any hardware."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from daemon.study.cases import Case, emission_of
from daemon.study.figures import Comparison
from daemon.study.study import Study
from jobs.energy.hardware import MeasuredStep, bundled_profiles
from jobs.energy.model import EnergyModel


@pytest.fixture(params=["a100_study", "cpu_study"])
def study(request: pytest.FixtureRequest) -> Study:
    made: Study = request.getfixturevalue(request.param)
    return made


def row(rows: Sequence[Comparison], phase: str, image: str) -> Comparison:
    return next(each for each in rows if (each.ours.phase, each.ours.image) == (phase, image))


def test_figure_1_has_every_size_in_both_phases_and_the_eight_printed_values(study: Study) -> None:
    assert len(study.image_sizes) == 16
    assert sum(each.paper_kg is not None for each in study.image_sizes) == 8
    assert [each.deviation is None for each in study.image_sizes] == [each.paper_kg is None for each in study.image_sizes]


def test_the_bundled_a100_meets_the_printed_emissions_within_the_calibration(a100_study: Study) -> None:
    found = [round(100 * each.deviation) for each in a100_study.image_sizes if each.deviation is not None]
    assert found == [14, -1, -25, 4, -11, -12, 20, -5]


def test_sizes_between_the_printed_ones_are_filled_in_by_the_model(a100_study: Study) -> None:
    filled = {
        ("synthesis", "256 x 256"): 4.8,
        ("synthesis", "320 x 320"): 6.8,
        ("synthesis", "128 x 128 x 128"): 47,
        ("synthesis", "192 x 192 x 192"): 174,
        ("training", "256 x 256"): 0.49,
        ("training", "320 x 320"): 0.54,
        ("training", "128 x 128 x 128"): 1.6,
        ("training", "192 x 192 x 192"): 4.9,
    }
    for (phase, image), kg in filled.items():
        assert row(a100_study.image_sizes, phase, image).kg == pytest.approx(kg, rel=0.015)


def test_grams_per_sample_are_the_runs_grams_over_its_samples(study: Study) -> None:
    for each in study.image_sizes:
        if each.ours.phase == "training":
            assert each.g_per_sample is None
        else:
            assert each.g_per_sample == pytest.approx(each.kg * 1000 / 10_000)


def test_equation_1_holds_for_every_row(study: Study) -> None:
    for each in study.image_sizes:
        assert each.kg == pytest.approx(each.ours.machine_kwh * 1.55 * 251 / 1000)
        assert each.sd_kg / each.kg == pytest.approx(each.ours.machine_sd_kwh / each.ours.machine_kwh)


def test_a_profile_with_measured_steps_gives_their_own_spread() -> None:
    case = Case("training", (256, 256))
    bundled = bundled_profiles()["a100-sxm4-40gb"]
    step = MeasuredStep(configuration=case.configuration(), seconds=0.1, joules=30.0, spread=0.25, steps=10)
    measured = emission_of(case, EnergyModel(bundled.model_copy(update={"measured": (step,)})))
    assert measured.is_measured
    assert measured.machine_kwh == pytest.approx(30.0 * 150_000 / 3.6e6)
    assert measured.machine_sd_kwh == pytest.approx(measured.machine_kwh * math.hypot(0.25, 0.06)), "the pace on top"
    assert measured.hours == pytest.approx(0.1 * 150_000 / 3600)
    assert not emission_of(case, EnergyModel(bundled)).is_measured


def test_200_of_1000_steps_save_80_percent(study: Study) -> None:
    saving = {each.inference_steps: each.saving for each in study.steps}
    assert saving[1000] == 0.0
    assert saving[200] == pytest.approx(0.80, abs=0.005)
    assert saving[50] == pytest.approx(0.95, abs=0.005)
    assert all(each.g_per_sample == pytest.approx(each.kg / 10) for each in study.steps), "of 10,000 samples, so kg per 1,000 are the same"


def test_regions_stand_by_the_rounded_direct_factors(study: Study) -> None:
    by_name = {each.name: each for each in study.regions}
    assert {name: each.direct_g_per_kwh for name, each in by_name.items()} == {
        "EU27": 251, "Sweden": 7, "Germany": 366, "Poland": 666, "China": 582, "USA": 390,
    }  # fmt: skip
    assert by_name["Poland"].synthesis_kg / by_name["Sweden"].synthesis_kg == pytest.approx(95.1, abs=0.05)
    assert by_name["Sweden"].lifecycle_g_per_kwh == pytest.approx(24.8)
    assert by_name["China"].lifecycle_g_per_kwh is None


def test_months_follow_the_bundled_german_year(study: Study) -> None:
    assert [each.month for each in study.months] == [f"2023-{month:02d}" for month in range(1, 13)]
    february, july = study.months[1], study.months[6]
    assert february.kg / july.kg == pytest.approx(517.50 / 322.18)


def test_larger_models_emit_more(study: Study) -> None:
    for each in study.model_sizes:
        assert each.kg[0] < each.kg[1] < each.kg[2]
        assert each.growth == pytest.approx(each.kg[2] / each.kg[0] - 1)


def test_synthesis_in_3d_grows_with_the_model_as_the_paper_says(a100_study: Study) -> None:
    growth = next(each for each in a100_study.model_sizes if (each.phase, each.image) == ("synthesis", "192 x 192 x 192"))
    assert growth.paper_growth[0] <= growth.growth <= growth.paper_growth[1]


def test_both_readings_of_four_gpus_see_the_same_images_in_a_quarter_of_the_time_or_more(study: Study) -> None:
    for each in study.distribution:
        assert each.gpus * each.batch_per_gpu * each.iterations == 150_000
    one, four, one_each, four_each = study.distribution
    assert four_each.kg == pytest.approx(one_each.kg)
    assert four_each.hours == pytest.approx(one_each.hours / 4)
    assert four.hours >= one.hours / 4
    assert four.kg >= one.kg  # every device pays the overhead of a step


def test_equivalents_cover_the_largest_images_with_factor_and_source(study: Study) -> None:
    assert {each.run for each in study.equivalents} == {
        "training, 512 x 512", "training, 256 x 256 x 192", "synthesis, 512 x 512", "synthesis, 256 x 256 x 192",
    }  # fmt: skip
    assert all(each.source and each.ours > 0 and each.paper is not None for each in study.equivalents)
    km = next(each for each in study.equivalents if each.run == "synthesis, 256 x 256 x 192" and each.unit == "km")
    assert km.paper == pytest.approx(3348, abs=0.5)


def test_four_bundled_a100s_need_no_significantly_other_energy_than_one_as_the_paper_finds(a100_study: Study) -> None:
    changes = [each.change for each in a100_study.distribution if each.gpus == 4]
    assert len(changes) == 2
    assert all(abs(change) < 0.1 for change in changes)


def test_the_bundled_a100_says_that_each_gpu_is_counted_with_a_host_and_what_a_shared_one_would_change() -> None:
    bundled = bundled_profiles()["a100-sxm4-40gb"]
    words = bundled.provenance["several GPUs"]
    shared = 4 * (bundled.tdp_watts - bundled.idle_watts) + bundled.idle_watts
    assert f"{shared:,.0f} W instead of {4 * bundled.tdp_watts:,.0f} W" in words
    assert 1 - shared / (4 * bundled.tdp_watts) == pytest.approx(1 / 5, abs=0.01), "a fifth less"
