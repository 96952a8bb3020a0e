"""Work that may still come: what to keep free before each deadline, from what came in the weeks before."""

from __future__ import annotations

import numpy as np

from daemon.planner.task import Task
from forecast.intensity import FloatArray

WEEK_SECONDS = 7 * 86400.0
WEEKS_LOOKED_BACK = 8
MOST_PATTERNS = 256
LATER_SECONDS = 2 * 3600.0  # what came at one time may come so much later this week
DEVIATIONS = 3.0  # above the mean of what came; so busy a week is rarer than one in a year


class Demand:
    """Jobs as they came. What comes at a time of the week is taken as a compound Poisson process: its mean is that of the last weeks,
    its variance the mean of their squared jobs (Daley and Vere-Jones, *Point Processes*, 2003, section 2.4).
    """

    def __init__(self) -> None:
        self._jobs: list[tuple[float, float, float, float]] = []
        self._patterns: dict[tuple[float, int, int], tuple[FloatArray, FloatArray, FloatArray]] = {}

    def note(self, task: Task, step: float) -> None:
        """Jobs are noted in the order of their arrival. Each is counted with the half cell of `step` seconds that it leaves unused."""
        self._jobs.append((task.release, task.due, task.gpus, task.gpus * (task.shortest + step / 2)))

    def to_come(self, starts: FloatArray, due: float, now: float) -> FloatArray:
        """GPU-seconds of jobs that may arrive after each of `starts` and cannot be left until after `due`; 0 in the first week."""
        weeks = self._weeks(now)
        if weeks == 0:
            return np.zeros(len(starts))
        seen = len(self._jobs) if due > now + WEEK_SECONDS else 0  # what comes later does not lie a week before an earlier deadline
        key = (due, weeks, seen)
        if key not in self._patterns:
            if len(self._patterns) >= MOST_PATTERNS:
                self._patterns.clear()
            self._patterns[key] = self._pattern(due, weeks)
        arrival, after, squared = self._patterns[key]
        position = np.searchsorted(arrival, starts - LATER_SECONDS, side="left")
        mean, variance = after[position] / weeks, squared[position] / weeks
        # The mean itself is known only from so many weeks.
        return np.asarray(mean + DEVIATIONS * np.sqrt(variance * (1 + 1 / weeks)), dtype=np.float64)

    def _weeks(self, now: float) -> int:
        return min(WEEKS_LOOKED_BACK, int((now - self._jobs[0][0]) // WEEK_SECONDS)) if self._jobs else 0

    def _pattern(self, due: float, weeks: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Arrivals of all these weeks laid over the one before `due`, with the work and its squares from each on to the end."""
        jobs = np.array(self._jobs)
        arrival, last, gpus, work = jobs.T
        shift = np.ceil((due - arrival) / WEEK_SECONDS) * WEEK_SECONDS - WEEK_SECONDS
        use = (shift > 0) & (shift <= weeks * WEEK_SECONDS)
        arrival, shift = arrival[use] + shift[use], shift[use]
        must = np.maximum(work[use] - gpus[use] * np.maximum(last[use] + shift - due, 0.0), 0.0)
        order = np.argsort(arrival, kind="stable")
        after = [np.concatenate((np.cumsum(values[order][::-1])[::-1], [0.0])) for values in (must, must**2)]
        return arrival[order], after[0], after[1]
