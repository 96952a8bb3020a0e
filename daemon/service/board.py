"""What the submit call needs at once: the free windows that the last tick left, and what a job would get of them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from daemon.domain.plan import Placement, PlanJob, Unplaced

PreviewOf = Callable[[PlanJob], Placement | Unplaced]


class Board:
    """Holds the newest preview function; the tick renews it, submissions read it from other threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._preview: PreviewOf | None = None

    def renew(self, preview: PreviewOf) -> None:
        with self._lock:
            self._preview = preview

    def preview(self, job: PlanJob) -> Placement | Unplaced:
        """The window the job would get now; the next tick decides."""
        with self._lock:
            preview = self._preview
        if preview is None:
            return Unplaced(job.id, "the first plan is being made: ask again in a moment")
        return preview(job)
