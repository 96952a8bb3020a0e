"""Keeps carbontracker's log of a run beside our own records, if carbontracker is there; never in the way of the work."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.energy.carbontracker_bridge import EpochLog

log = logging.getLogger(__name__)


class Epochs:
    """An epoch is a stretch of work between start-up, checkpoints and the end.

    The log is opened late and on the meter's thread: by the time work begins, torch and MONAI have imported nearly all
    that carbontracker needs, so it costs some 0.05 s instead of 0.8 s.
    """

    def __init__(self, folder: Path, attempt_id: str, cpu_watts: Callable[[], float | None]) -> None:
        self._folder, self._attempt_id, self._cpu_watts = folder, attempt_id, cpu_watts
        self._lock = threading.Lock()
        self._log: EpochLog | None = None
        self._working = False
        self._over = False

    def follow(self, working: bool) -> None:
        """Work begins or ends now. Quick; called on the working thread where the phase changes."""
        with self._lock:
            self._working = working
            if self._log is not None:
                self._guarded(self._log.begin_epoch if working else self._log.end_epoch)

    def open_when_working(self) -> None:
        """Open the log if work is under way and it is not open yet. Takes a while the first time."""
        if self._log is not None or self._over or not self._working:
            return
        try:
            from jobs.energy.carbontracker_bridge import EpochLog

            opened = EpochLog(self._folder, self._attempt_id, self._cpu_watts)
        except Exception as error:  # noqa: BLE001  an optional reading must not stop the work, whatever it throws
            log.info("no carbontracker log for this run: %s", error)
            self._over = True
            return
        with self._lock:
            self._log = opened
            if self._working:
                self._guarded(opened.begin_epoch)

    def close(self) -> None:
        """End the log; safe to repeat."""
        with self._lock:
            self._over = True
            closing, self._log = self._log, None
        if closing is not None:
            self._guarded(closing.close)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001  as above
            log.warning("carbontracker's log of this run is incomplete: %s", error)
