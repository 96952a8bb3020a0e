"""Identifiers: short, lower case, sortable by the moment they were made."""

from __future__ import annotations

import secrets
from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: nothing to confuse when read aloud
_TIME_DIGITS = 9  # milliseconds since 1970, good until the year 3084
_RANDOM_DIGITS = 5


def new_id(prefix: str, now: datetime) -> str:
    """`prefix-` and 14 characters; ids made in different milliseconds sort by time."""
    milliseconds = int(now.timestamp() * 1000)
    return f"{prefix}-{_digits(milliseconds, _TIME_DIGITS)}{_digits(secrets.randbits(5 * _RANDOM_DIGITS), _RANDOM_DIGITS)}"


def _digits(number: int, count: int) -> str:
    """The lowest `count` digits of the number in base 32."""
    return "".join([_ALPHABET[(number >> (5 * place)) & 31] for place in range(count - 1, -1, -1)])
