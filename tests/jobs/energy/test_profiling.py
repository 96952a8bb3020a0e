"""Profiling on the machine that runs the tests: the smallest configurations, the product's own steps."""

from __future__ import annotations

import itertools
import math
import statistics
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.energy import measuring, profiling
from jobs.energy.configuration import Configuration
from jobs.energy.cpu_model import CpuModelSource
from jobs.energy.hardware import HardwareProfile, MeasuredStep, read_profile
from jobs.energy.measuring import measure, read_counters, sources_in_words
from jobs.energy.model import EnergyModel, OriginKind
from jobs.energy.nvml import NvmlSource
from jobs.energy.pace import paced
from jobs.energy.profiling import BusyWatch, Progress, at_usual_pace, pace_spread, profile_machine
from jobs.energy.source import PowerSource
from jobs.energy.workbench import Workbench
from jobs.rundir import Provenance
from jobs.spec import MeteringSpec, ModelSpec
from tests.jobs.energy.builders import FREE
from tests.jobs.energy.fakes import FakeGpu, FakeNvml, Hand

SMALLEST = ModelSpec(dimensions=2, size="tiny", image_shape=(16, 16))
GRID = [Configuration(work, SMALLEST) for work in ("train", "denoise", "encode", "decode", "vqgan")]
METERING = MeteringSpec(meter="cpu-model", cpu_tdp_watts=90, cpu_idle_watts=30)
TODAY = date(2026, 1, 2)


class Counter:
    """An energy counter that ticks 2 J at every look."""

    provenance: Provenance = "measured"

    def joules_since_last(self) -> Mapping[str, float]:
        return {"gpu0": 2.0}

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[HardwareProfile, Path, list[Progress]]:
    output = tmp_path_factory.mktemp("profiles") / "this-cpu.json"
    seen: list[Progress] = []
    with pytest.MonkeyPatch.context() as patch:
        spare_what_takes_seconds(patch)
        profile = profile_machine("this-cpu", GRID, output, METERING, seen.append, TODAY)
    return profile, output, seen


def spare_what_takes_seconds(patch: pytest.MonkeyPatch) -> None:
    """A fresh process, looking for the CPU's name, sweeping memory, and quick steps until two seconds are over."""
    patch.setattr(measuring, "_LEAST_SECONDS", 0.0)
    patch.setitem(measuring._LEAST_BLOCK_SECONDS, "cpu", 0.0)
    patch.setattr("gc.collect", lambda: 0)
    patch.setattr(profiling, "_startup", lambda _: (1.0, None))
    patch.setattr(profiling, "measure_checkpoint", lambda *_: FREE)
    patch.setattr(profiling, "measure_preparation", lambda *_: FREE)
    patch.setattr(profiling, "device_names", lambda: ["a device"])


def test_every_operation_is_measured_and_reported(profiled: tuple[HardwareProfile, Path, list[Progress]]) -> None:
    profile, _, seen = profiled

    assert [progress.done for progress in seen] == [1, 2, 3, 4, 5]
    assert {step.configuration for step in profile.measured} == set(GRID)
    assert all(step.steps >= 10 and step.seconds > 0 and step.joules is None for step in profile.measured)


def test_the_profile_on_disk_is_the_profile_and_nothing_else_is_left(profiled: tuple[HardwareProfile, Path, list[Progress]]) -> None:
    profile, output, _ = profiled

    assert read_profile(output) == profile
    assert [path.name for path in output.parent.iterdir()] == ["this-cpu.json"]


def test_a_profiled_machine_estimates_its_own_steps_as_measured(profiled: tuple[HardwareProfile, Path, list[Progress]]) -> None:
    profile, _, _ = profiled
    train = next(step for step in profile.measured if step.configuration.work == "train")
    cost = EnergyModel(profile).cost(GRID[0])

    assert cost.kind is OriginKind.MEASURED
    assert cost.seconds == train.seconds
    assert cost.joules == pytest.approx(train.seconds * profile.busy_watts(1))


def test_a_profile_says_when_on_what_and_how_it_was_made(profiled: tuple[HardwareProfile, Path, list[Progress]]) -> None:
    profile, _, _ = profiled

    assert profile.made_on == TODAY
    assert profile.devices == ("a device",)
    assert (profile.tdp_watts, profile.idle_watts) == (90, 30)
    assert profile.provenance["seconds"].startswith("measured")
    assert profile.provenance["joules"].startswith("estimated")
    assert "torch" in profile.libraries


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    spare_what_takes_seconds(monkeypatch)


class Measurements:
    """Stands for `measure`; remembers what it was asked and stops after a while, as a person would with Ctrl-C."""

    def __init__(self, before_interruption: int = 10**6) -> None:
        self.left = before_interruption
        self.asked: list[Configuration] = []

    def __call__(self, configuration: Configuration, *_: object) -> MeasuredStep:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.asked.append(configuration)
        return MeasuredStep(configuration=configuration, seconds=0.1, joules=None, spread=0.0, steps=10)


@pytest.mark.usefixtures("quick")
def test_an_interrupted_profiling_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Measurements(before_interruption=2), Measurements()
    output = tmp_path / "cpu.json"
    monkeypatch.setattr(profiling, "measure", first)
    with pytest.raises(KeyboardInterrupt):
        profile_machine("cpu", GRID, output, METERING, lambda _: None, TODAY)
    with output.with_suffix(".partial.jsonl").open("a") as torn:
        torn.write('{"configuration": {"wo')
    monkeypatch.setattr(profiling, "measure", second)
    seen: list[Progress] = []
    profile = profile_machine("cpu", GRID, output, METERING, seen.append, TODAY)

    assert first.asked == GRID[:2]
    assert second.asked == GRID[2:]
    assert [progress.note for progress in seen][:2] == ["measured before"] * 2
    assert len(profile.measured) == len(GRID)


@pytest.mark.usefixtures("quick")
def test_a_configuration_that_does_not_fit_into_memory_is_skipped_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(configuration: Configuration, *_: object) -> MeasuredStep:
        if configuration.work == "train":
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4398046511104 bytes.")
        return MeasuredStep(configuration=configuration, seconds=0.1, joules=None, spread=0.0, steps=10)

    monkeypatch.setattr(profiling, "measure", fake)
    seen: list[Progress] = []
    profile = profile_machine("cpu", GRID, tmp_path / "cpu.json", METERING, seen.append, TODAY)

    assert (seen[0].step, seen[0].note) == (None, "skipped: out of memory")
    assert len(profile.measured) == len(GRID) - 1


@pytest.mark.usefixtures("quick")
def test_a_profiling_that_could_measure_nothing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(configuration: Configuration, *_: object) -> MeasuredStep:
        raise MemoryError

    monkeypatch.setattr(profiling, "measure", fake)
    with pytest.raises(ValueError, match="choose smaller ones"):
        profile_machine("cpu", GRID, tmp_path / "cpu.json", METERING, lambda _: None, TODAY)
    assert not (tmp_path / "cpu.json").exists()


@pytest.mark.usefixtures("quick")
def test_any_other_fault_of_a_step_is_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(configuration: Configuration, *_: object) -> MeasuredStep:
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(profiling, "measure", fake)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        profile_machine("cpu", GRID, tmp_path / "cpu.json", METERING, lambda _: None, TODAY)


def test_all_steps_of_a_profile_are_told_at_one_pace(profiled: tuple[HardwareProfile, Path, list[Progress]]) -> None:
    profile, _, _ = profiled

    paces = {step.reference_seconds for step in profile.measured}
    assert len(paces) == 1
    assert None not in paces
    assert "at the machine's mean pace" in profile.provenance["seconds"]
    assert profile.pace_spread is not None


def step_at_pace(configuration: Configuration, reference_seconds: float | None) -> MeasuredStep:
    return MeasuredStep(configuration=configuration, seconds=1.0, spread=0.0, steps=10, reference_seconds=reference_seconds)


def test_how_much_the_pace_wandered_between_configurations_is_told_in_relative_terms() -> None:
    steps = [step_at_pace(each, reference) for each, reference in zip(GRID, (0.1, 0.1, 0.2, 0.2, None), strict=True)]
    a_thousand_times_slower = [step_at_pace(each, 1000 * reference) for each, reference in zip(GRID, (0.1, 0.1, 0.2, 0.2), strict=False)]

    assert pace_spread(steps) == pytest.approx(statistics.stdev([0, 0, math.log(2), math.log(2)]))
    assert pace_spread(a_thousand_times_slower) == pytest.approx(pace_spread(steps))
    assert pace_spread(at_usual_pace(steps)) == pytest.approx(0.0), "told at one pace, nothing is left of it: take it before"


def test_one_look_at_the_pace_tells_nothing_of_its_spread() -> None:
    assert pace_spread([step_at_pace(GRID[0], 0.1), step_at_pace(GRID[1], None)]) is None


def test_a_step_timed_while_the_machine_was_slow_is_told_at_the_usual_pace() -> None:
    quick, slow, alone = (
        MeasuredStep(configuration=each, seconds=seconds, joules=joules, spread=0.0, steps=10, reference_seconds=reference)
        for each, seconds, joules, reference in zip(GRID[:3], (1.0, 1.5, 7.0), (None, 4.0, None), (0.1, 0.3, None), strict=True)
    )
    paced_quick, paced_slow, paced_alone = at_usual_pace([quick, slow, alone])

    assert paced_quick.seconds == pytest.approx(2.0)
    assert paced_slow.seconds == pytest.approx(1.0)
    assert paced_slow.joules == 4.0
    assert paced_alone == alone


@given(st.lists(st.floats(0.5, 2.0), min_size=1, max_size=20), st.floats(0.001, 10.0))
def test_a_step_counted_in_references_does_not_depend_on_the_pace_of_each_moment(paces: list[float], steps_per_reference: float) -> None:
    assert paced([pace * steps_per_reference for pace in paces], paces) == pytest.approx(steps_per_reference * statistics.mean(paces))


def test_one_disturbed_step_does_not_count() -> None:
    assert paced([1.0, 1.0, 50.0, 1.0], [0.5] * 4) == 1.0


def test_counted_joules_are_those_of_the_timed_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    spare_what_takes_seconds(monkeypatch)
    step = measure(Configuration("decode", SMALLEST), [Counter()])

    assert step.joules == pytest.approx(2.0)  # one look for each timed step; what warming up drew is left out
    assert step.joules_spread == 0.0


class UnsteadyCounter(Counter):
    """2, 3 and 4 J in turns: one look before each block, one after it."""

    def __init__(self) -> None:
        self._turns = itertools.cycle([2.0, 3.0, 4.0])

    def joules_since_last(self) -> Mapping[str, float]:
        return {"gpu0": next(self._turns)}


def test_joules_have_a_spread_of_their_own_and_uncounted_ones_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    spare_what_takes_seconds(monkeypatch)
    unsteady, uncounted = (measure(Configuration("decode", SMALLEST), sources) for sources in ([UnsteadyCounter()], []))

    assert unsteady.joules_spread is not None
    assert unsteady.joules_spread > 0.3
    assert (uncounted.joules, uncounted.joules_spread) == (None, None)


def gpu_and_cpu_model() -> tuple[FakeNvml, list[PowerSource]]:
    """The meters of a GPU host whose RAPL counters cannot be read."""
    nvml = FakeNvml([FakeGpu("GPU-1"), FakeGpu("GPU-2")])
    return nvml, [NvmlSource(nvml, None), CpuModelSource(METERING, cpu_seconds=Hand(), monotonic_seconds=Hand())]


def test_joules_of_a_counter_and_a_model_are_not_all_told_as_counted() -> None:
    _, sources = gpu_and_cpu_model()

    assert sources_in_words(sources) == "measured: gpu by its own meter; estimated: cpu by the power model"
    assert sources_in_words(sources[:1]) == "measured: gpu by its own meter; the cpu's are unknown and left out"


def test_a_counter_that_tells_nothing_leaves_the_whole_unknown() -> None:
    nvml, sources = gpu_and_cpu_model()
    for gpu in nvml.gpus:
        gpu.millijoules = 3000
    counted = read_counters(sources)
    for gpu in nvml.gpus:
        gpu.millijoules = None

    assert counted == pytest.approx(6.0)
    assert read_counters(sources) is None
    assert read_counters(sources[1:]) is None


@pytest.mark.usefixtures("quick")
def test_a_profile_names_the_sources_of_its_joules_and_what_they_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(configuration: Configuration, *_: object) -> MeasuredStep:
        joules = None if configuration.work == "vqgan" else 5.0
        return MeasuredStep(configuration=configuration, seconds=0.1, joules=joules, spread=0.0, steps=10)

    monkeypatch.setattr(profiling, "measure", fake)
    monkeypatch.setattr(profiling, "open_sources", lambda _: gpu_and_cpu_model()[1])
    profile = profile_machine("gpu", GRID, tmp_path / "gpu.json", METERING, lambda _: None, TODAY)

    assert profile.provenance["joules"] == (
        "measured: gpu by its own meter; estimated: cpu by the power model; "
        "1 of 5 operations estimated: seconds times idle + (TDP - idle) x busy CPUs"
    )


def test_versions_of_what_drives_a_gpu_are_told_and_none_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml([FakeGpu("GPU-1")]))
    monkeypatch.setattr("torch.version.cuda", "12.4")
    monkeypatch.setattr("torch.backends.cudnn.version", lambda: None)  # built without
    monkeypatch.setattr(profiling, "on_gpu", lambda: False)
    on_cpu = profiling._device_software()
    monkeypatch.setattr(profiling, "on_gpu", lambda: True)

    assert on_cpu == {}
    assert profiling._device_software() == {"nvidia-driver": "550.54.15", "cuda": "12.4"}


def test_a_busy_machine_is_told_and_a_quiet_one_is_not() -> None:
    own, host, clock = Hand(), Hand(), Hand()
    watch = BusyWatch(own, host, clock, cpus=4)
    own.value, host.value, clock.value = 10.0, 12.0, 10.0
    quiet = watch.warning()
    host.value = 20.0

    assert quiet == ""
    assert watch.share() == pytest.approx(0.25)
    assert watch.warning() == "the machine was busy: others used 25% of its CPUs"


@pytest.mark.slow
def test_start_up_is_that_of_a_fresh_process_with_all_its_imports() -> None:
    seconds, joules = profiling._startup([Counter()])

    assert seconds > 0.5  # importing torch takes longer than that anywhere
    assert joules == 2.0


def test_synthesis_is_no_single_step() -> None:
    with pytest.raises(ValueError, match="measure 'denoise' and 'decode'"):
        Workbench(Configuration("synthesis", SMALLEST, evaluations=20))


@pytest.mark.usefixtures("quick")
def test_after_its_time_a_profiling_begins_nothing_new_and_the_next_one_measures_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measurements = Measurements()
    monkeypatch.setattr(profiling, "measure", measurements)
    clock = iter([0.0, 1.0, 50.0, 70.0, 90.0, 110.0])
    seen: list[Progress] = []
    profile = profile_machine(
        "cpu", GRID, tmp_path / "cpu.json", METERING, seen.append, TODAY, longest_seconds=60, monotonic_seconds=lambda: next(clock)
    )

    assert measurements.asked == GRID[:2]
    assert [progress.note for progress in seen[2:]] == [profiling.OUT_OF_TIME] * 3
    assert len(profile.measured) == 2
    profile = profile_machine("cpu", GRID, tmp_path / "cpu.json", METERING, seen.append, TODAY)
    assert measurements.asked == GRID
    assert len(profile.measured) == len(GRID)
    assert [path.name for path in tmp_path.iterdir()] == ["cpu.json"]


@pytest.mark.usefixtures("quick")
def test_steps_left_by_a_profiling_on_more_threads_whose_pace_was_another_are_no_part_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_four = [replace(each, threads=4) for each in GRID]
    monkeypatch.setattr(profiling, "measure", Measurements(before_interruption=2))
    with pytest.raises(KeyboardInterrupt):
        profile_machine("cpu", on_four, tmp_path / "cpu.json", METERING, lambda _: None, TODAY)
    monkeypatch.setattr(profiling, "measure", Measurements())
    profile = profile_machine("cpu", GRID, tmp_path / "cpu.json", METERING, lambda _: None, TODAY)

    assert [step.configuration for step in profile.measured] == GRID
