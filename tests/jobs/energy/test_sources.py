from __future__ import annotations

from pathlib import Path

import pytest

from jobs.energy import sources
from jobs.energy.cpu_model import CpuModelSource
from jobs.energy.nvml import NvmlSource
from jobs.energy.rapl import RaplSource, find_domains
from jobs.energy.simulated import SimulatedSource
from jobs.energy.sources import open_sources
from jobs.spec import MeteringSpec
from tests.jobs.energy.fakes import FakeGpu, FakeNvml, Hand, Powercap


@pytest.fixture
def bare_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Powercap:
    """A host without counters, whatever this one has; its powercap folder can be filled."""
    powercap = Powercap(tmp_path / "powercap")
    monkeypatch.setattr(sources, "open_nvml", lambda: None)
    monkeypatch.setattr(sources, "find_domains", lambda: find_domains(powercap.folder))
    return powercap


def test_auto_takes_counters_for_gpu_and_cpu_where_both_exist(bare_host: Powercap, monkeypatch: pytest.MonkeyPatch) -> None:
    bare_host.add("intel-rapl:0", "package-0")
    monkeypatch.setattr(sources, "open_nvml", lambda: NvmlSource(FakeNvml([FakeGpu("GPU-1")]), None))

    assert [type(source) for source in open_sources(MeteringSpec())] == [NvmlSource, RaplSource]


def test_auto_falls_to_the_cpu_model_where_there_is_no_counter(bare_host: Powercap) -> None:
    (source,) = open_sources(MeteringSpec())

    assert isinstance(source, CpuModelSource)
    assert source.provenance == "estimated"


def test_memory_counters_alone_do_not_replace_the_cpu(bare_host: Powercap) -> None:
    bare_host.add("intel-rapl:0:0", "dram")

    assert [type(source) for source in open_sources(MeteringSpec())] == [CpuModelSource]


def test_counters_without_a_counter_leave_the_energy_unknown_and_say_so(bare_host: Powercap, caplog: pytest.LogCaptureFixture) -> None:
    assert open_sources(MeteringSpec(meter="counters")) == []
    assert "unknown" in caplog.text
    assert "'auto'" in caplog.text


def test_the_cpu_model_can_be_asked_for_where_counters_exist(bare_host: Powercap) -> None:
    bare_host.add("intel-rapl:0", "package-0")

    assert [type(source) for source in open_sources(MeteringSpec(meter="cpu-model"))] == [CpuModelSource]


def test_a_simulated_meter_draws_its_watts_and_says_that_they_are_simulated() -> None:
    (source,) = open_sources(MeteringSpec(meter="simulated", simulated_watts=400))
    clock = Hand()
    simulated = SimulatedSource(400, clock)
    clock.value = 2.5

    assert isinstance(source, SimulatedSource)
    assert simulated.joules_since_last() == {"simulated": 1000.0}
    assert simulated.provenance == "simulated"


def test_the_cpu_model_splits_idle_power_by_devices_and_the_rest_by_use() -> None:
    metering = MeteringSpec(cpu_tdp_watts=100, cpu_idle_watts=20, host_share=0.5)
    clock, used = Hand(), Hand()
    source = CpuModelSource(metering, host_cpus=8, cpu_seconds=used, monotonic_seconds=clock)
    clock.value, used.value = 10.0, 40.0

    assert source.joules_since_last() == {"cpu": pytest.approx(0.5 * 20 * 10 + (100 - 20) * 40 / 8)}
