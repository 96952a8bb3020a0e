"""What the first of several training processes tells the process that started them: one JSON object a line, on a pipe.

Only the standard library and pydantic: the reader never imports torch.
"""

from __future__ import annotations

import os
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from jobs.outcome import OutcomeKind
from jobs.rundir import Phase

_MARK = "lowtide-report "  # whatever else a library prints is no report
_LONGEST_BYTES = 4096  # PIPE_BUF of Linux: a pipe takes no more in one piece


class _Report(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stand(_Report):
    """`step` steps are done, and everything from here belongs to `phase`."""

    kind: Literal["stand"] = "stand"
    phase: Phase
    step: int


class Ending(_Report):
    """How the work ended; the first one told counts, as what follows a failure is only its echo."""

    kind: Literal["ending"] = "ending"
    outcome: OutcomeKind
    reason: str = ""
    retryable: bool = True


class _AnyReport(BaseModel):
    report: Stand | Ending


def tell(report: Stand | Ending, descriptor: int = 1) -> None:
    """Write the report at once, in one piece: lines of several processes do not mix. Too long a reason loses its end."""
    line = _line(report)
    while isinstance(report, Ending) and len(line) > _LONGEST_BYTES:
        report = report.model_copy(update={"reason": f"{report.reason[: len(report.reason) * 3 // 4]}…"})
        line = _line(report)
    os.write(descriptor, line)


def _line(report: Stand | Ending) -> bytes:
    return f"{_MARK}{report.model_dump_json()}\n".encode()


def read(line: str) -> Stand | Ending | None:
    """The report in a line; None where it holds something else."""
    if not line.startswith(_MARK):
        return None
    try:
        return _AnyReport.model_validate_json(f'{{"report": {line.removeprefix(_MARK)}}}').report
    except ValidationError:
        return None
