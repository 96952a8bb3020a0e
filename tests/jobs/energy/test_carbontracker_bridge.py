"""carbontracker in our hands: measured with its own thread, read back with its own parser, and never a byte on the network."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from carbontracker import parser

from jobs.energy import carbontracker_bridge
from jobs.energy.carbontracker_bridge import EpochLog, device_names
from jobs.energy.epochs import Epochs
from jobs.energy.metering import RunMeter
from jobs.rundir import RunDirectory
from jobs.spec import MeteringSpec
from tests.jobs.energy.fakes import FakeGpu, FakeNvml


@pytest.fixture(autouse=True)
def network_attempts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Every look-up and every connection is refused and remembered."""
    attempts: list[object] = []

    def refuse(*arguments: object, **_: object) -> object:
        attempts.append(arguments)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield attempts
    assert attempts == []


class Power:
    """CPU watts that tell when carbontracker has asked for them."""

    def __init__(self, watts: float | None) -> None:
        self.watts = watts
        self.asked = threading.Event()

    def __call__(self) -> float | None:
        if threading.current_thread().name == "CarbonTrackerThread":
            self.asked.set()
        return self.watts

    def wait_for_reading(self) -> None:
        self.asked.clear()
        assert self.asked.wait(timeout=30)


def test_epochs_are_read_back_by_carbontrackers_own_parser(tmp_path: Path) -> None:
    power = Power(42.5)
    log = EpochLog(tmp_path, "attempt-1", power)
    for watts in (42.5, 60.0):
        power.watts = watts
        power.asked.clear()
        log.begin_epoch()
        assert power.asked.wait(timeout=30)
        log.end_epoch()
    log.close()
    parsed = parser.parse_logs(str(tmp_path))

    assert set(parsed) >= {"cpu"}
    assert parsed["cpu"]["epoch_durations (s)"].shape == (2,)
    assert np.ravel(parsed["cpu"]["avg_power_usages (W)"])[0] == pytest.approx(42.5)
    assert np.ravel(parsed["cpu"]["avg_power_usages (W)"])[1] == pytest.approx(60.0)


def test_closing_ends_the_open_epoch_and_can_be_repeated(tmp_path: Path) -> None:
    power = Power(10.0)
    log = EpochLog(tmp_path, "attempt-1", power)
    log.begin_epoch()
    power.wait_for_reading()
    log.close()
    log.close()
    log.begin_epoch()

    assert len(parser.parse_logs(str(tmp_path))["cpu"]["epoch_durations (s)"]) == 1


def test_nothing_is_printed_on_the_jobs_own_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    power = Power(10.0)
    log = EpochLog(tmp_path, "attempt-1", power)
    log.begin_epoch()
    power.wait_for_reading()
    log.close()

    assert capfd.readouterr() == ("", "")


def test_a_run_meter_keeps_a_log_with_an_epoch_for_each_stretch_of_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = threading.Event()
    open_when_working = Epochs.open_when_working

    def open_and_tell(self: Epochs) -> None:
        open_when_working(self)
        if self._log is not None:
            opened.set()

    monkeypatch.setattr(Epochs, "open_when_working", open_and_tell)
    directory = RunDirectory(tmp_path)
    with RunMeter(directory, MeteringSpec(interval_seconds=0.02, meter="cpu-model"), "attempt-1") as meter:
        meter.mark("work", 0)
        assert opened.wait(timeout=60)
        meter.mark("checkpoint", 3)
        meter.mark("work", 3)
        meter.mark("shutdown", 6)

    assert len(parser.parse_logs(str(directory.carbontracker))["cpu"]["epoch_durations (s)"]) == 2


def test_a_run_without_carbontracker_is_metered_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jobs.energy.carbontracker_bridge", None)
    epochs = Epochs(tmp_path, "attempt-1", lambda: 1.0)
    epochs.follow(working=True)
    epochs.open_when_working()
    epochs.follow(working=False)
    epochs.close()

    assert list(tmp_path.iterdir()) == []


def test_gpu_power_is_the_sum_over_the_visible_gpus_also_where_they_are_named_by_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml([FakeGpu("GPU-a", milliwatts=100_000), FakeGpu("GPU-b", milliwatts=50_000), FakeGpu("GPU-c", milliwatts=25_000)])
    for name in ("nvmlInit", "nvmlShutdown", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetUUID"):
        monkeypatch.setattr(f"pynvml.{name}", getattr(nvml, name))
    monkeypatch.setattr("pynvml.nvmlDeviceGetPowerUsage", nvml.nvmlDeviceGetPowerUsage)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-c,GPU-a")
    gpus = carbontracker_bridge._VisibleGpus(pids=[], devices_by_pid=False)

    assert gpus.available()
    gpus.init()
    assert gpus.power_usage() == [125.0]


def test_devices_are_named() -> None:
    assert all(device_names())


def test_looking_for_devices_prints_nothing_into_the_documents_of_programs() -> None:
    script = "from jobs.energy.carbontracker_bridge import device_names\nprint(len(device_names()) > 0)"
    made = subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, capture_output=True, text=True)
    assert made.stdout == "True\n"


def test_metering_imports_neither_carbontracker_nor_torch_nor_pandas_before_the_work_begins() -> None:
    script = (
        "import sys, jobs.energy.metering, jobs.energy.model\n"
        "heavy = {'torch', 'monai', 'pandas', 'scipy', 'matplotlib', 'carbontracker', 'pynvml'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[3])
