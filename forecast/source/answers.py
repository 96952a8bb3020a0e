"""Reading what any provider may answer: pure functions from text to values, for whatever comes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

JsonObject = dict[str, object]

_LONGEST_RETRY_AFTER = timedelta(days=1)


def parse_json(text: str) -> JsonObject | None:
    """The JSON object in `text`, or None if it is anything else (an HTML page, a list, NaN, nesting without end)."""
    try:
        body = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def parse_retry_after(header: str | None, now: datetime) -> timedelta | None:
    """The pause a Retry-After header asks for (seconds or an HTTP date), at most a day; None where it is absent or unreadable."""
    if header is None:
        return None
    try:
        seconds = float(header) if header.strip().isdigit() else _seconds_until(header, now)
        return min(max(timedelta(0), timedelta(seconds=seconds)), _LONGEST_RETRY_AFTER)
    except (ValueError, TypeError, OverflowError):
        return None


def _seconds_until(http_date: str, now: datetime) -> float:
    moment = parsedate_to_datetime(http_date)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()
