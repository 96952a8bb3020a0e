"""Kills a process at lines all over the work in which it makes a cache anew, and prints after which of them the old owner was told a lie.

A program of its own, because it forks: `python -m tests.jobs.data.killed_cache FOLDER`.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.data.cache import ArrayCache

CODE = ("jobs/data/cache.py", "jobs/rundir.py")
OLD = {"one": 1.0, "two": 2.0, "three": 3.0}
NEW = {
    "old": {"one": 1.0, "another": 20.0, "three": 3.0},
    "new": {"zero": 10.0, "one": 1.0},
}
"""By key. A source of ten or more has as many items as all old ones together: a claim is not belied by the size of the file alone."""


def items(value: float) -> list[NDArray[np.float32]]:
    return [np.full((2, 2), value, dtype=np.float32)] * (3 if value < 10 else 9)


def opened(folder: Path, key: str, sources: Sequence[str]) -> ArrayCache:
    return ArrayCache(folder, "latents", (2, 2), key, sources)


def fill(cache: ArrayCache, sources: dict[str, float]) -> None:
    for value in list(sources.values())[cache.sources :]:
        cache.add_source(items(value))


def killed_at(line: int, folder: Path, key: str, sources: dict[str, float]) -> bool:
    """Whether a process that makes the cache anew got as far as that many lines of CODE, and was killed there."""
    child = os.fork()
    if child == 0:
        left = line

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal left
            if not frame.f_code.co_filename.endswith(CODE):
                return None
            left -= event == "line"
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        fill(opened(folder, key, list(sources)), sources)
        os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


def is_true(folder: Path) -> bool:
    """Whether what the old owner is told to be finished is what he once wrote, also when he has gone on."""
    cache = opened(folder, "old", list(OLD))
    before = cache.array().copy()
    fill(cache, OLD)
    wanted = np.concatenate([np.stack(items(value)) for value in OLD.values()])
    return np.array_equal(before, wanted[: len(before)]) and np.array_equal(cache.array(), wanted)


def main(scratch: Path) -> None:
    lines = 0
    for key, sources in NEW.items():
        for line in range(0, 10_000, 3):  # every third: each takes two writes to disk
            folder = scratch / f"{key}-{line}"
            fill(opened(folder, "old", list(OLD)), OLD)
            was_killed = killed_at(line, folder, key, sources)
            if not is_true(folder):
                print(f"lie: key {key}, line {line}")
            shutil.rmtree(folder)
            if not was_killed:
                break
            lines += 1
    print(f"killed {lines} times")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
