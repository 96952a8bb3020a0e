"""`python -m jobs.ldm.rank DIRECTORY`: one of the processes that train together, started by `jobs.ldm.agent`.

The first one, rank 0, does what others only follow: it prepares the data, writes progress, checkpoints and weights, and
reports to the process that keeps the lock and the meter.
"""

from __future__ import annotations

import logging
import os
import select
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from jobs.errors import StopRequested, explain
from jobs.ldm.agent import AGENT_VARIABLE
from jobs.ldm.parent import end_with, leave_stopping_to_the_parent
from jobs.ldm.ranks import Ranks
from jobs.ldm.training import train
from jobs.outcome import OutcomeKind
from jobs.reports import Ending, Stand, tell
from jobs.rundir import Phase, RunDirectory
from jobs.session import Session, log
from jobs.spec import TrainingWorkload

# While rank 0 reads the images of a large set the others wait; one that is dead is noticed by the agent, not by this.
_LONGEST_WAIT = timedelta(days=30)


class ParentMeter:
    """The meter of the parent process: it is told where the work stands."""

    def mark(self, phase: Phase, step: int) -> None:
        tell(Stand(phase=phase, step=step))


class ParentsWish:
    """The parent closes our standard input when it wants us to stop."""

    @property
    def requested(self) -> bool:
        return bool(select.select([sys.stdin], [], [], 0)[0])


class TeamSession(Session):
    """The session of one of several processes: all learn of a stop at the same step; only rank 0 writes."""

    def __init__(self, directory: RunDirectory, ranks: Ranks) -> None:
        spec, attempt = directory.read_spec(), directory.read_attempt()
        assert attempt is not None  # the parent has read it
        super().__init__(directory, spec, attempt, ParentMeter(), ParentsWish())
        self._ranks = ranks

    def begin(self, step: int, stage: str) -> None:
        if self._ranks.rank == 0:
            super().begin(step, stage)
        self.step = step

    def advance(self, step: int, stage: str) -> None:
        if self._ranks.rank == 0:
            super().advance(step, stage)
        self.step = step

    def checkpoint_if_due(self, save: Callable[[], object], *, last_step: bool = False) -> None:
        if self._ranks.rank == 0:
            super().checkpoint_if_due(save, last_step=last_step)
        elif self._is_stopping() and not last_step:
            raise StopRequested

    def _is_stopping(self) -> bool:
        return not self._ranks.all_agree(not (self._ranks.rank == 0 and super()._is_stopping()))


def main(directory: Path) -> int:
    """Train as one of `WORLD_SIZE` processes (torchrun's variables); the exit code is 0 unless this process failed."""
    end_with(int(os.environ[AGENT_VARIABLE]))
    leave_stopping_to_the_parent()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")  # to standard error, which is log.txt
    ranks = _join()
    log.setLevel(logging.INFO if ranks.rank == 0 else logging.WARNING)
    ending = Ending(outcome=OutcomeKind.COMPLETED)
    try:
        session = TeamSession(RunDirectory(directory), ranks)
        assert isinstance(session.spec.workload, TrainingWorkload)  # RunSpec: only trainings have several processes
        train(session, session.spec.workload, ranks)
    except StopRequested:
        ending = Ending(outcome=OutcomeKind.CHECKPOINTED)
    except Exception as failure:  # noqa: BLE001  whatever it was, the parent must be able to tell it
        reason, retryable = explain(failure)
        log.error("process %d of %d failed: %s", ranks.rank + 1, ranks.count, reason, exc_info=failure)
        if not _is_echo(failure):
            tell(Ending(outcome=OutcomeKind.FAILED, reason=reason, retryable=retryable))
        return 1
    if ranks.rank == 0:
        tell(ending)
    dist.destroy_process_group()
    return 0


def _join() -> Ranks:
    """Meet the others: gloo between CPUs, NCCL between GPUs."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all on this machine
    rank = int(os.environ["RANK"])
    if torch.cuda.is_available():
        torch.cuda.set_device(rank)
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=_LONGEST_WAIT)
    return Ranks(rank, int(os.environ["WORLD_SIZE"]))


def _is_echo(failure: Exception) -> bool:
    """Whether it is only that another process is gone, whose own end says more."""
    return isinstance(failure, dist.DistError) or "Connection closed by peer" in str(failure) or "Connection reset" in str(failure)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
