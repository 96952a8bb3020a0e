"""From files to figures: what `lowtide backtest` does, without the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from time import perf_counter

from daemon.backtest.outlooks import Outlook, Persistence, StaticOutlook, noisy, own_forecasts
from daemon.backtest.replay import THROUGH_DAEMON, Replay, replay
from daemon.backtest.score import Score, score, settled
from daemon.backtest.trace import TraceJob, TraceSite
from daemon.backtest.world import World, build_world
from forecast.intensity import Series

LONGEST_STEP = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Backtest:
    """A replay with what it is compared to; `more` is what only some policies tell, by name."""

    jobs: Sequence[TraceJob]
    world: World
    replayed: Replay
    baseline: Replay
    score: Score
    more: Mapping[str, object] = field(default_factory=dict)


def backtest(
    jobs: Sequence[TraceJob],
    sites: Sequence[TraceSite],
    records: dict[str, Series],
    policy: str,
    forecast: str,
    step: timedelta,
    progress: Callable[[int], None] | None = None,
) -> Backtest:
    """Replay `jobs` and score them; `daemon` as policy has the daemon itself run them.

    Raises WorldProblem and ValueError with one sentence on what does not fit.
    """
    began = perf_counter()
    world = build_world(jobs, sites, records, step)
    baseline = replay(jobs, world, "run-now", StaticOutlook(world.rate))
    outlook = _outlook(forecast, jobs, world, records)
    if policy == THROUGH_DAEMON:
        return _through_daemon(jobs, world, baseline, outlook, began, progress)
    replayed = baseline if policy == "run-now" else replay(jobs, world, policy, outlook, progress)
    account = settled(jobs, world, replayed, baseline)
    return Backtest(jobs, world, replayed, baseline, score(jobs, world, replayed, baseline, account, perf_counter() - began))


def _through_daemon(
    jobs: Sequence[TraceJob],
    world: World,
    baseline: Replay,
    outlook: Outlook,
    began: float,
    progress: Callable[[int], None] | None,
) -> Backtest:
    from daemon.backtest.through_daemon.run import replay_through_daemon  # brings the store and all that a daemon has

    lived = replay_through_daemon(jobs, world, outlook, progress)
    figures = score(jobs, world, lived.replay, baseline, lived.account, perf_counter() - began)
    return Backtest(jobs, world, lived.replay, baseline, figures, {"ticks": lived.ticks, "ledger_hindsight_kg": lived.hindsight_kg})


def _outlook(forecast: str, jobs: Sequence[TraceJob], world: World, records: dict[str, Series]) -> Outlook:
    """`oracle`, `persistence`, `own` or `noise:SHARE:SEED`."""
    if forecast == "oracle":
        return StaticOutlook(world.rate)
    if forecast == "persistence":
        return Persistence(world)
    if forecast == "own":
        return own_forecasts(world, records, world.seconds(jobs[0].arrival), world.seconds(max(job.deadline for job in jobs)))
    word, *numbers = forecast.split(":")
    try:
        share, seed = float(numbers[0]), int(numbers[1])
    except (IndexError, ValueError):
        share, seed = -1.0, 0
    if word != "noise" or len(numbers) != 2 or not 0 <= share < float("inf") or seed < 0:
        raise ValueError(f"forecast {forecast!r} is not known: use oracle, persistence, own or noise:SHARE:SEED, for example noise:0.05:1")
    return noisy(world, share, seed)


def step_of(text: str) -> timedelta:
    """`30min`, `15min`, `1h`. Raises ValueError unless it divides an hour."""
    units = {"min": timedelta(minutes=1), "h": timedelta(hours=1)}
    unit = next((unit for unit in units if text.endswith(unit)), None)
    number = text.removesuffix(unit) if unit else ""
    if unit is None or not number.isdigit() or int(number) == 0:
        raise ValueError(f"step {text!r} is not a length: write it like 30min or 1h")
    step = int(number) * units[unit]
    if step > LONGEST_STEP or LONGEST_STEP % step:
        raise ValueError(f"step {text!r} must divide an hour: use 60min, 30min, 20min, 15min, 10min or 5min")
    return step
