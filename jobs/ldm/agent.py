"""`python -m jobs.ldm.agent DIRECTORY PROCESSES PARENT`: torchrun on this machine, for one attempt.

It is torch's launcher with its own rendezvous on a free port of the loopback address, and without restarts: who tries again
is the daemon, from the newest checkpoint.
"""

from __future__ import annotations

import os
import signal
import sys

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from jobs.ldm.parent import end_with, leave_stopping_to_the_parent
from jobs.outcome import OutcomeKind
from jobs.reports import Ending, tell

AGENT_VARIABLE = "LOWTIDE_AGENT_PID"
_PATIENCE_SECONDS = 5  # for the others, once one of them is dead: there is nothing left to save


def main(directory: str, processes: int, parent: int) -> int:
    """Start the processes and wait for them; tells how they ended if they could not do it themselves."""
    end_with(parent)
    leave_stopping_to_the_parent()
    os.environ[AGENT_VARIABLE] = str(os.getpid())
    if torch.cuda.is_available() and torch.cuda.device_count() < processes:
        reason = f"{processes} GPUs were asked for and {torch.cuda.device_count()} are visible on this node: correct the site's gpus"
        tell(Ending(outcome=OutcomeKind.FAILED, reason=reason))
        return 1
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="lowtide",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
        signals_to_handle="SIGHUP",
        shutdown_timeout=_PATIENCE_SECONDS,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "jobs.ldm.rank", directory)
    except ChildFailedError as failed:
        rank, failure = failed.get_first_failure()
        reason = f"training process {rank + 1} of {processes} ended with {_ending(failure.exitcode)}"
        tell(Ending(outcome=OutcomeKind.FAILED, reason=f"{reason}: the others were stopped; see log.txt"))
        return 1
    return 0


def _ending(exit_code: int) -> str:
    return f"exit code {exit_code}" if exit_code >= 0 else f"signal {signal.Signals(-exit_code).name}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
