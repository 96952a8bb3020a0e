"""What a replay achieved: emissions by the measured intensity, beside running at once and beside hindsight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from daemon.backtest.replay import Replay
from daemon.backtest.tasks import task_of
from daemon.backtest.trace import TraceJob
from daemon.backtest.world import World, terrain_on
from daemon.planner.field import Field, first_on_site
from daemon.planner.offers import best_offer
from daemon.planner.task import Piece
from forecast.intensity import FloatArray

LATE_TOLERANCE_SECONDS = 1e-3
TIE_SHARE = 1e-9
BOOTSTRAP_DRAWS, BOOTSTRAP_SEED = 1000, 0
KILO = 1000.0


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of one replay; energies and emissions at the facility, percentages of 100."""

    policy: str
    jobs: int
    late_jobs: int
    energy_kwh: float
    emissions_kg: float
    run_now_kg: float
    hindsight_kg: float
    transfer_kg: float
    savings_percent: float
    savings_low_percent: float
    savings_high_percent: float
    hindsight_share_percent: float | None
    mean_wait_hours: float
    peak_gpus: int
    worse_than_run_now_percent: float
    planner_seconds: float
    wall_seconds: float
    bridged_hours: int

    def document(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Account:
    """What each job emitted and would have emitted if run at once, in grams at the facility, and the energy; in the order of the jobs."""

    grams: FloatArray
    run_now_grams: FloatArray
    facility_kwh: FloatArray


def settled(jobs: Sequence[TraceJob], world: World, replayed: Replay, baseline: Replay) -> Account:
    """Every job by the measured intensity of the hours it ran in."""
    actual, run_now = (np.array([_grams(world, run.pieces[job.id]) for job in jobs]) for run in (replayed, baseline))
    return Account(actual, run_now, np.array([_facility_kwh(world, replayed.pieces[job.id]) for job in jobs]))


def score(jobs: Sequence[TraceJob], world: World, replayed: Replay, baseline: Replay, account: Account, wall_seconds: float) -> Score:
    """The figures of jobs that were accounted for so; `replayed` and `baseline` tell when they ran."""
    actual, run_now = account.grams, account.run_now_grams
    best = hindsight_grams(jobs, world)
    ends = np.array([max(piece.end for piece in replayed.pieces[job.id]) for job in jobs])
    due = np.array([world.seconds(job.deadline) for job in jobs])
    waits = ends - np.array([world.seconds(job.arrival + job.duration) for job in jobs])
    shifted = np.array([_moved(replayed.pieces[job.id], baseline.pieces[job.id]) for job in jobs])
    worse = shifted & (actual > run_now * (1 + TIE_SHARE))
    low, high = _interval(run_now, actual)
    possible = float(run_now.sum() - best.sum())
    saved = float(run_now.sum() - actual.sum())
    return Score(
        policy=replayed.policy,
        jobs=len(jobs),
        late_jobs=int((ends > due + LATE_TOLERANCE_SECONDS).sum()),
        energy_kwh=float(account.facility_kwh.sum()),
        emissions_kg=float(actual.sum()) / KILO,
        run_now_kg=float(run_now.sum()) / KILO,
        hindsight_kg=float(best.sum()) / KILO,
        transfer_kg=sum(_transfer_grams(world, replayed.pieces[job.id]) for job in jobs) / KILO,
        savings_percent=100 * saved / float(run_now.sum()),
        savings_low_percent=low,
        savings_high_percent=high,
        hindsight_share_percent=100 * saved / possible if possible > 0 else None,
        mean_wait_hours=float(waits.mean()) / 3600,
        peak_gpus=peak_gpus(jobs, replayed.pieces),
        worse_than_run_now_percent=100 * float(worse.sum()) / max(1, int(shifted.sum())),
        planner_seconds=replayed.planner_seconds,
        wall_seconds=wall_seconds,
        bridged_hours=world.bridged_hours,
    )


def hindsight_grams(jobs: Sequence[TraceJob], world: World) -> FloatArray:
    """The least each job could have emitted at home within its window, alone and knowing everything."""
    field = Field(terrain_on(world, world.rate))
    grams = []
    for job in jobs:
        task = task_of(world, job)
        field.look(task.release, task.due)
        at_home = replace(task, choices=task.choices[:1])
        offer = best_offer(at_home, field.terrain, field.free, task.release, task.due)
        window = [Piece(task.choices[0], task.release, task.release + task.choices[0].work)]
        grams.append(_grams(world, window if offer is None else offer.pieces))
    return np.array(grams)


def peak_gpus(jobs: Sequence[TraceJob], pieces: Mapping[str, Sequence[Piece]]) -> int:
    """The most GPUs in use at one instant, over all sites; a hand-over in the same instant counts once."""
    changes = [(round(at, 6), sign * job.gpus) for job in jobs for p in pieces[job.id] for at, sign in ((p.start, 1), (p.end, -1))]
    use = np.cumsum([gpus for _, gpus in sorted(changes)])
    return int(use.max(initial=0))


def _grams(world: World, pieces: Sequence[Piece]) -> float:
    work = sum(p.choice.power * world.grams_per_kw(p.choice.site, p.start, p.end) for p in pieces)
    return work + _transfer_grams(world, pieces)


def _transfer_grams(world: World, pieces: Sequence[Piece]) -> float:
    """What moving the job's data emitted, at the rate of the moment it arrived."""
    return sum(p.choice.once_kwh * world.rate_at(p.choice.site, p.start) for p in first_on_site(pieces))


def _facility_kwh(world: World, pieces: Sequence[Piece]) -> float:
    work = sum(p.choice.power * (p.end - p.start) / 3600 * world.sites[p.choice.site].pue for p in pieces)
    return work + sum(p.choice.once_kwh * world.sites[p.choice.site].pue for p in first_on_site(pieces))


def _moved(pieces: Sequence[Piece], baseline: Sequence[Piece]) -> bool:
    first, last = pieces[0], pieces[-1]
    begun = baseline[0]
    return first.choice.site != begun.choice.site or abs(first.start - begun.start) > 1.0 or abs(last.end - begun.end) > 1.0


def _interval(run_now: FloatArray, actual: FloatArray) -> tuple[float, float]:
    """Central 95 % of the saving in percent when jobs are drawn anew with replacement (bootstrap)."""
    random = np.random.default_rng(BOOTSTRAP_SEED)
    draws = random.integers(0, len(actual), (BOOTSTRAP_DRAWS, len(actual)))
    savings = 100 * (1 - actual[draws].sum(axis=1) / run_now[draws].sum(axis=1))
    low, high = np.quantile(savings, [0.025, 0.975])
    return float(low), float(high)
