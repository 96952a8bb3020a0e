"""Answers why a job waits, from the last plan: computed when somebody looks at the job, not for every tick or list."""

from __future__ import annotations

from daemon.domain.caller import Caller
from daemon.service.board import Board
from daemon.service.explanation_view import ExplanationView, explanation_view
from daemon.service.isolation import poisoned_alone
from daemon.service.seeing import may_name
from daemon.service.snapshot import Photographer, weights_of
from daemon.service.work import JobWork
from daemon.store import Reader


class Explainer:
    """Explains jobs that are not final with the plan that the tick left on the board."""

    def __init__(self, board: Board, photographer: Photographer) -> None:
        self._board, self._photographer = board, photographer

    def explain(self, reader: Reader, work: JobWork, caller: Caller) -> ExplanationView | None:
        """As the caller may hear it; None for an ended job and for one the last plan does not speak of: it is new, or runs in one piece."""
        if work.job.state.is_final or work.job.cancel_requested:
            return None
        explanation = None
        with poisoned_alone("explain", job=work.job.id):  # whatever is wrong with it, people must be able to look at the job
            elsewhere = self._photographer.elsewhere(work, weights_of(reader, {work.job.id: work}))
            explanation = self._board.explain(work.job.id, elsewhere, may_name(reader, caller))
        return None if explanation is None else explanation_view(explanation)
