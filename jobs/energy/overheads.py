"""What a job costs beside its steps on one kind of hardware: writing checkpoints, preparing images, devices that wait.

Reading the prepared images and latents again at every step is not among them: they come from the page cache, and that is in
what a step was measured to take.
"""

from __future__ import annotations

import math

from jobs.energy.hardware import HardwareProfile, Overhead
from jobs.energy.prediction import OriginKind, StepCost
from jobs.spec import CHECKPOINT_EVERY_SECONDS, CHECKPOINTS_SHARE_OF_TIME

# Where a profile does not tell: 0.2 GB/s to write, flush and check; a CT slice of 128 x 128 took 0.03 s to read and fit, a volume
# of 128 x 128 x 128 0.28 s.
ASSUMED_CHECKPOINT = Overhead(seconds_each=0.05, seconds_per_gb=5.0)
ASSUMED_PREPARATION = Overhead(seconds_each=0.03, seconds_per_gb=30.0)

# Standard deviations of log(real / predicted); judgements.
_MEASURED, _ASSUMED = 0.3, 0.7  # disks and caches differ; so do files, compressed or not, of more voxels than are kept or as many


class Overheads:
    """Predictions from a profile, or from what is assumed where it tells nothing."""

    def __init__(self, profile: HardwareProfile) -> None:
        self._profile = profile

    def checkpoint(self, gigabytes: float) -> StepCost:
        """Writing one of that size."""
        return self._cost(self._profile.checkpoint, ASSUMED_CHECKPOINT, gigabytes)

    def preparation(self, gigabytes: float) -> StepCost:
        """Reading one image and fitting it to the model, where it then has that size."""
        return self._cost(self._profile.preparation, ASSUMED_PREPARATION, gigabytes)

    def waiting_joules(self, seconds: float, devices: int) -> float:
        """Of the others among so many devices while one of them works alone. A CPU's idle power is counted once as it is."""
        return seconds * self._profile.idle_watts * (devices - 1) if self._profile.kind == "gpu" else 0.0

    def idle_joules(self, seconds: float, devices: int) -> float:
        """What the devices and their share of the host would draw in that time if they had nothing to do."""
        return seconds * self._profile.idle_watts * (devices if self._profile.kind == "gpu" else 1)

    def _cost(self, told: Overhead | None, assumed: Overhead, gigabytes: float) -> StepCost:
        overhead = told or assumed
        seconds = overhead.seconds_each + gigabytes * overhead.seconds_per_gb
        joules = seconds * (overhead.watts or self._profile.waiting_watts)
        return StepCost(seconds, joules, _ASSUMED if told is None else _MEASURED, OriginKind.COEFFICIENTS)


def checkpoints_while(work_seconds: float, unit_seconds: float, each_seconds: float) -> int:
    """How many fall due during the work, if one is only written between its units (steps, or evaluations of the UNet).

    As `jobs.session.Session` does it: the longer each takes, the longer the pause before the next.
    """
    least_seconds = max(CHECKPOINT_EVERY_SECONDS, each_seconds / CHECKPOINTS_SHARE_OF_TIME)
    return int(work_seconds / (math.ceil(least_seconds / unit_seconds) * unit_seconds))
