from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.energy.nvml import NvmlSource, driver_version, visible_handles
from tests.jobs.energy.fakes import FakeGpu, FakeNvml, Hand

UUIDS = ["GPU-aaaa1111-0000", "GPU-aaaa2222-0000", "GPU-bbbb3333-0000"]


@pytest.fixture
def nvml() -> FakeNvml:
    return FakeNvml([FakeGpu(uuid) for uuid in UUIDS])


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        (None, [0, 1, 2]),
        ("0,1,2", [0, 1, 2]),
        ("2, 0", [2, 0]),
        ("GPU-bbbb3333-0000", [2]),
        ("GPU-bbbb", [2]),
        ("GPU-bbbb,0", [2, 0]),
        ("GPU-aaaa", []),  # names two devices
        ("1,7,0", [1]),  # as in CUDA, the list ends at the first entry that is no device
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("MIG-1234", []),
    ],
)
def test_only_the_gpus_that_cuda_would_show_are_metered(nvml: FakeNvml, variable: str | None, expected: list[int]) -> None:
    assert visible_handles(nvml, variable) == [nvml.gpus[index] for index in expected]


@given(increments=st.lists(st.integers(0, 10**9), max_size=20))
def test_counter_differences_add_up_to_the_counter(increments: list[int]) -> None:
    nvml = FakeNvml([FakeGpu("GPU-1", millijoules=123_456)])
    source = NvmlSource(nvml, None)
    total = 0.0
    for increment in increments:
        nvml.gpus[0].millijoules = (nvml.gpus[0].millijoules or 0) + increment
        total += source.joules_since_last()["gpu0"]

    assert total == pytest.approx(sum(increments) / 1000)


def test_each_gpu_has_its_own_component_in_cudas_order(nvml: FakeNvml) -> None:
    source = NvmlSource(nvml, "2,0")
    nvml.gpus[2].millijoules, nvml.gpus[0].millijoules, nvml.gpus[1].millijoules = 2000, 1000, 99_000

    assert source.joules_since_last() == {"gpu0": 2.0, "gpu1": 1.0}


def test_a_counter_that_restarts_with_the_driver_counts_from_zero() -> None:
    nvml = FakeNvml([FakeGpu("GPU-1", millijoules=5_000_000)])
    source = NvmlSource(nvml, None)
    nvml.gpus[0].millijoules = 700

    assert source.joules_since_last() == {"gpu0": pytest.approx(0.7)}


def test_without_an_energy_counter_power_is_integrated_by_trapezoids() -> None:
    clock = Hand()
    nvml = FakeNvml([FakeGpu("GPU-1", millijoules=None, milliwatts=100_000)])
    source = NvmlSource(nvml, None, clock)
    clock.value, nvml.gpus[0].milliwatts = 2.0, 300_000

    assert source.joules_since_last() == {"gpu0": pytest.approx((100 + 300) / 2 * 2)}


def test_a_power_sample_that_fails_is_unknown_and_the_next_one_bridges_the_gap(caplog: pytest.LogCaptureFixture) -> None:
    clock = Hand()
    nvml = FakeNvml([FakeGpu("GPU-1", millijoules=None, milliwatts=100_000)])
    source = NvmlSource(nvml, None, clock)
    clock.value, nvml.gpus[0].milliwatts = 1.0, None
    while_failing = [source.joules_since_last(), source.joules_since_last()]
    clock.value, nvml.gpus[0].milliwatts = 3.0, 100_000

    assert while_failing == [{}, {}]
    assert source.joules_since_last() == {"gpu0": pytest.approx(300.0)}
    assert caplog.text.count("cannot read gpu0") == 1


def test_a_gpu_that_tells_neither_energy_nor_power_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    nvml = FakeNvml([FakeGpu("GPU-1", millijoules=None, milliwatts=None), FakeGpu("GPU-2")])
    source = NvmlSource(nvml, None)

    assert source.components == ["gpu1"]
    assert "unknown" in caplog.text


def test_closing_twice_shuts_the_driver_down_once(nvml: FakeNvml) -> None:
    source = NvmlSource(nvml, None)
    source.close()
    source.close()

    assert nvml.shut_down == 1


@pytest.mark.parametrize("version", ["550.54.15", None])
def test_the_driver_tells_its_version_or_nothing_and_is_let_go(monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    nvml = FakeNvml([], driver=version)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)

    assert driver_version() == version
    assert (nvml.initialised, nvml.shut_down) == (1, 1)


def test_a_host_without_a_driver_has_no_driver_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)  # as if it were not installed

    assert driver_version() is None
