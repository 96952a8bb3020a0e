"""What edges ask of the last plan: the free windows that it left, what a new job would get of them, and why jobs wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from daemon.domain.explanation import Elsewhere, Explanation
from daemon.domain.plan import Placement, PlanJob, Unplaced

PreviewOf = Callable[[PlanJob], Placement | Unplaced]
MayName = Callable[[str], bool]  # whether whoever asks may hear of the job with this id
ExplainOf = Callable[[str, Sequence[Elsewhere], MayName], Explanation | None]


class Board:
    """Holds what answers for the last plan; the tick renews it, the edges ask from other threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._preview: PreviewOf | None = None
        self._explain: ExplainOf | None = None

    def renew(self, preview: PreviewOf, explain: ExplainOf) -> None:
        with self._lock:
            self._preview, self._explain = preview, explain

    def explain(self, job_id: str, elsewhere: Sequence[Elsewhere], may_name: MayName) -> Explanation | None:
        """Why the last plan treats the job as it does; None before there is a plan, or where the plan does not speak of it."""
        with self._lock:
            explain = self._explain
        return None if explain is None else explain(job_id, elsewhere, may_name)

    def preview(self, job: PlanJob) -> Placement | Unplaced:
        """The window the job would get now; the next tick decides."""
        with self._lock:
            preview = self._preview
        if preview is None:
            return Unplaced(job.id, "the first plan is being made: ask again in a moment")
        return preview(job)
