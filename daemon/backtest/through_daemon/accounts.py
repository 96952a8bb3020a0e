"""What the replayed daemon's store and ledger say of every job: when and where it ran, and what it emitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from daemon.backtest.score import KILO, Account
from daemon.backtest.tasks import choice_at
from daemon.backtest.through_daemon.drive import Replayed
from daemon.backtest.through_daemon.requests import site_name
from daemon.backtest.world import WorldProblem
from daemon.domain.job import Attempt
from daemon.domain.ledger import LedgerEntry
from daemon.planner.task import Piece
from forecast.intensity import FloatArray
from forecast.timeline import HOUR, ceil_to


def settle(replayed: Replayed) -> Mapping[str, LedgerEntry]:
    """Let the daemon close the accounts of all jobs, once every hour of their windows is final; the entries by the trace's ids.

    Raises WorldProblem where one stays open.
    """
    last = max([replayed.now, *(job.deadline for job in replayed.jobs)])
    replayed.now = ceil_to(last, HOUR) + replayed.final_after + HOUR
    by_job = {entry.job_id: entry for entry in replayed.daemon.settler.settle()}
    unsettled = next((name for name, job_id in replayed.ids.items() if job_id not in by_job), None)
    if unsettled is not None:
        raise WorldProblem(f"job {unsettled}: its account could not be closed; the log above says why")
    return {name: by_job[job_id] for name, job_id in replayed.ids.items()}


def pieces_of(replayed: Replayed) -> dict[str, list[Piece]]:
    """When and where each job ran, by the trace's ids."""
    world, rows = replayed.world, {site_name(row): row for row in range(len(replayed.world.sites))}
    with replayed.daemon.store.read() as reader:
        attempts = reader.attempts_of(list(replayed.ids.values()))
    pieces: dict[str, list[Piece]] = {}
    for job in replayed.jobs:
        worked = [attempt for attempt in attempts[replayed.ids[job.id]] if _worked(attempt)]
        pieces[job.id] = [
            Piece(choice_at(world, job, rows[one.site]), world.seconds(one.created_at), world.seconds(one.ended_at or one.created_at))
            for one in worked
        ]
    return pieces


def _worked(attempt: Attempt) -> bool:
    return attempt.ended_at is not None and attempt.ended_at > attempt.created_at


def account_of(replayed: Replayed, entries: Mapping[str, LedgerEntry]) -> Account:
    """The ledger's figures in the order of the trace. Raises WorldProblem where an emission is unknown."""
    return Account(
        grams=_column(replayed, entries, "actual_g"),
        run_now_grams=_column(replayed, entries, "baseline_g"),
        facility_kwh=_column(replayed, entries, "facility_energy_kwh"),
    )


def hindsight_kg(entries: Iterable[LedgerEntry]) -> float | None:
    """The least that the jobs could have emitted, each alone at the best of its sites; None where one's is unknown."""
    grams = [entry.hindsight_g for entry in entries]
    known = [each for each in grams if each is not None]
    return sum(known) / KILO if len(known) == len(grams) else None


def _column(replayed: Replayed, entries: Mapping[str, LedgerEntry], name: str) -> FloatArray:
    values: Sequence[float | None] = [getattr(entries[job.id], name) for job in replayed.jobs]
    for job, value in zip(replayed.jobs, values, strict=True):
        if value is None:
            raise WorldProblem(f"job {job.id}: the ledger knows no {name}: its hours are not all recorded")
    return np.array(values, dtype=np.float64)
