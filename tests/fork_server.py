"""The fork server that tests share: a process has one, and it imports nothing more once it has begun.

It imports torch and the daemon once; its children start in milliseconds and share nothing with the test process.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext

PRELOADED = [
    "jobs.ldm.training",
    "jobs.ldm.synthesis",
    "generative.networks.nets",
    "generative.networks.schedulers",
    "torch._dynamo",  # its import by the first optimiser takes seconds
    "tests.jobs.processes",
    "tests.daemon.service.mortal_daemon",
]


def fork_server() -> ForkServerContext:
    """Makes processes that are forked from one that has imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context
