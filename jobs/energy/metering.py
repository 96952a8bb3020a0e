"""The meter of a run: half-open intervals of component energy, written while the work goes on.

It has a thread of its own, so the work only says where it stands (`mark`). Nothing that goes wrong here may stop the work:
a source that fails leaves its component out of the record (unknown, not zero), a disk that cannot be written keeps the
records waiting, and both are logged.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from jobs.energy.epochs import Epochs
from jobs.energy.source import PowerSource
from jobs.energy.sources import open_sources
from jobs.rundir import EnergyRecord, Phase, Provenance, RunDirectory
from jobs.spec import MeteringSpec

log = logging.getLogger(__name__)

# However long the intervals are, sources are read this often: power samples need it, and counters then never wrap twice.
_LONGEST_READING_SECONDS = 1.0
_CLOCK_WAS_SET = timedelta(seconds=1)  # a difference that is no rounding: between records, a clock does not lose as much by itself


class RunMeter:
    """Writes `energy.jsonl` for one attempt: consecutive records without gap or overlap, from construction to `close`.

    A record is as long as it took by a clock that nobody sets (`elapsed_seconds`), and begins where the one before ended, or where the
    computer's clock was set to meanwhile: one that is set back loses no joule, one that is set forward, or slept, draws no power for that.
    A record ends every `metering.interval_seconds` and wherever `mark` changes the phase. `step_from` and `step_to` are the
    steps done at its ends; steps are only made in phase `work`, so a record of another phase has both equal.
    """

    def __init__(
        self,
        directory: RunDirectory,
        metering: MeteringSpec,
        attempt_id: str,
        *,
        sources: Iterable[PowerSource] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        elapsed_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._attempt_id = attempt_id
        self._interval_seconds = metering.interval_seconds
        self._now, self._elapsed_seconds = now, elapsed_seconds
        self._lock = threading.Lock()  # guards the open record and the sources
        self._writing = threading.Lock()  # keeps lines in order; never taken by `mark`
        self._stop = threading.Event()
        self._closed = False
        self._phase: Phase = "startup"
        self._step = 0
        self._sources = list(open_sources(metering) if sources is None else sources)
        self._provenance: dict[str, Provenance] = {}
        self._joules: defaultdict[str, float] = defaultdict(float)
        self._start = self._read_at = now()
        self._started_seconds = self._read_seconds = elapsed_seconds()  # the same moment
        self._watts: dict[str, float] = {}  # component -> mean power between the last two readings
        self._epochs = Epochs(directory.carbontracker, attempt_id, self._cpu_watts)
        self._step_from = 0
        self._waiting: list[EnergyRecord] = []
        self._write_failed = False
        self._thread = threading.Thread(target=self._run, name="lowtide-meter", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def mark(self, phase: Phase, step: int) -> None:
        """Say that `step` steps are done and what comes next. Called every step: two assignments unless the phase changes."""
        self._step = step
        if phase != self._phase:
            with self._lock:
                self._cut()
                self._phase = phase
                self._epochs.follow(phase == "work")

    def close(self) -> None:
        """Write the last open record and let go of the sources; safe to repeat, and later marks change nothing."""
        if self._stop.is_set():
            return
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            self._cut()
            self._closed = True
        self._epochs.close()
        self._write_waiting()
        if self._waiting:
            log.error("%d energy records could not be written to %s and are lost", len(self._waiting), self._directory.energy_file)
        for source in self._sources:
            _guarded(source.close)

    def _run(self) -> None:
        until_reading = min(self._interval_seconds, _LONGEST_READING_SECONDS)
        while not self._stop.wait(until_reading):
            try:
                self._look(until_reading)
                self._write_waiting()
                self._epochs.open_when_working()
            except Exception:  # the work must not lose its meter for one bad moment
                log.exception("the meter stumbled; it goes on")

    def _look(self, until_next_seconds: float) -> None:
        """Cut if the interval is over by now (or nearer its end than the next look would be), else only read."""
        with self._lock:
            if self._elapsed_seconds() - self._started_seconds >= self._interval_seconds - until_next_seconds / 2:
                self._cut()
            else:
                self._read_sources()

    def _read_sources(self) -> None:
        """Add what the sources have counted since the last look to the open record."""
        before, self._read_seconds, self._read_at = self._read_seconds, self._elapsed_seconds(), self._now()
        seconds = self._read_seconds - before
        watts: dict[str, float] = {}
        for source in self._sources:
            try:
                reading = source.joules_since_last()
            except Exception:  # whatever a driver throws, the work goes on
                log.exception("an energy source failed; its components are unknown until it works again")
                continue
            for component, joules in reading.items():
                self._joules[component] += joules
                self._provenance[component] = source.provenance
                if seconds > 0:
                    watts[component] = joules / seconds
        self._watts = watts  # replaced whole: carbontracker's thread may be reading the old one

    def _cpu_watts(self) -> float | None:
        """Power of all but the GPUs at the last reading; None if unknown. Called on carbontracker's thread."""
        watts = [each for component, each in self._watts.items() if not component.startswith("gpu")]
        return sum(watts) if watts else None

    def _cut(self) -> None:
        """End the open record here and start the next; with the clock standing still, it stays open."""
        if self._closed:
            return
        self._read_sources()
        end = self._start + timedelta(seconds=self._read_seconds - self._started_seconds)
        if end <= self._start:
            return
        working = self._phase == "work"
        self._waiting.append(
            EnergyRecord(
                attempt_id=self._attempt_id,
                start=self._start,
                end=end,
                joules=dict(self._joules),
                provenance={component: self._provenance[component] for component in self._joules},
                phase=self._phase,
                step_from=self._step_from if working else self._step,
                step_to=self._step,
            )
        )
        was_set = abs(self._read_at - end) >= _CLOCK_WAS_SET
        self._start, self._started_seconds = self._read_at if was_set else end, self._read_seconds
        self._step_from = self._step
        self._joules.clear()

    def _write_waiting(self) -> None:
        with self._writing:
            while self._waiting:
                try:
                    self._directory.append_energy(self._waiting[0])
                except OSError as error:
                    if not self._write_failed:
                        log.error("energy records cannot be written and wait in memory: %s", error)
                    self._write_failed = True
                    return
                self._write_failed = False
                self._waiting.pop(0)


def _guarded(close: Callable[[], None]) -> None:
    try:
        close()
    except Exception:
        log.exception("an energy source could not be closed")
