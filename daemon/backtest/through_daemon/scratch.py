"""Where a replayed daemon keeps its database and run directories, for as long as the replay lasts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory

IN_MEMORY = Path("/dev/shm")  # noqa: S108  # only the parent of a folder that tempfile makes, with a name nobody can guess
BYTES_PER_JOB = 100_000  # measured: 35,000 for long jobs that pause four times
LEAST_BYTES = 64_000_000


@contextmanager
def scratch_folder(jobs: int) -> Iterator[Path]:
    """A folder that is gone afterwards: in memory where there is room for that many jobs.

    Everything a daemon writes waits until it is on the disk, which takes most of a replay's time where there is one.
    """
    needed = LEAST_BYTES + jobs * BYTES_PER_JOB
    is_roomy = IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK) and disk_usage(IN_MEMORY).free >= needed
    with TemporaryDirectory(prefix="lowtide-replay-", dir=IN_MEMORY if is_roomy else None) as folder:
        yield Path(folder)
