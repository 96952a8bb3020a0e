"""A clock that cannot be right keeps a daemon from starting: times of jobs, and with them their accounts, would be nonsense."""

from __future__ import annotations

from datetime import UTC, datetime

from daemon.domain.errors import LowtideError
from daemon.store import Store
from forecast.clock import Clock

FIRST_VERSION = datetime(2026, 1, 1, tzinfo=UTC)
"""Before it there was no Lowtide: a clock that says so has lost the time, as that of a board without a battery after a start."""


class ClockTurnedBack(LowtideError):
    """The replay begins before what the database already tells of, or the machine's clock before there was a Lowtide."""


def refuse_a_clock_turned_back(store: Store, clock: Clock) -> None:
    """Raises ClockTurnedBack where a replay was begun anew on a database it has been on before, or where the machine's clock has lost
    the time. Else a live clock is believed."""
    if not clock.is_replay:
        _refuse_a_clock_without_the_time(clock.real())
        return
    with store.read() as reader:
        newest = reader.newest_event_at()
    if newest is not None and newest > clock.now():
        raise ClockTurnedBack(
            f"the replay is at {clock.now():%Y-%m-%d %H:%M} and the database already tells of {newest:%Y-%m-%d %H:%M}: set "
            "replay.real_start to the real time at which the replay first began, or give this one a database of its own"
        )


def _refuse_a_clock_without_the_time(real: datetime) -> None:
    if real < FIRST_VERSION:
        raise ClockTurnedBack(f"the clock of this machine says {real:%Y-%m-%d %H:%M} UTC: set it, or wait until it is synchronised")
