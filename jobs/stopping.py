"""Being asked to stop. Only the standard library, so that a process can listen before it imports anything slow."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Self


class StopRequest:
    """Set once by SIGTERM (the daemon, the batch system) or SIGINT (a person); never unset.

    Inside its `with` block the process's two stop signals lead here. Only the main thread may enter it.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, signal_number: int, _frame: FrameType | None) -> None:
        self.requested = True
