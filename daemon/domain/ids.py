"""Identifiers: short, lower case, sortable by the moment they were made."""

from __future__ import annotations

import secrets
import threading
from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: nothing to confuse when read aloud
_TIME_DIGITS = 9  # milliseconds since 1970, good until the year 3084
_RANDOM_DIGITS = 5


class _Ids:
    """Random digits after the moment, and within one millisecond counted on: so ids of one process never meet.

    Drawn anew each time, a thousand jobs submitted in one millisecond would hold a pair of twins in one case of seventy.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._milliseconds = -1
        self._number = 0

    def number(self, milliseconds: int) -> int:
        """One that was not given for this millisecond just before; its lowest _RANDOM_DIGITS digits count."""
        with self._lock:
            if milliseconds == self._milliseconds:
                self._number += 1
            else:
                self._milliseconds, self._number = milliseconds, secrets.randbits(5 * _RANDOM_DIGITS)
            return self._number


_ids = _Ids()


def new_id(prefix: str, now: datetime) -> str:
    """`prefix-` and 14 characters; ids made in different milliseconds sort by time."""
    milliseconds = int(now.timestamp() * 1000)
    return f"{prefix}-{_digits(milliseconds, _TIME_DIGITS)}{_digits(_ids.number(milliseconds), _RANDOM_DIGITS)}"


def _digits(number: int, count: int) -> str:
    """The lowest `count` digits of the number in base 32."""
    return "".join([_ALPHABET[(number >> (5 * place)) & 31] for place in range(count - 1, -1, -1)])
