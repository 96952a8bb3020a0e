"""What an operator may choose about planning."""

from __future__ import annotations

from dataclasses import dataclass

from forecast.regret import WAIT_CONFIDENCE


@dataclass(frozen=True, slots=True)
class PlannerOptions:
    """How carefully and how boldly to plan. The defaults suit a daemon that plans every few seconds.

    `wait_confidence`: a new job waits only if the expected saving exceeds this many standard deviations of its forecast
    error; 0 trusts the forecast's mean. `keep_threshold`: share of its emissions that a move of an already planned job
    must save, or of those of the hours it leaves where it may pause. `deadline_margin`: share of the work kept free before
    the deadline where that is possible, because estimates err. Effort is counted, not timed, so that equal snapshots give
    equal plans: `price_rounds` towards the bound and the prices, `search_steps` of ruin and recreate, `moves` of jobs that
    were planned before or may pause.
    """

    wait_confidence: float = WAIT_CONFIDENCE
    keep_threshold: float = 0.03
    deadline_margin: float = 0.1
    price_rounds: int = 80
    search_steps: int = 4000
    moves: int = 200
    seed: int = 0
