"""How fast this machine is just now: one fixed step, timed again and again beside whatever is measured. Imports torch: node only.

A machine that others share wanders: on a virtual machine with nothing else to do, equal steps took 10 to 20 % more CPU time in
one second than in another, and the same factor hit whatever ran then. Ten steps in a row see one such moment. Counted in steps
of a reference timed just before and after, they repeat within 2 to 3 %.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from jobs.energy.configuration import Configuration
from jobs.energy.workbench import Workbench
from jobs.spec import ModelSpec

REFERENCE = Configuration("denoise", ModelSpec(dimensions=2, size="tiny", image_shape=(64, 64)), batch_size=4)
_WARM_UP_STEPS = 5

Clock = Callable[[], float]


def cpu_clock(threads: int) -> Clock:
    """CPU time on one thread, so that other work on the machine does not count; wall time for several, which wait for each other."""
    return time.process_time if threads == 1 else time.perf_counter


class Pace:
    """Times the reference on as many CPU threads as what is measured runs on."""

    def __init__(self, threads: int = 1) -> None:
        self._clock = cpu_clock(threads)
        bench = Workbench(REFERENCE)  # all of one process share the number of threads: that of the last network made
        self._step = bench.step
        for _ in range(_WARM_UP_STEPS):
            self._step()

    def seconds(self) -> float:
        """What one step of the reference takes now."""
        start = self._clock()
        self._step()
        return self._clock() - start


def paced(seconds: list[float], references: list[float]) -> float:
    """Seconds of a usual step at the mean pace of its measurement: each is counted in steps of the reference around it.

    `references` has one entry for each of `seconds`. The median, so that one disturbed step does not count.
    """
    ratios = [each / reference for each, reference in zip(seconds, references, strict=True)]
    return statistics.median(ratios) * statistics.mean(references)
