"""A GPU's energy counter beside its own power readings, on a driver that counts. No GPU: untested on a device."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.energy.counter_check import check_counters, compare, in_words
from jobs.energy.hardware import CounterCheck
from tests.jobs.energy.fakes import FakeGpu, FakeNvml, Hand


class CountingGpus:
    """A driver whose GPUs draw what they are told for as long as work lasts; `counts` is what share of it each counter sees."""

    def __init__(self, watts: list[float], counts: list[float]) -> None:
        self.clock, self.works = Hand(), 0
        self._watts, self._counts = watts, counts
        self.nvml = FakeNvml([FakeGpu(f"GPU-{index}", milliwatts=round(1000 * each)) for index, each in enumerate(watts)])

    def work(self) -> None:
        """A tenth of a second."""
        self.clock.value += 0.1
        self.works += 1
        for gpu, watts, share in zip(self.nvml.gpus, self._watts, self._counts, strict=True):
            if gpu.millijoules is not None:
                gpu.millijoules += round(100 * watts * share)

    def check(self, seconds: float = 20.0, visible: str | None = None) -> tuple[CounterCheck, ...]:
        return compare(self.nvml, visible, self.work, seconds, self.clock)


@given(watts=st.floats(20, 700), share=st.floats(0.5, 1.5), seconds=st.floats(1, 60))
def test_a_counter_is_off_by_what_it_does_not_see(watts: float, share: float, seconds: float) -> None:
    gpus = CountingGpus([watts], [share])
    (check,) = gpus.check(seconds)

    assert check.integrated_joules == pytest.approx(watts * check.seconds, rel=1e-3)
    assert check.deviation == pytest.approx(share - 1, abs=2e-3)
    assert seconds <= check.seconds < seconds + 0.11
    assert gpus.works == pytest.approx(1.1 * check.seconds / 0.1, abs=1.2), "a tenth more to warm up, which counts for neither"


def test_an_honest_counter_agrees_in_words_and_a_wrong_one_is_in_doubt() -> None:
    right, wrong = CountingGpus([400.0, 300.0], [1.0, 0.9]).check()

    assert in_words(right).endswith("over 20 s (+0.0%): they agree")
    assert in_words(wrong) == (
        "gpu1: its energy counter told 5,400 J, its power readings integrate to 6,000 J over 20 s (-10.0%): "
        "more than 2% apart, so its joules are in doubt"
    )


def test_power_that_changes_is_integrated_and_not_taken_at_its_end() -> None:
    gpus = CountingGpus([100.0], [1.0])

    def ramp() -> None:
        gpus.work()
        gpus._watts[0] += 2.0
        gpus.nvml.gpus[0].milliwatts = round(1000 * gpus._watts[0])

    (check,) = compare(gpus.nvml, None, ramp, 20.0, gpus.clock)

    assert check.deviation == pytest.approx(0.0, abs=0.01)


def test_readings_that_still_remember_the_idle_gpu_put_no_honest_counter_in_doubt() -> None:
    gpus = CountingGpus([700.0], [1.0])
    last_second = [50.0] * 10

    def work() -> None:
        gpus.work()
        last_second.append(700.0)
        gpus.nvml.gpus[0].milliwatts = round(1000 * sum(last_second[-10:]) / 10)

    (check,) = compare(gpus.nvml, None, work, 20.0, gpus.clock)

    assert in_words(check).endswith("(+0.0%): they agree")


def test_gpus_without_a_counter_or_a_power_reading_have_nothing_to_compare() -> None:
    gpus = CountingGpus([400.0, 400.0, 400.0], [1.0, 1.0, 1.0])
    gpus.nvml.gpus[0].millijoules = None
    gpus.nvml.gpus[1].milliwatts = None

    assert [check.component for check in gpus.check()] == ["gpu2"]
    assert gpus.check(visible="0,1") == ()


def test_a_gpu_that_drew_nothing_proves_nothing() -> None:
    (check,) = CountingGpus([0.0], [1.0]).check()

    assert check.deviation is None
    assert in_words(check).endswith("nothing to compare with")


def test_the_driver_is_let_go_and_one_that_fails_on_the_way_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    nvml = FakeNvml([FakeGpu("GPU-1", milliwatts=100_000)])
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    checks = check_counters(lambda: None, seconds=0.01)

    def break_it(handle: int) -> int:
        readings.append(handle)
        if len(readings) > 1:
            raise nvml.NVMLError("Unknown Error")
        return 100_000

    readings: list[int] = []
    monkeypatch.setattr(nvml, "nvmlDeviceGetPowerUsage", break_it)
    broken = check_counters(lambda: None, seconds=0.01)

    assert [check.component for check in checks] == ["gpu0"]
    assert broken == ()
    assert "NVML failed while its energy counter was checked" in caplog.text
    assert nvml.initialised == nvml.shut_down == 2


def test_a_host_without_a_driver_has_no_counter_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)

    assert check_counters(lambda: None) == ()
