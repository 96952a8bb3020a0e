"""What holds a live attempt up, told on its job for as long as it lasts: whoever looks at the job must see why nothing moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from daemon.domain.job import Attempt, Event
from daemon.store import Writer

_HELD_UP = "held up at "


def tell_hold_up(writer: Writer, attempt: Attempt, kind: str, reason: str, now: datetime) -> None:
    """Put the reason on the job; an event of that kind when it begins, not at every tick."""
    job = writer.job(attempt.job_id)
    if job.state.is_final or not is_news(job.reason, attempt, reason):
        return
    told = f"{_opening(attempt)}{reason}"
    writer.change_job(replace(job, reason=told), None if is_held_up(job.reason, attempt) else Event(job.id, now, kind, told))


def is_news(told: str, attempt: Attempt, reason: str) -> bool:
    """Whether the reason is to be put on the job, which says `told` now.

    A hold-up elsewhere stands until it is over: two would take turns at every tick.
    """
    if told.startswith(_HELD_UP) and not is_held_up(told, attempt):
        return False
    return told != f"{_opening(attempt)}{reason}"


def is_held_up(told: str, attempt: Attempt) -> bool:
    """Whether what its job says tells of a hold-up where this attempt is."""
    return told.startswith(_opening(attempt))


def tell_it_goes_on(writer: Writer, attempt: Attempt) -> None:
    """Take the hold-up's reason back."""
    job = writer.job(attempt.job_id)
    if is_held_up(job.reason, attempt) and not job.state.is_final:
        writer.change_job(replace(job, reason=f"running at {attempt.site}"))


def tell_the_others_go_on(writer: Writer, ended: Attempt, others: Sequence[Attempt]) -> None:
    """Take back the hold-up of an attempt that has ended; where others are at its site, they tell how it is there."""
    job = writer.job(ended.job_id)
    if is_held_up(job.reason, ended) and all(other.site != ended.site for other in others):
        writer.change_job(replace(job, reason=f"running at {others[0].site}"))


def _opening(attempt: Attempt) -> str:
    return f"{_HELD_UP}{attempt.site}: "
