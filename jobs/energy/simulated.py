"""A source that draws a constant power, for dry runs and tests of everything behind the meter."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from jobs.rundir import Provenance

Clock = Callable[[], float]


class SimulatedSource:
    """`watts` around the clock under the component name `simulated`; the joules are simulated, and say so."""

    provenance: Provenance = "simulated"

    def __init__(self, watts: float, monotonic_seconds: Clock = time.monotonic) -> None:
        self._watts = watts
        self._clock = monotonic_seconds
        self._last_seconds = monotonic_seconds()

    def joules_since_last(self) -> Mapping[str, float]:
        now = self._clock()
        elapsed, self._last_seconds = now - self._last_seconds, now
        return {"simulated": self._watts * elapsed}

    def close(self) -> None:
        """Nothing is held."""
