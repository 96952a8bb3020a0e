"""How much of the host's CPU time a container or service may have, as Linux control groups say it.

Sources: kernel documentation, admin-guide/cgroup-v2 (`cpu.max`) and scheduler/sched-bwc (`cpu.cfs_quota_us`, `cpu.cfs_period_us`);
proc_pid_cgroup(5) for the lines of `/proc/self/cgroup`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_V2 = ""  # how /proc/self/cgroup names the controllers of version 2: not at all


def cpu_quota_cores(root: Path = Path("/")) -> float | None:
    """CPU seconds a second that this process's group and all groups around it allow; None: no limit is told.

    `root` is where /proc and /sys are. What cannot be read says nothing: a host without control groups has no limit.
    """
    limits = [limit for folder in _folders(root) if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


def _folders(root: Path) -> Iterator[Path]:
    """Where limits of CPU time may stand: the process's own groups and those around them, in both versions.

    Without a namespace of its own a container is told its path on the host, which it cannot see; its group is then mounted
    at the top, which comes last.
    """
    mounted = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, place = rest.partition(":")
        if controllers == _V2:
            tops = [mounted, mounted / "unified"]
        elif "cpu" in controllers.split(","):
            tops = [mounted / controllers, mounted / "cpu"]
        else:
            continue
        group = PurePosixPath(place.lstrip("/"))
        for top in tops:
            yield from (top / each for each in (group, *group.parents) if ".." not in each.parts)


def _limit(folder: Path) -> float | None:
    """Of one group, by whichever version's files it has."""
    words = _text(folder / "cpu.max").split()
    if not words:
        words = [_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    try:
        quota, period = int(words[0]), int(words[1])
    except (ValueError, IndexError):
        return None  # "max", or no such files
    return quota / period if quota > 0 and period > 0 else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
