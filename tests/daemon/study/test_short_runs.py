"""Short runs: the paper's extrapolation by hand, and one real run."""

from __future__ import annotations

import pytest

from daemon.study.cases import Case
from daemon.study.short_runs import Block, ShortRun, Skipped, extrapolate, metering_of, paper_cases, short_runs
from jobs.energy.hardware import bundled_profiles
from jobs.energy.simulated import SimulatedSource
from jobs.spec import MeteringSpec

TINY = Case("training", (32, 32), "tiny")


def test_training_is_extrapolated_by_power_time_and_number() -> None:
    blocks = [Block(10, 2.0, 100.0), Block(10, 2.0, 120.0), Block(10, 2.0, 140.0)]  # 50, 60, 70 W; 0.2 s a step
    run = extrapolate(TINY, blocks, [], "measured")
    assert (run.watts, run.watts_sd) == (60.0, 10.0)
    assert run.machine_kwh == pytest.approx(60 * 0.2 * 150_000 / 3.6e6)
    assert run.machine_sd_kwh == pytest.approx(run.machine_kwh / 6)
    assert run.hours == pytest.approx(0.2 * 150_000 / 3600)
    assert run.kg == pytest.approx(run.machine_kwh * 1.55 * 0.251)
    assert run.sd_kg == pytest.approx(run.kg / 6)


def test_a_sample_is_its_denoise_steps_and_one_decoding() -> None:
    case = Case("synthesis", (32, 32), "tiny", batch_size=2)
    run = extrapolate(case, [Block(5, 1.0, 50.0), Block(5, 1.0, 50.0)], [Block(1, 3.0, 90.0), Block(1, 5.0, 110.0)], "measured")
    batches = 10_000 / 2
    assert run.hours == pytest.approx((0.2 * 1000 + 4.0) * batches / 3600)
    assert run.machine_kwh == pytest.approx((50 * 0.2 * 1000 + 100) * batches / 3.6e6)
    assert run.machine_sd_kwh == 0.0


def test_sizes_come_in_order_so_that_small_ones_can_warn_of_large_ones() -> None:
    cases = paper_cases("tiny")
    assert len(cases) == 16
    assert [case.image for case in cases[:4]] == ["192 x 192", "256 x 256", "320 x 320", "512 x 512"]


def test_the_cpu_model_takes_the_watts_of_a_cpus_profile_and_never_a_gpus() -> None:
    bundled = bundled_profiles()
    cpu = metering_of(bundled["generic-cpu"].with_power(200.0, 20.0))
    assert (cpu.cpu_tdp_watts, cpu.cpu_idle_watts) == (200.0, 20.0)
    assert metering_of(bundled["a100-sxm4-40gb"]) == MeteringSpec()


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")], ids=repr)
def test_a_size_that_does_not_fit_into_memory_is_skipped(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_big(*_: object) -> object:
        raise error

    monkeypatch.setattr("jobs.energy.workbench.Workbench", too_big)
    (run,) = short_runs([TINY], [SimulatedSource(40.0)], 0.1, lambda _: None)
    assert run == Skipped("training", "32 x 32", "does not fit into memory: choose a smaller size")


def test_a_real_run_on_this_machine_and_a_size_that_would_not_fit() -> None:
    """Simulated watts, so that only the time is this machine's."""
    seen: list[ShortRun | Skipped] = []
    cases = [TINY, Case("training", (1024, 1024), "tiny")]
    runs = short_runs(cases, [SimulatedSource(40.0)], 0.3, seen.append)
    assert runs == seen
    first, second = runs
    assert isinstance(first, ShortRun)
    assert first.blocks >= 2
    assert first.watts == pytest.approx(40.0, rel=0.25)
    assert first.machine_kwh == pytest.approx(first.watts * first.seconds_per_step * 150_000 / 3.6e6)
    assert isinstance(second, Skipped)
    assert "a step would take about" in second.reason
