"""What a run may ask of the host it is started on."""

from __future__ import annotations

import os

from jobs.errors import BadInput


def check_threads(threads: int, cores: int | None) -> None:
    """Raises BadInput for more threads than the host has cores: they would only wait for each other and starve its other work."""
    if cores is not None and threads > cores:
        raise BadInput(f"threads: {threads} are more than this host has cores ({cores}): ask for {cores} or fewer, or for a larger host")


def usable_cores() -> int:
    """Cores that this process and those it starts may use: containers and batch systems often give fewer than the host has."""
    return len(os.sched_getaffinity(0))
