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
    time = "".join(_ALPHABET[(milliseconds >> (5 * place)) & 31] for place in reversed(range(_TIME_DIGITS)))
    return f"{prefix}-{time}{''.join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_DIGITS))}"
