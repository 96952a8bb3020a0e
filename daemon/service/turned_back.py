"""A replay's clock must not be turned back: the jobs in the database would lie in the future, and their accounts be nonsense."""

from __future__ import annotations

from daemon.domain.errors import LowtideError
from daemon.store import Store
from forecast.clock import Clock


class ClockTurnedBack(LowtideError):
    """The replay begins before what the database already tells of."""


def refuse_a_clock_turned_back(store: Store, clock: Clock) -> None:
    """Raises ClockTurnedBack where a replay was begun anew on a database it has been on before. A live clock is believed."""
    if not clock.is_replay:
        return
    with store.read() as reader:
        newest = reader.newest_event_at()
    if newest is not None and newest > clock.now():
        raise ClockTurnedBack(
            f"the replay is at {clock.now():%Y-%m-%d %H:%M} and the database already tells of {newest:%Y-%m-%d %H:%M}: set "
            "replay.real_start to the real time at which the replay first began, or give this one a database of its own"
        )
