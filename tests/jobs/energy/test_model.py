from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.energy.configuration import synthesis_configuration, training_configuration
from jobs.energy.flops import sample_flops
from jobs.energy.hardware import MeasuredStep, bundled_profiles
from jobs.energy.model import EnergyModel, Estimate, OriginKind, Part
from jobs.energy.prediction import IncompleteProfile
from jobs.spec import ModelSpec, SynthesisWorkload, TrainingWorkload
from tests.jobs.energy.builders import PAPER_3D, TINY_2D, TINY_3D, observed, profile, synthesis, training


def test_a_synthesis_costs_its_denoise_steps_and_its_decoding_for_every_micro_batch() -> None:
    estimate = EnergyModel(profile()).estimate(synthesis(samples=200, inference_steps=20, batch_size=4))
    denoise = 2.0 + 2e-10 * 4 * sample_flops(TINY_2D, "denoise")
    decode = 2.0 + 2e-10 * 4 * sample_flops(TINY_2D, "decode")

    assert estimate.energy_kwh.mid * 3.6e6 == pytest.approx(500 + 50 * (20 * denoise + decode))
    assert estimate.steps == 200
    assert estimate.step_joules == pytest.approx((20 * denoise + decode) / 4)


def test_a_training_costs_its_vqgan_steps_and_its_unet_steps() -> None:
    estimate = EnergyModel(profile()).estimate(training(iterations=400, autoencoder_iterations=100, batch_size=2))
    vqgan = 0.01 + 1e-12 * 2 * sample_flops(TINY_2D, "vqgan")
    unet = 0.01 + 1e-12 * 2 * sample_flops(TINY_2D, "train")

    assert estimate.duration_seconds.mid == pytest.approx(5 + 100 * vqgan + 400 * unet)
    assert estimate.steps == 500


def test_a_training_costs_encoding_its_images_once_and_validating_with_those_held_out() -> None:
    model = EnergyModel(profile())
    data = {"phantom": {"patients": 10}}
    files, phantoms, some_held_out = (
        model.estimate(training(batch_size=2, data=each)) for each in ({"path": "scans"}, data, data | {"validation_share": 0.3})
    )
    encode, denoise = (2.0 + 2e-10 * sample_flops(TINY_2D, operation) for operation in ("encode", "denoise"))

    assert (phantoms.energy_kwh.mid - files.energy_kwh.mid) * 3.6e6 == pytest.approx(10 * encode)
    assert (some_held_out.energy_kwh.mid - phantoms.energy_kwh.mid) * 3.6e6 == pytest.approx(3 * 10 * denoise)
    assert some_held_out.duration_seconds.mid > phantoms.duration_seconds.mid > files.duration_seconds.mid
    assert "preparing and encoding the images comes on top" in files.origin, "how many they are nobody knows yet, which is not zero"
    assert "on top" not in phantoms.origin


def test_one_gpu_of_four_encodes_and_validates_while_the_others_wait() -> None:
    model, data = EnergyModel(profile(idle_watts=50)), {"phantom": {"patients": 10}, "validation_share": 0.3}
    one, four = (parts_of(model.estimate(training(data=data), gpus=gpus)) for gpus in (1, 4))

    assert (one["data"], one["validation"]) == (four["data"], four["validation"])
    alone_seconds = four["data"].seconds + four["validation"].seconds
    assert four["waiting"].joules == pytest.approx(3 * 50 * alone_seconds)
    assert four["waiting"].seconds == 0, "they wait while another works"
    assert "waiting" not in one


def parts_of(estimate: Estimate) -> dict[str, Part]:
    return {part.name: part for part in estimate.parts}


WORKLOADS: st.SearchStrategy[TrainingWorkload | SynthesisWorkload] = st.one_of(
    st.builds(training, st.sampled_from([TINY_2D, TINY_3D, PAPER_3D]), iterations=st.integers(1, 10**6), batch_size=st.integers(1, 64)),
    st.builds(
        synthesis,
        st.sampled_from([TINY_2D, TINY_3D, PAPER_3D]),
        samples=st.integers(1, 10**6),
        inference_steps=st.integers(5, 1000),
        batch_size=st.integers(1, 64),
        sampler=st.sampled_from(["ddim", "pndm"]),
    ),
)


@given(workload=WORKLOADS, hardware=st.sampled_from(["generic-cpu", "a100-sxm4-40gb", "something-else"]), gpus=st.sampled_from([1, 2, 8]))
def test_every_estimate_adds_up_and_its_intervals_enclose_it(
    workload: TrainingWorkload | SynthesisWorkload, hardware: str, gpus: int
) -> None:
    bundled = bundled_profiles().get(hardware, profile())
    estimate = EnergyModel(bundled, hardware=hardware).estimate(workload, gpus)

    assert 0 < estimate.energy_kwh.low < estimate.energy_kwh.mid < estimate.energy_kwh.high
    assert 0 < estimate.duration_seconds.low < estimate.duration_seconds.mid < estimate.duration_seconds.high
    joules = estimate.startup_joules + estimate.steps * estimate.step_joules
    seconds = estimate.startup_seconds + estimate.steps * estimate.step_seconds
    assert estimate.energy_kwh.mid == pytest.approx(joules / 3.6e6)
    assert estimate.duration_seconds.mid == pytest.approx(seconds)
    assert estimate.power_watts == pytest.approx(joules / seconds)
    assert estimate.steps == workload.total_steps
    assert sum(part.joules for part in estimate.parts) == pytest.approx(joules)
    assert sum(part.seconds for part in estimate.parts) == pytest.approx(seconds)
    assert min(part.joules for part in estimate.parts) >= 0
    assert {"startup", "work", "checkpoints"} <= parts_of(estimate).keys()
    assert estimate.idle_joules is not None
    assert 0 < estimate.idle_joules <= joules * (1 + 1e-9)


@given(samples=st.integers(1, 500), more=st.integers(1, 500))
def test_more_samples_never_cost_less(samples: int, more: int) -> None:
    model = EnergyModel(profile())

    assert model.estimate(synthesis(samples=samples)).energy_kwh.mid <= model.estimate(synthesis(samples=samples + more)).energy_kwh.mid


def test_the_last_micro_batch_costs_as_much_as_a_full_one() -> None:
    model = EnergyModel(profile())

    assert model.estimate(synthesis(samples=1, batch_size=8)).energy_kwh == model.estimate(synthesis(samples=8, batch_size=8)).energy_kwh


def test_pndm_costs_its_extra_evaluations() -> None:
    assert synthesis_configuration(synthesis(sampler="pndm", inference_steps=50)).evaluations == 59
    assert synthesis_configuration(synthesis(sampler="ddim", inference_steps=50)).evaluations == 50


def test_two_gpus_take_half_the_time_for_the_same_samples() -> None:
    model = EnergyModel(profile())
    one, two = model.estimate(synthesis(samples=800)), model.estimate(synthesis(samples=800), gpus=2)

    assert two.step_seconds == pytest.approx(one.step_seconds / 2)
    assert two.step_joules == pytest.approx(one.step_joules)
    assert two.startup_joules == 2 * one.startup_joules


def test_gpus_that_share_each_training_batch_pay_the_overhead_of_a_step_each() -> None:
    model = EnergyModel(profile())
    one, four = model.estimate(training(batch_size=4)), model.estimate(training(batch_size=4), gpus=4)

    assert four.step_seconds < one.step_seconds
    assert four.step_joules == pytest.approx(one.step_joules + 3 * 2.0)


def test_gpus_with_a_batch_each_take_as_long_as_one_and_twice_the_energy() -> None:
    model = EnergyModel(profile())
    one = model.estimate(training(batch_size=4))
    two = model.estimate(training(batch_size=4, batch_size_per="device"), gpus=2)

    assert two.step_seconds == pytest.approx(one.step_seconds)
    assert two.step_joules == pytest.approx(2 * one.step_joules)


def test_gradient_checkpointing_costs_its_recomputation_and_the_moving_average_nothing() -> None:
    model = EnergyModel(profile())
    plain, recomputing = (
        model.cost(training_configuration(training(gradient_checkpointing=on, ema_decay=0.99), "train")) for on in (False, True)
    )
    more = sample_flops(TINY_2D, "train", gradient_checkpointing=True) - sample_flops(TINY_2D, "train")

    assert more > 0
    assert recomputing.joules - plain.joules == pytest.approx(2e-10 * 4 * more)
    assert plain.sigma < recomputing.sigma < 0.2, "its work is counted, its bookkeeping was not measured"
    assert recomputing.unmeasured == ("gradient-checkpointing",)


@pytest.mark.parametrize(
    "setting", [{"compile": True}, {"channels_last": True}, {"tf32": True}, {"flash_attention": True, "backend": "monai"}], ids=str
)
def test_ways_to_compute_that_were_not_measured_widen_the_interval(setting: dict[str, Any]) -> None:
    model = EnergyModel(profile())
    for plain, changed in [
        (training_configuration(training(), "train"), training_configuration(training(**setting), "train")),
        (synthesis_configuration(synthesis()), synthesis_configuration(synthesis(**setting))),
    ]:
        assert model.cost(changed).joules == model.cost(plain).joules
        assert model.cost(changed).sigma > 2 * model.cost(plain).sigma


def test_the_interval_widens_with_the_distance_from_what_was_measured() -> None:
    model = EnergyModel(profile())
    sides = [512, 1024, 4096 // 4]
    inside = model.cost(training_configuration(training(ModelSpec(dimensions=2, size="tiny", image_shape=(64, 64))), "train"))
    outside = [
        model.cost(training_configuration(training(ModelSpec(dimensions=3, size="large", image_shape=(side // 2,) * 3)), "train"))
        for side in sides
    ]

    assert inside.sigma == pytest.approx(0.1)
    assert inside.sigma < outside[0].sigma < outside[1].sigma


def test_a_similar_device_is_named_and_gives_a_wide_interval() -> None:
    own, similar = EnergyModel(profile()).estimate(synthesis()), EnergyModel(profile(), hardware="other-gpu").estimate(synthesis())

    assert similar.origin_kind is OriginKind.SIMILAR
    assert "similar device, test-gpu" in similar.origin
    assert similar.energy_kwh.mid == own.energy_kwh.mid
    assert similar.energy_kwh.high / similar.energy_kwh.mid > 1.5 * own.energy_kwh.high / own.energy_kwh.mid


def test_a_profiled_configuration_is_taken_as_measured() -> None:
    configuration = training_configuration(training(), "train")
    step = MeasuredStep(configuration=configuration, seconds=0.5, joules=80.0, spread=0.03, steps=10)
    model = EnergyModel(profile(measured=(step,)))

    assert model.cost(configuration).joules == 80.0
    assert model.cost(configuration).kind is OriginKind.MEASURED
    assert "profiled on this hardware" in model.estimate(training(iterations=10**6, autoencoder_iterations=1)).origin


def test_a_profiled_configuration_is_as_sure_as_its_steps_and_the_machines_pace_together() -> None:
    configuration = training_configuration(training(), "train")
    step = MeasuredStep(configuration=configuration, seconds=0.5, joules=80.0, spread=0.08, steps=10)
    unsteady = step.model_copy(update={"joules_spread": 0.3})

    def sigma(measured: MeasuredStep = step, **changes: Any) -> float:
        return EnergyModel(profile(measured=(measured,), **changes)).cost(configuration).sigma

    usual = 0.06
    assert sigma() == pytest.approx(math.hypot(0.08, usual)), "a pace that nobody timed is not a steady one"
    assert sigma(pace_spread=0.2) == pytest.approx(math.hypot(0.08, usual, 0.2))
    assert sigma(kind="cpu", others_share=1.0) > sigma(kind="cpu", others_share=0.5) > sigma(kind="cpu"), "the next time they may be gone"
    assert sigma(kind="gpu", others_share=1.0) == sigma(), "others' load on the CPUs does not slow a GPU"
    assert sigma(unsteady) == pytest.approx(math.hypot(0.3, usual)), "the joules are less sure than the seconds"


def test_what_a_machine_of_wandering_pace_was_not_measured_on_is_less_sure_too() -> None:
    configuration = training_configuration(training(), "train")

    assert EnergyModel(profile(pace_spread=0.24)).cost(configuration).sigma == pytest.approx(math.hypot(0.1, 0.24, 0.06))


def test_three_finished_runs_speak_for_their_configuration_and_one_bad_one_among_them_is_ignored() -> None:
    runs = [observed(31.0, 0.30), observed(310.0, 3.0), observed(30.0, 0.31)]
    estimate = EnergyModel(profile(), runs).estimate(synthesis())

    assert estimate.step_joules == pytest.approx(31.0)
    assert estimate.step_seconds == pytest.approx(0.31)
    assert estimate.origin == "measured on this hardware, 3 runs"


def test_one_run_within_the_interval_is_believed_and_a_surprising_one_half_way() -> None:
    before = EnergyModel(profile()).estimate(synthesis())
    near = EnergyModel(profile(), [observed(before.step_joules * 1.1, before.step_seconds * 1.1)]).estimate(synthesis())
    far = EnergyModel(profile(), [observed(before.step_joules * 100, before.step_seconds * 100)]).estimate(synthesis())

    assert near.step_joules == pytest.approx(before.step_joules * 1.1)
    assert far.step_joules == pytest.approx(before.step_joules * 10)
    assert far.energy_kwh.high > far.energy_kwh.mid * 10


def test_what_ran_teaches_about_other_configurations_of_the_same_work() -> None:
    before = EnergyModel(profile())
    other = synthesis(TINY_3D, samples=40)
    runs = []
    for steps in (10, 20, 40):
        workload = synthesis(inference_steps=steps)
        estimate = before.estimate(workload)
        runs.append(observed(estimate.step_joules * 1.5, estimate.step_seconds * 1.5, synthesis_configuration(workload)))
    after = EnergyModel(profile(), runs).estimate(other)

    assert after.step_joules == pytest.approx(1.5 * before.estimate(other).step_joules)
    assert after.origin_kind is OriginKind.COEFFICIENTS


def test_a_surprise_that_other_configurations_share_is_no_surprise() -> None:
    before = EnergyModel(profile())
    workloads = [synthesis(inference_steps=steps) for steps in (10, 20, 40)]
    costs = [before.estimate(workload) for workload in workloads]
    runs = [
        observed(3 * cost.step_joules, 3 * cost.step_seconds, synthesis_configuration(workload))
        for cost, workload in zip(costs, workloads, strict=True)
    ]
    alone, among_others = EnergyModel(profile(), runs[:1]), EnergyModel(profile(), runs)

    assert alone.estimate(workloads[0]).step_joules == pytest.approx(math.sqrt(3) * costs[0].step_joules)
    assert among_others.estimate(workloads[0]).step_joules == pytest.approx(3 * costs[0].step_joules)


def test_runs_on_other_hardware_teach_nothing() -> None:
    assert EnergyModel(profile(), [observed(999.0, 99.0, hardware="elsewhere")]).estimate(synthesis()) == EnergyModel(profile()).estimate(
        synthesis()
    )


def test_start_up_is_learned_as_the_median_of_finished_runs() -> None:
    runs = [observed(30, 0.3, startup_seconds=seconds, startup_joules=10 * seconds) for seconds in (2.0, 3.0, 60.0)]
    estimate = EnergyModel(profile(), runs).estimate(synthesis())

    assert (estimate.startup_seconds, estimate.startup_joules) == (3.0, 30.0)


def test_a_sites_own_watts_change_estimated_joules_and_leave_measured_ones() -> None:
    cpu = bundled_profiles()["generic-cpu"]
    usual, hungry = EnergyModel(cpu), EnergyModel(cpu.with_power(tdp_watts=200, idle_watts=100))
    gpu = profile()

    expected = (100 + 100 / cpu.host_cpus) / (cpu.idle_watts + (cpu.tdp_watts - cpu.idle_watts) / cpu.host_cpus)
    assert hungry.estimate(training()).step_joules / usual.estimate(training()).step_joules == pytest.approx(expected)
    assert hungry.estimate(training()).step_seconds == usual.estimate(training()).step_seconds
    assert EnergyModel(gpu.with_power(900, None)).estimate(training()) == EnergyModel(gpu).estimate(training())


def test_another_precision_or_number_of_threads_than_measured_widens_the_interval() -> None:
    cpu = EnergyModel(bundled_profiles()["generic-cpu"])
    usual = cpu.cost(training_configuration(training(), "train"))
    threads = cpu.cost(training_configuration(training(threads=2), "train"))
    precision = cpu.cost(training_configuration(training(precision="bfloat16"), "train"))

    assert threads.seconds == pytest.approx(usual.seconds / 2)
    assert threads.sigma > usual.sigma
    assert precision.sigma > usual.sigma


def test_a_profile_without_anything_alike_is_refused_with_the_way_out() -> None:
    only_2d = profile(coefficients=tuple(each for each in profile().coefficients if each.dimensions == 2))

    with pytest.raises(IncompleteProfile, match=r"'test-gpu' has no coefficients for vqgan in 3D.*lowtide profile"):
        EnergyModel(only_2d).estimate(training(TINY_3D))


def test_a_missing_operation_is_estimated_from_a_related_one_with_less_certainty() -> None:
    without = profile(coefficients=tuple(each for each in profile().coefficients if each.operation != "decode"))

    assert (
        EnergyModel(without).estimate(synthesis(inference_steps=1)).energy_kwh.high
        > EnergyModel(profile()).estimate(synthesis(inference_steps=1)).energy_kwh.high
    )


# Energies that the Latent Pollution Model paper publishes (arXiv 2407.14892), in J per denoise step or training iteration,
# and how far the fit is known to be from each: in-sample residuals, a calibration, not a validation.
PAPER = [
    ("denoise", 2, (192, 192), 3.544, -0.11),
    ("denoise", 2, (512, 512), 16.84, -0.12),
    ("denoise", 3, (64, 64, 64), 5.506, 0.20),
    ("denoise", 3, (256, 256, 192), 335.2, -0.05),
    ("train", 2, (192, 192), 24.7, 0.14),
    ("train", 2, (512, 512), 48.7, -0.01),
    ("train", 3, (64, 64, 64), 45.6, -0.25),
    ("train", 3, (256, 256, 192), 555.0, 0.04),
]


@pytest.mark.parametrize(("operation", "dimensions", "shape", "joules", "residual"), PAPER)
def test_the_bundled_a100_reproduces_the_papers_energies_with_the_stated_residuals(
    operation: str, dimensions: int, shape: tuple[int, ...], joules: float, residual: float
) -> None:
    spec = ModelSpec.model_validate({"dimensions": dimensions, "size": "large", "image_shape": shape})
    configuration = training_configuration(training(spec, batch_size=1), operation)  # type: ignore[arg-type]  # also "denoise", which workloads have no word for

    cost = EnergyModel(bundled_profiles()["a100-sxm4-40gb"]).cost(configuration)

    assert cost.joules / joules - 1 == pytest.approx(residual, abs=0.01)
    assert cost.joules / cost.seconds == pytest.approx(550, rel=0.01)


def test_the_papers_largest_synthesis_is_estimated_near_its_930_kwh() -> None:
    workload = synthesis(PAPER_3D, samples=10_000, inference_steps=1000, sampler="ddpm", batch_size=1)

    estimate = EnergyModel(bundled_profiles()["a100-sxm4-40gb"]).estimate(workload)

    assert estimate.energy_kwh.low < 931 < estimate.energy_kwh.high
    assert estimate.energy_kwh.mid == pytest.approx(931, rel=0.06)


def test_estimating_needs_neither_torch_nor_numpy() -> None:
    script = (
        "import sys\n"
        "from tests.jobs.energy.builders import synthesis\n"
        "from jobs.energy.hardware import profile_for\n"
        "from jobs.energy.model import EnergyModel\n"
        "assert EnergyModel(profile_for('generic-cpu')).estimate(synthesis()).energy_kwh.mid > 0\n"
        "assert not {'torch', 'numpy', 'pandas', 'scipy', 'monai'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[3])


def test_errors_of_one_machine_do_not_cancel() -> None:
    model = EnergyModel(profile())
    first = model.cost(training_configuration(training(), "vqgan"))
    second = model.cost(training_configuration(training(), "train"))

    both = first.plus(second)

    assert both.sigma == pytest.approx(0.1)
    assert both.joules == first.joules + second.joules
    assert math.isclose(both.seconds, first.seconds + second.seconds)


def test_what_bfloat16_would_save_on_the_papers_a100_is_unknown_and_said_so() -> None:
    bundled = bundled_profiles()["a100-sxm4-40gb"]
    model = EnergyModel(bundled)

    assert (model.knows("float32"), model.knows("bfloat16")) == (True, False)
    assert "bfloat16 would change was not measured" in model.estimate(training(PAPER_3D, precision="bfloat16")).origin
    assert "bfloat16" in bundled.provenance["precision"]
    assert "unknown" in bundled.provenance["precision"]
