"""The replay itself: jobs become known when they arrive, the clock is moved by hand, nothing sees the future."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from daemon.backtest.field import Field, LiveJob
from daemon.backtest.outlooks import Outlook
from daemon.backtest.policies import LowestSlots, LowestWindow, Planner, Policy, run_now
from daemon.backtest.trace import TraceJob
from daemon.backtest.world import World
from daemon.planner.options import PlannerOptions
from daemon.planner.task import Piece

POLICIES = ("run-now", "lowest-window", "lowest-slots", "planner")
RENEW_SECONDS = 3 * 3600.0  # how often waiting jobs are looked at again while the outlook changes
REACH_SECONDS = 96 * 3600.0  # how far ahead an outlook is asked for at least


@dataclass(frozen=True, slots=True)
class Replay:
    """Where and when every job ran, by job id, and how long the policy thought about it in all."""

    policy: str
    pieces: Mapping[str, Sequence[Piece]]
    planner_seconds: float


def replay(jobs: Sequence[TraceJob], world: World, policy: str, outlook: Outlook, progress: Callable[[int], None] | None = None) -> Replay:
    """Run `policy` over the trace. `progress` is told how many jobs have arrived. Raises WorldProblem on a trace that does not fit."""
    if policy == "run-now":
        began = perf_counter()
        return Replay(policy, run_now(jobs, world), perf_counter() - began)
    field, placing = Field(world, outlook), _policy(policy)
    done: dict[str, LiveJob] = {}
    spent, renewed = 0.0, -RENEW_SECONDS
    for number, job in enumerate(jobs):
        now = world.seconds(job.arrival)
        began = perf_counter()
        if not outlook.is_static:
            renewed = _renew(field, placing, renewed, now)
        field.advance(now)
        live = done[job.id] = field.live[job.id] = LiveJob(job, field.task_of(job))
        if not outlook.is_static:
            _learn(field, now)
        field.arrivals.note(live.task)
        placing.arrive(field, live, now)
        spent += perf_counter() - began
        if progress is not None:
            progress(number + 1)
    if not outlook.is_static:
        began = perf_counter()
        _renew(field, placing, renewed, max((live.task.due for live in field.live.values()), default=0.0))
        spent += perf_counter() - began
    return Replay(policy, {name: live.pieces() for name, live in done.items()}, spent)


def _policy(name: str) -> Policy:
    if name == "planner":
        return Planner(PlannerOptions().wait_confidence)
    return LowestWindow() if name == "lowest-window" else LowestSlots()


def _renew(field: Field, policy: Policy, renewed: float, now: float) -> float:
    """Let waiting jobs see newer outlooks at fixed intervals until `now`; when that was last."""
    renewed = max(renewed, now - REACH_SECONDS)
    while renewed + RENEW_SECONDS <= now:
        renewed += RENEW_SECONDS
        field.advance(renewed)
        if field.live:
            _learn(field, renewed)
            policy.renew(field, renewed)
    return renewed


def _learn(field: Field, now: float) -> None:
    reach = max([now + REACH_SECONDS, *(live.task.due for live in field.live.values())])
    field.outlook.renew(field.terrain, now, reach)
