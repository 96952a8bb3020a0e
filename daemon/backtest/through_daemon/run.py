"""A whole replay through the daemon, from the trace's jobs to what its ledger says of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from daemon.backtest.outlooks import Outlook
from daemon.backtest.replay import THROUGH_DAEMON, Replay
from daemon.backtest.score import Account
from daemon.backtest.through_daemon.accounts import account_of, hindsight_kg, pieces_of, settle
from daemon.backtest.through_daemon.drive import replaying
from daemon.backtest.through_daemon.requests import check
from daemon.backtest.through_daemon.scratch import scratch_folder
from daemon.backtest.trace import TraceJob
from daemon.backtest.world import World


@dataclass(frozen=True, slots=True)
class DaemonReplay:
    """When the daemon ran every job, what its ledger says (hindsight over all sites of a job), and its ticks in real seconds by step."""

    replay: Replay
    account: Account
    hindsight_kg: float | None  # None where the ledger does not know it of every job
    ticks: int
    tick_seconds: Mapping[str, float]


def replay_through_daemon(
    jobs: Sequence[TraceJob], world: World, outlook: Outlook, progress: Callable[[int], None] | None = None
) -> DaemonReplay:
    """Raises WorldProblem on a trace that does not fit, or that no daemon could be given."""
    check(jobs, world)
    with scratch_folder(len(jobs)) as folder, replaying(jobs, world, outlook, folder) as replayed:
        replayed.play(progress)
        entries = settle(replayed)
        timing = replayed.timing
        replay = Replay(THROUGH_DAEMON, pieces_of(replayed), timing.seconds.get("plan", 0.0))
        return DaemonReplay(replay, account_of(replayed, entries), hindsight_kg(entries.values()), timing.ticks, timing.seconds)
