"""Other ways to compute: what a profile tells about them, and estimates that say what it does not tell."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import pytest

from jobs.energy.comparisons import Effects, plain, without_comparisons
from jobs.energy.configuration import Configuration, Option, training_configuration
from jobs.energy.fitting import fit_coefficients
from jobs.energy.grids import comparison_grid, standard_grid
from jobs.energy.hardware import MeasuredStep
from jobs.energy.model import EnergyModel, OriginKind
from jobs.energy.workbench import Workbench
from jobs.spec import ModelSpec
from tests.jobs.energy.builders import TINY_2D, observed, profile, synthesis, training

SMALLEST = ModelSpec(dimensions=2, size="tiny", image_shape=(16, 16))
PLAIN = training_configuration(training(), "train")


def measured(configuration: Configuration, seconds: float, joules: float | None = None) -> MeasuredStep:
    return MeasuredStep(configuration=configuration, seconds=seconds, joules=joules, spread=0.01, steps=10)


def with_effect_of(option: Option, seconds: float, joules: float) -> EnergyModel:
    """A model of a machine on which one configuration was measured plainly and with that option."""
    steps = (measured(PLAIN, 1.0, 100.0), measured(replace(PLAIN, options=(option,)), seconds, joules))
    return EnergyModel(profile(measured=steps))


def test_a_measured_effect_carries_over_to_other_sizes() -> None:
    model = with_effect_of("channels-last", seconds=0.8, joules=90.0)
    other = replace(PLAIN, batch_size=16)
    before, after = model.cost(other), model.cost(replace(other, options=("channels-last",)))

    assert after.seconds == pytest.approx(0.8 * before.seconds)
    assert after.joules == pytest.approx(0.9 * before.joules)
    assert before.sigma < after.sigma < math.hypot(before.sigma, 0.2)
    assert after.unmeasured == ()


def test_bfloat16_is_told_by_its_measured_twin_though_no_coefficients_are_of_it() -> None:
    steps = (measured(PLAIN, 1.0), measured(replace(PLAIN, precision="bfloat16"), 0.5))
    model = EnergyModel(profile(measured=steps))
    other = replace(PLAIN, batch_size=16)

    assert model.knows("bfloat16")
    assert model.cost(replace(other, precision="bfloat16")).seconds == pytest.approx(0.5 * model.cost(other).seconds)


def test_a_profiled_configuration_computed_another_way_starts_from_its_measurement() -> None:
    model = with_effect_of("compile", seconds=0.5, joules=50.0)
    both = model.cost(replace(PLAIN, options=("compile", "flash-attention")))

    assert both.seconds == pytest.approx(0.5)
    assert both.joules == pytest.approx(50.0)
    assert both.kind is OriginKind.COEFFICIENTS, "this very configuration was not measured"
    assert both.unmeasured == ("flash-attention",)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"compile": True}, "what compile would change was not measured"),
        ({"channels_last": True, "precision": "bfloat16"}, "what bfloat16 and channels-last would change was not measured"),
        ({"flash_attention": True, "backend": "monai"}, "what flash-attention would change was not measured"),
    ],
    ids=str,
)
def test_an_estimate_says_which_settings_were_not_measured_and_is_wider_for_it(setting: dict[str, Any], words: str) -> None:
    model = EnergyModel(profile())
    for before, after in ((training(), training(**setting)), (synthesis(), synthesis(**setting))):
        usual, unsure = model.estimate(before), model.estimate(after)

        assert "not measured" not in usual.origin
        assert f"{words}, so the interval is wider" in unsure.origin
        assert unsure.energy_kwh.high / unsure.energy_kwh.mid > 1.2 * usual.energy_kwh.high / usual.energy_kwh.mid


def test_threads_that_were_not_measured_are_told_on_a_processor() -> None:
    model = EnergyModel(profile(kind="cpu"))

    assert "what 4 threads would change was not measured" in model.estimate(training(threads=4)).origin


def test_runs_of_that_very_configuration_leave_nothing_unmeasured() -> None:
    configuration = training_configuration(training(compile=True), "train")
    model = EnergyModel(profile(), [observed(30.0, 0.3, configuration)] * 3)

    assert model.cost(configuration).unmeasured == ()
    assert model.cost(replace(configuration, batch_size=8)).unmeasured == ("compile",)


def test_steps_measured_another_way_beside_their_plain_twins_do_not_disturb_the_fit() -> None:
    steps = [measured(Configuration("train", TINY_2D, batch_size=size), 0.01 * size) for size in (1, 2, 4)]
    slow = [measured(replace(step.configuration, precision="bfloat16"), 100.0) for step in steps]

    assert fit_coefficients([*steps, *slow], "cpu") == fit_coefficients(steps, "cpu")
    assert without_comparisons(slow) == slow, "alone they are a profile in bfloat16"


def test_an_effect_seen_to_differ_between_sizes_is_less_sure() -> None:
    steps = []
    for size, seconds in ((1, 0.5), (4, 2.0)):
        twin = replace(PLAIN, batch_size=size)
        steps += [measured(twin, 1.0), measured(replace(twin, options=("compile",)), seconds)]
    effect = Effects(steps).of("train", 2, "compile")

    assert effect is not None
    assert effect.seconds == pytest.approx(1.0)
    assert effect.sigma == pytest.approx(math.log(2) * math.sqrt(2))


def test_a_measured_gradient_checkpointing_is_believed_rather_than_counted() -> None:
    other = replace(PLAIN, batch_size=16)
    recomputing = replace(other, options=("gradient-checkpointing",))
    counted, told = EnergyModel(profile()), with_effect_of("gradient-checkpointing", seconds=1.5, joules=140.0)

    assert told.cost(recomputing).seconds == pytest.approx(1.5 * told.cost(other).seconds)
    assert told.cost(recomputing).unmeasured == ()
    assert 1.0 < counted.cost(recomputing).seconds / counted.cost(other).seconds < 1.34


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_every_compared_configuration_has_its_plain_twin_in_the_grid(kind: Literal["cpu", "gpu"]) -> None:
    standard, compared = standard_grid(kind), comparison_grid(kind, bfloat16=True, compiled=True, tf32=True)

    assert {replace(plain(each), options=()) for each in compared} <= set(standard)
    assert {way for each in compared for way in (*each.options, each.precision)} == {
        "gradient-checkpointing",
        "channels-last",
        "flash-attention",
        "compile",
        "tf32",
        "bfloat16",
        "float32",
    }


def test_what_does_not_pay_is_left_out_of_the_grid() -> None:
    assert not any(each.precision == "bfloat16" or {"compile", "tf32"} & set(each.options) for each in comparison_grid("cpu"))


@pytest.mark.parametrize("option", ["gradient-checkpointing", "channels-last", "flash-attention"])
def test_each_way_to_compute_can_be_measured(option: Option) -> None:
    for work in {each.work for each in comparison_grid("cpu") if option in each.options}:
        Workbench(Configuration(work, SMALLEST, options=(option,))).step()
