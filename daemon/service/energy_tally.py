"""How much energy runs under way have used so far, without reading their records from the beginning at every question."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass
from pathlib import Path

_KEPT_FILES = 4096


@dataclass(slots=True)
class _Read:
    """How far a file was read, and the joules found up to there."""

    offset: int = 0
    joules: float = 0.0


class EnergyTally:
    """Sums of energy.jsonl files. They only grow, so each question reads what was added since the last. Safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[Path, _Read] = {}

    def joules(self, file: Path) -> float:
        """Component energy in the file's complete lines; what cannot be read counts as not known yet."""
        with self._lock:
            read = self._files.setdefault(file, _Read())
            if len(self._files) > _KEPT_FILES:
                del self._files[next(iter(self._files))]
            with contextlib.suppress(OSError):
                _read_on(file, read)
            return read.joules


def _read_on(file: Path, read: _Read) -> None:
    with file.open("rb") as stream:
        if stream.seek(0, 2) < read.offset:  # made anew: begin again
            read.offset, read.joules = 0, 0.0
        stream.seek(read.offset)
        for line in stream:
            if not line.endswith(b"\n"):
                return
            read.offset += len(line)
            read.joules += _joules_in(line)


def _joules_in(line: bytes) -> float:
    """A line torn by a kill holds no record, as for every other reader of run directories."""
    try:
        return float(sum(json.loads(line)["joules"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        return 0.0
