"""Processes of this host, told apart from later ones that get the same pid (Linux, /proc).

Only the standard library, and only its quick parts: the supervisor imports this, and every launch waits for it.
"""

from __future__ import annotations

import os
import signal
from typing import NamedTuple

ATTEMPT_VARIABLE = "LOWTIDE_ATTEMPT"  # in the environment of every process of an attempt
DIRECTORY_VARIABLE = "LOWTIDE_RUN_DIRECTORY"  # beside it: where the attempt works
_START_TIME = 19  # proc_pid_stat(5): field 22, counted from the state, which follows the name


class Process(NamedTuple):
    """A pid with the time it started, in clock ticks since the boot named: unique."""

    pid: int
    start_ticks: int
    boot_id: str

    @property
    def native_id(self) -> str:
        return f"{self.pid}.{self.start_ticks}"


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def find(pid: int) -> Process | None:
    """The process that has this pid now; None if there is none or only its zombie is left."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()  # the name before may hold spaces and brackets
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZXx" else Process(pid, int(fields[_START_TIME]), boot_id())


def is_alive(process: Process) -> bool:
    """Whether that very process still runs; stopped by SIGSTOP counts as running, a zombie does not."""
    return find(process.pid) == process


def send_signals(process: Process, *signals: signal.Signals) -> None:
    """Send them to that very process; nothing happens if it has ended, even if its pid is in use again."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if is_alive(process):  # asked after opening: from here on the descriptor means this process and no other
            for number in signals:
                signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)


def environment(pid: int) -> dict[str, str]:
    """What the process was started with; empty if it is gone or not ours to read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            text = file.read().decode(errors="surrogateescape")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)


def processes_of(attempt_id: str, directory: str) -> list[Process]:
    """Every live process of that attempt in that run directory."""
    wanted = (attempt_id, directory)
    return [one for one, variables in attempts_on_this_host() if (variables[ATTEMPT_VARIABLE], variables.get(DIRECTORY_VARIABLE)) == wanted]


def attempts_on_this_host() -> list[tuple[Process, dict[str, str]]]:
    """Every live process that belongs to an attempt, with its environment."""
    started_with = {int(name): environment(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    ours = [(find(pid), variables) for pid, variables in started_with.items() if ATTEMPT_VARIABLE in variables]
    return [(process, variables) for process, variables in ours if process is not None]
