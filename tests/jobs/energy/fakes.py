"""Clocks and counters that tests turn by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jobs.rundir import Provenance


@dataclass
class Hand:
    """A running total that a test sets; calling it reads it."""

    value: float = 0.0

    def __call__(self) -> float:
        return self.value


@dataclass
class WallClock:
    """Real-looking UTC that only moves when told to. `elapsed_seconds` is what a clock that nobody sets would count."""

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    elapsed: float = 0.0

    def __call__(self) -> datetime:
        return self.at

    def elapsed_seconds(self) -> float:
        return self.elapsed

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.elapsed += seconds

    def set_by(self, seconds: float) -> None:
        """As somebody, or a time server, sets a clock: no time passes."""
        self.at += timedelta(seconds=seconds)


@dataclass
class ConstantPower:
    """A source of constant watts; like a real one, it does not ask what the clock was set to."""

    clock: WallClock
    watts: float
    component: str = "cpu"
    provenance: Provenance = "measured"
    closed: bool = False

    def __post_init__(self) -> None:
        self._last = self.clock.elapsed

    def joules_since_last(self) -> Mapping[str, float]:
        seconds, self._last = self.clock.elapsed - self._last, self.clock.elapsed
        return {self.component: self.watts * seconds}

    def close(self) -> None:
        self.closed = True


class FakeDriverError(Exception):
    """Stands for pynvml.NVMLError."""


@dataclass
class FakeGpu:
    uuid: str
    millijoules: int | None = 0  # None: no energy counter
    milliwatts: int | None = 0  # None: no power reading


@dataclass
class FakeNvml:
    """A driver with hand-set counters."""

    gpus: list[FakeGpu]
    driver: str | None = "550.54.15"  # None: does not tell
    initialised: int = 0
    shut_down: int = 0
    NVMLError: type[Exception] = field(default=FakeDriverError)

    def nvmlInit(self) -> None:
        self.initialised += 1

    def nvmlShutdown(self) -> None:
        self.shut_down += 1

    def nvmlSystemGetDriverVersion(self) -> str:
        if self.driver is None:
            raise FakeDriverError("Unknown Error")
        return self.driver

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:
        return self.gpus[index]

    def nvmlDeviceGetUUID(self, handle: FakeGpu) -> str:
        return handle.uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: FakeGpu) -> int:
        if handle.millijoules is None:
            raise FakeDriverError("Not Supported")
        return handle.millijoules

    def nvmlDeviceGetPowerUsage(self, handle: FakeGpu) -> int:
        if handle.milliwatts is None:
            raise FakeDriverError("Not Supported")
        return handle.milliwatts


class Powercap:
    """A powercap folder of real files, as the kernel lays them out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, folder: str, name: str, microjoules: int = 0, range_microjoules: int = 262_143_328_850) -> None:
        (self.folder / folder).mkdir()
        (self.folder / folder / "name").write_text(name + "\n")
        (self.folder / folder / "max_energy_range_uj").write_text(f"{range_microjoules}\n")
        self.set(folder, microjoules)

    def set(self, folder: str, microjoules: int) -> None:
        (self.folder / folder / "energy_uj").write_text(f"{microjoules}\n")

    def take_away(self, folder: str) -> None:
        (self.folder / folder / "energy_uj").unlink()
