"""The replay itself: jobs become known when they arrive, the clock is moved by hand, nothing sees the future."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from daemon.backtest.outlooks import Outlook
from daemon.backtest.policies import LowestSlots, LowestWindow, Policy, WholeQueue, run_now
from daemon.backtest.tasks import task_of
from daemon.backtest.trace import TraceJob
from daemon.backtest.world import World, terrain_on
from daemon.planner.field import Field, Held
from daemon.planner.options import PlannerOptions
from daemon.planner.task import Piece

POLICIES = ("run-now", "lowest-window", "lowest-slots", "planner")
THROUGH_DAEMON = "daemon"  # the policy that is no replay of a policy: the daemon itself runs the jobs
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
    field, placing = Field(terrain_on(world, outlook.first().copy())), _policy(policy, world, outlook)
    done: dict[str, Held] = {}
    spent, renewed = 0.0, -RENEW_SECONDS
    for number, job in enumerate(jobs):
        now = world.seconds(job.arrival)
        began = perf_counter()
        renewed = _renew(field, placing, outlook, renewed, now)
        done[job.id] = held = Held(task_of(world, job))
        field.look(now, held.task.due)
        field.advance(now)
        field.add(held)
        _learn(field, outlook, now)
        placing.arrive(field, held, now)
        spent += perf_counter() - began
        if progress is not None:
            progress(number + 1)
    began = perf_counter()
    _renew(field, placing, outlook, renewed, max((held.task.due for held in field.live.values()), default=0.0))
    spent += perf_counter() - began
    return Replay(policy, {name: held.pieces() for name, held in done.items()}, spent)


def _policy(name: str, world: World, outlook: Outlook) -> Policy:
    if name == "planner":
        is_limited = all(site.gpus is not None for site in world.sites)
        options = replace(PlannerOptions(), wait_confidence=0.0) if outlook.is_static else PlannerOptions()  # which is not doubted
        return WholeQueue(options, sum(world.capacity) if is_limited else None)
    return LowestWindow() if name == "lowest-window" else LowestSlots()


def _renew(field: Field, policy: Policy, outlook: Outlook, renewed: float, now: float) -> float:
    """Let waiting jobs see newer outlooks at fixed intervals until `now`; when that was last."""
    if outlook.is_static:
        return renewed
    renewed = max(renewed, now - REACH_SECONDS)
    while renewed + RENEW_SECONDS <= now:
        renewed += RENEW_SECONDS
        field.look(renewed, renewed)
        field.advance(renewed)
        if field.live:
            _learn(field, outlook, renewed)
            policy.renew(field, renewed)
    return renewed


def _learn(field: Field, outlook: Outlook, now: float) -> None:
    if not outlook.is_static:
        outlook.renew(field.whole, now, max([now + REACH_SECONDS, *(held.task.due for held in field.live.values())]))
