"""What a run may ask of the host it is started on."""

from __future__ import annotations

import math
import os
from pathlib import Path

from jobs.cgroup import cpu_quota_cores
from jobs.errors import BadInput


def check_threads(threads: int, cores: int | None) -> None:
    """Raises BadInput for more threads than the host has cores: they would only wait for each other and starve its other work."""
    if cores is not None and threads > cores:
        raise BadInput(f"threads: {threads} are more than this host has cores ({cores}): ask for {cores} or fewer, or for a larger host")


def usable_cores(root: Path = Path("/")) -> int:
    """Cores that this process and those it starts may use: containers and batch systems often give fewer than the host has.

    The smaller of the cores it may run on and the CPU time its control groups allow, a part of a core counted as one. `root` is
    where /proc and /sys are.
    """
    quota = cpu_quota_cores(root)
    allowed = len(os.sched_getaffinity(0))
    return allowed if quota is None else min(allowed, math.ceil(quota))
