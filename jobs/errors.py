"""What can go wrong on a node, and how it is told.

    RunError                 one sentence for people; `retryable` for the daemon
      BadInput               data, weights or spec that would fail again the same way
      Busy                   another attempt holds this run directory
    StopRequested            not a failure: leave the work at the last whole step

`explain` turns any other exception (memory, disk) into the same two facts.
"""

from __future__ import annotations

import errno

# The last are oneDNN's words where it cannot have memory to work in: it does not say more.
_OUT_OF_MEMORY_WORDS = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "defaultcpuallocator",
    "could not create a primitive",
)

_DISK_REASONS = {
    errno.ENOSPC: "the disk is full: free space where the site keeps its run directories",
    errno.EDQUOT: "the disk quota is used up: free space where the site keeps its run directories",
    errno.EFBIG: "the file would be larger than this process may write: raise its file-size limit",
    errno.EROFS: "the file system is read-only: remount it, or give the site another run_root",
    errno.EACCES: "no permission to write: let the job's user write to the run directory",
    errno.EPERM: "no permission to write: let the job's user write to the run directory",
}


class RunError(Exception):
    """A failure in one sentence: what is wrong, where, what to do. `retryable` is False where it would only repeat."""

    def __init__(self, reason: str, *, retryable: bool = True) -> None:
        super().__init__(reason)
        self.retryable = retryable


class BadInput(RunError):
    """The data, the weights or the spec are wrong; trying again changes nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, retryable=False)


class Busy(RunError):
    """Another attempt works in this run directory; nothing here was touched."""


class StopRequested(Exception):
    """Raised between two steps, after everything worth keeping is on disk."""


def explain(failure: BaseException) -> tuple[str, bool]:
    """The reason in one sentence that can be written down whatever files are called, and whether another attempt may succeed."""
    reason, is_retryable = _explained(failure)
    return reason.encode("utf-8", "backslashreplace").decode(), is_retryable


def _explained(failure: BaseException) -> tuple[str, bool]:
    if isinstance(failure, RunError):
        return str(failure), failure.retryable
    if isinstance(failure, OSError) and failure.errno in _DISK_REASONS:
        return f"{_place(failure)}{_DISK_REASONS[failure.errno]}", True
    if _is_out_of_memory(failure):
        return "out of memory: lower batch_size or image_shape, or ask for a larger node", True
    words = " ".join(str(failure).split()) or "no message"
    return f"unexpected {type(failure).__name__}: {words[:500]} (the whole story is in log.txt)", True


def _place(failure: OSError) -> str:
    return f"{failure.filename}: " if failure.filename else ""


def _is_out_of_memory(failure: BaseException) -> bool:
    # torch raises RuntimeError from its CPU allocator and a subclass of it, OutOfMemoryError, from CUDA's
    return isinstance(failure, MemoryError) or (
        isinstance(failure, RuntimeError) and any(words in str(failure).lower() for words in _OUT_OF_MEMORY_WORDS)
    )
