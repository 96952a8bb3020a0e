"""What a whole workload is expected to cost: its parts by name, their sum, and an 80 % interval around it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from jobs.energy.calibration import Z80
from jobs.energy.configuration import Configuration
from jobs.energy.prediction import OriginKind, StepCost

JOULES_PER_KWH = 3.6e6

# In the order of a job's life. "work" are the steps or samples themselves; "data" is preparing the images and encoding them once;
# "waiting" are the devices that have nothing to do while one of them encodes, validates or writes a checkpoint.
PartName = Literal["startup", "data", "work", "validation", "checkpoints", "waiting"]
_IN_ORDER: tuple[PartName, ...] = get_args(PartName)


@dataclass(frozen=True, slots=True)
class Band:
    """A value with its central 80 % interval."""

    low: float
    mid: float
    high: float

    def plus(self, other: Band) -> Band:
        """Their sum where both err the same way, which is the cautious reading."""
        return Band(self.low + other.low, self.mid + other.mid, self.high + other.high)


@dataclass(frozen=True, slots=True)
class Part:
    """One of the things that a workload spends time and component energy on; waiting is beside other parts and takes no time."""

    name: PartName
    seconds: float
    joules: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a whole workload costs, one start-up included. Component energy, without PUE; real seconds.

    A step is what the workload's `total_steps` counts: an optimiser step of training (VQ-GAN and UNet steps, and everything
    else but start-up averaged), a sample of synthesis. `energy_kwh.mid` = (startup_joules + steps x step_joules) / 3.6e6,
    and likewise the seconds; the parts add up to the same. `idle_joules`, of all that, is what the devices and their host
    would have drawn meanwhile without any work; None where nobody knows. `common_sigma` and `bases` as in `StepCost`: what two
    estimates on one hardware err by alike.
    """

    energy_kwh: Band
    duration_seconds: Band
    power_watts: float
    startup_seconds: float
    startup_joules: float
    step_seconds: float
    step_joules: float
    steps: int
    origin: str
    origin_kind: OriginKind
    parts: tuple[Part, ...] = ()
    idle_joules: float | None = None
    common_sigma: float = 0.0
    bases: tuple[Configuration, ...] = ()


def add_up(parts: Mapping[PartName, StepCost], steps: int, idle_joules: float, origin: str) -> Estimate:
    """The estimate whose start-up is the part of that name. Its kind is that of the dearest part."""
    startup = parts["startup"]
    rest = [cost for name, cost in parts.items() if name != "startup"]
    work = rest[0]
    for cost in rest[1:]:
        work = work.plus(cost)
    joules, seconds = work.joules + startup.joules, work.seconds + startup.seconds
    energy = band(work.joules, work.sigma).plus(band(startup.joules, startup.sigma))
    return Estimate(
        energy_kwh=Band(energy.low / JOULES_PER_KWH, energy.mid / JOULES_PER_KWH, energy.high / JOULES_PER_KWH),
        duration_seconds=band(work.seconds, work.sigma).plus(band(startup.seconds, startup.sigma)),
        power_watts=joules / seconds,
        startup_seconds=startup.seconds,
        startup_joules=startup.joules,
        step_seconds=work.seconds / steps,
        step_joules=work.joules / steps,
        steps=steps,
        origin=origin,
        origin_kind=max(rest, key=lambda cost: cost.joules).kind,
        parts=tuple(Part(name, parts[name].seconds, parts[name].joules) for name in _IN_ORDER if name in parts),
        idle_joules=min(idle_joules, joules),
        common_sigma=work.common_sigma,
        bases=parts["work"].bases,
    )


def band(mid: float, sigma: float) -> Band:
    """Around a log-normal quantity's median."""
    factor = math.exp(Z80 * sigma)
    return Band(mid / factor, mid, mid * factor)
