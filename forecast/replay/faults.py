"""Faults a replay can be told to have, each as users of the real service have met it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal, get_args

FaultName = Literal[
    "not-in-plan",  # 401, the key is good, the plan is not
    "bad-key",  # 401 Invalid auth-token
    "no-recent-data",  # 404 with the zone named
    "rate-limited",  # 429, with Retry-After if `retry_after_seconds` is given
    "http-500",  # an HTML page
    "http-503",  # an HTML page
    "slow",  # the answer comes after `seconds`
    "cut",  # the connection breaks in the middle of the body
    "null-intensity",  # every carbonIntensity is null
    "other-zone",  # the answer is about another zone
    "sandbox",  # made-up values of a sandbox key
    "restated",  # estimated hours first come out up to 20 % wrong, and right later
    "frozen",  # no new values: the hour at which the fault began is repeated for ever
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, at one zone and endpoint (`latest`, `history`, `forecast`, `past-range`) or, where None, at all of them."""

    name: FaultName
    zone: str | None = None
    endpoint: str | None = None
    seconds: float = 2.0
    retry_after_seconds: int | None = None

    def __post_init__(self) -> None:
        if self.name not in get_args(FaultName):
            raise ValueError(f"unknown fault {self.name!r}, known are: {', '.join(get_args(FaultName))}")
        if not isinstance(self.seconds, int | float) or self.seconds < 0:
            raise ValueError(f"fault {self.name!r}: seconds must be a number that is not negative, got {self.seconds!r}")

    def concerns(self, zone: str, endpoint: str) -> bool:
        """Whether a request for this zone and endpoint meets the fault."""
        return self.zone in (None, zone) and self.endpoint in (None, endpoint)


class FaultBoard:
    """The faults switched on at the moment, and since when (grid time); safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: dict[Fault, datetime] = {}

    def replace(self, faults: Iterable[Fault], now: datetime) -> None:
        """Switch exactly these faults on, all others off; one that stays on keeps its beginning."""
        with self._lock:
            self._active = {fault: self._active.get(fault, now) for fault in faults}

    def concerning(self, zone: str, endpoint: str) -> dict[FaultName, tuple[Fault, datetime]]:
        """The faults that a request meets, by name, each with its beginning."""
        with self._lock:
            return {fault.name: (fault, since) for fault, since in self._active.items() if fault.concerns(zone, endpoint)}

    def described(self) -> list[dict[str, object]]:
        """The active faults as plain data, for `GET /_faults`."""
        with self._lock:
            return [asdict(fault) for fault in self._active]


def faults_from(body: object) -> list[Fault]:
    """The faults in a `POST /_faults` body, `{"faults": [{"name": "http-503", "zone": "DE"}, ...]}`. Raises ValueError."""
    listed = body.get("faults") if isinstance(body, dict) else None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise ValueError('expected {"faults": [{"name": "http-503", "zone": "DE", "endpoint": "latest"}]}; an empty list clears all')
    try:
        return [Fault(**each) for each in listed]
    except TypeError as error:
        raise ValueError(f"a fault has name, zone, endpoint, seconds and retry_after_seconds, nothing else ({error})") from error
