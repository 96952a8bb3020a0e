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
    """How far a file was read, and the joules found up to there; None until there are any."""

    offset: int = 0
    joules: float | None = None


class EnergyTally:
    """Sums of energy.jsonl files. They only grow, so each question reads what was added since the last. Safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[Path, _Read] = {}

    def joules(self, file: Path) -> float | None:
        """Component energy in the file's complete lines; None where nothing is known yet."""
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
            read.offset, read.joules = 0, None
        stream.seek(read.offset)
        for line in stream:
            if not line.endswith(b"\n"):
                return
            read.offset += len(line)
            found = _joules_in(line)
            if found is not None:
                read.joules = found + (read.joules or 0.0)


def _joules_in(line: bytes) -> float | None:
    """None for a record without a component, and for a line torn by a kill, which every reader of run directories passes over."""
    try:
        joules = json.loads(line)["joules"]
        return float(sum(joules.values())) if joules else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
