"""Reading what any provider may answer: pure functions from text to values, for whatever comes."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from forecast.intensity import HIGHEST_PLAUSIBLE
from forecast.source.errors import Malformed

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


def instant_of(text: object, zone: str, form: str) -> datetime:
    """The UTC instant that a time with an offset names. Raises Malformed, which tells the `form` that was due."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
        if moment is not None and moment.tzinfo is not None and moment.year >= 2000:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Malformed(f"{zone}: {str(text)[:40]!r} is not a time {form}")


def intensity_of(value: object, zone: str) -> float | None:
    """An intensity in g/kWh, None where it is missing. Raises Malformed for what cannot be one."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= HIGHEST_PLAUSIBLE or math.isnan(value):
        raise Malformed(f"{zone}: {str(value)[:40]!r} is not a carbon intensity in g/kWh")
    return float(value)
