"""Processes that must not outlive the one that started them (Linux)."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with(parent: int) -> None:
    """Be killed when the parent process ends, however it ends; call from the main thread of a process just started."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it was too quick
        os.kill(os.getpid(), signal.SIGKILL)


def leave_stopping_to_the_parent() -> None:
    """Signals that ask for an end reach whole groups of processes; ours end together, when their parent says so."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
