"""CPU seconds of this process and everything it started, dead children included (Linux)."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


class ProcessTree:
    """CPU time (user + system, seconds) of this process, its live descendants and those that ended and were waited for.

    A child's time moves to its parent's account when the parent waits for it, so the sum never loses it. Between a child's
    end and that wait a reading may miss it; the high-water mark keeps the total from falling until it shows up again.
    Own time has nanosecond resolution, that of live descendants the kernel's tick (10 ms).
    """

    def __init__(self) -> None:
        self._highest_seconds = 0.0

    def cpu_seconds(self) -> float:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        total = time.process_time() + ended.ru_utime + ended.ru_stime + _descendants_seconds(os.getpid())
        self._highest_seconds = max(self._highest_seconds, total)
        return self._highest_seconds


def host_busy_cpu_seconds(stat_file: Path = _PROC / "stat") -> float:
    """CPU seconds that all CPUs of the host together have been busy since boot; idle and waiting for disks do not count."""
    fields = [int(word) for word in stat_file.read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq + steal) / _TICKS_PER_SECOND


def _descendants_seconds(pid: int) -> float:
    return sum(_own_and_ended_seconds(child) + _descendants_seconds(child) for child in _children(pid))


def _children(pid: int) -> list[int]:
    """Live children (zombies too) of all threads of `pid`; none if it has just ended."""
    try:
        lists = [(task / "children").read_text() for task in (_PROC / str(pid) / "task").iterdir()]
    except OSError:
        return []
    return [int(word) for text in lists for word in text.split()]


def _own_and_ended_seconds(pid: int) -> float:
    """utime + stime + cutime + cstime of proc_pid_stat(5); 0 if the process has just ended."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return 0.0
    after_name = text.rpartition(")")[2].split()  # the name may hold spaces and brackets
    return sum(int(word) for word in after_name[11:15]) / _TICKS_PER_SECOND
