"""Work that may still come: what to keep free before each deadline, from what came in the weeks before."""

from __future__ import annotations

import numpy as np

from daemon.planner.field import DAY_SECONDS
from daemon.planner.task import Task
from forecast.intensity import FloatArray

WEEK_SECONDS = 7 * DAY_SECONDS
WEEKS_LOOKED_BACK = 8
FORGOTTEN_SECONDS = (WEEKS_LOOKED_BACK + 2) * WEEK_SECONDS  # what came longer ago lies over no week before a deadline to come
FEWEST_JOBS = 50  # before a daemon gives up clean hours for what has not come yet
MOST_PATTERNS = 256
LATER_SECONDS = 2 * 3600.0  # what came at one time may come so much later this week
DEVIATIONS = 3.0  # above the mean of what came; so busy a week is rarer than one in a year


class Demand:
    """Jobs as they came. What comes at a time of the week is taken as a compound Poisson process: its mean is that of the last weeks,
    its variance the mean of their squared jobs (Daley and Vere-Jones, *Point Processes*, 2003, section 2.4).
    """

    def __init__(self) -> None:
        self._jobs: list[tuple[float, float, float, float]] = []
        self._began, self._noted = 0.0, 0
        self._patterns: dict[tuple[float, float, int, int], tuple[FloatArray, FloatArray, FloatArray]] = {}

    def note(self, task: Task, step: float) -> None:
        """The job that came first is noted first, others about in the order of their arrival.

        Each is counted with the half cell of `step` seconds that it leaves unused.
        """
        self._began = task.release if self._noted == 0 else self._began
        self._noted += 1
        gpus = task.gpus * task.width
        self._jobs.append((task.release, task.due, gpus, gpus * (task.shortest + step / 2)))
        if self._jobs[0][0] < task.release - 2 * FORGOTTEN_SECONDS:  # half of the list at once, so that it is seldom copied
            self._jobs = [job for job in self._jobs if job[0] >= task.release - FORGOTTEN_SECONDS]

    def is_known(self, now: float) -> bool:
        """Whether enough jobs have come lately to tell by them what may come: since a week, and more than a few."""
        if now - self._began < WEEK_SECONDS or len(self._jobs) < FEWEST_JOBS:
            return False
        return sum(job[0] >= now - FORGOTTEN_SECONDS for job in self._jobs) >= FEWEST_JOBS

    def to_come(self, starts: FloatArray, due: float, now: float) -> FloatArray:
        """GPU-seconds of jobs that may arrive after each of `starts` and cannot be left until after `due`; 0 on the first day."""
        period, many = self._known(now)
        if many == 0:
            return np.zeros(len(starts))
        seen = self._noted if due > now + period else 0  # what comes later does not lie a period before an earlier deadline
        key = (due, period, many, seen)
        if key not in self._patterns:
            if len(self._patterns) >= MOST_PATTERNS:
                self._patterns.clear()
            self._patterns[key] = self._pattern(due, period, many)
        arrival, after, squared = self._patterns[key]
        position = np.searchsorted(arrival, starts - LATER_SECONDS, side="left")
        mean, variance = after[position] / many, squared[position] / many
        # The mean itself is known only from so many periods.
        return np.asarray(mean + DEVIATIONS * np.sqrt(variance * (1 + 1 / many)), dtype=np.float64)

    def _known(self, now: float) -> tuple[float, int]:
        """The period after which jobs are taken to come again, and how many of them are known: days until there is a week."""
        since = now - self._began if self._noted else 0.0
        period = WEEK_SECONDS if since >= WEEK_SECONDS else DAY_SECONDS
        return period, min(WEEKS_LOOKED_BACK, int(since // period))

    def _pattern(self, due: float, period: float, many: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Arrivals of so many periods laid over each one of the week before `due`: when, and work and its squares from each on."""
        arrival, last, gpus, work = np.array(self._jobs).T
        shift = np.ceil((due - arrival) / period) * period - period
        use = (shift > 0) & (shift <= many * period)
        back = np.repeat(period * np.arange(round(WEEK_SECONDS / period)), np.count_nonzero(use))
        arrival, last, gpus, work, shift = (np.resize(values[use], len(back)) for values in (arrival, last, gpus, work, shift))
        arrival, last = arrival + shift - back, last + shift - back
        if period < WEEK_SECONDS:  # deadlines follow weeks: whatever could be due by then may be
            last = np.where(arrival + work / gpus <= due, due, np.inf)
        must = np.maximum(work - gpus * np.maximum(last - due, 0.0), 0.0)
        order = np.argsort(arrival, kind="stable")
        after = [np.concatenate((np.cumsum(values[order][::-1])[::-1], [0.0])) for values in (must, must**2)]
        return arrival[order], after[0], after[1]
