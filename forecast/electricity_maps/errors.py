"""What can go wrong at the provider, as exceptions, and the pure function that tells them apart.

ElectricityMapsError
|-- KeyProblem
|   |-- BadKey          the key itself is refused
|   `-- NotInPlan       the key is good, this zone or endpoint is not in its plan
|-- NoRecentData        the zone is known, it has no fresh value
|-- Temporary           ask again later
|   |-- RateLimited     with `retry_after`, where the provider gave one
|   |-- Transient       an outage, a broken connection, a time-out
|   `-- HeldBack        we did not ask: out of budget, or still backing off (`until`)
|-- BadRequest          asking again the same way is pointless
|-- WrongHost           the configured base URL leads somewhere else
`-- UnusableAnswer      an answer came, and it must not be used
    |-- SandboxData     made-up values of a sandbox key
    |-- WrongZone       values of another zone than the one asked for
    |-- WrongKind       values of another kind than the one asked for
    `-- Malformed       not the documented shape

A key never appears in a message. Sources: the provider's documentation and responses recorded by its users.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

JsonObject = dict[str, object]

_PLAN_WORDS = ("unauthorized for zonekey", "do not have access", "endpoint not available", "not available in your plan")
_LONGEST_RETRY_AFTER = timedelta(days=1)


class ElectricityMapsError(Exception):
    """An answer that is not the data asked for. `label` names the class in metrics and logs."""

    label = "error"


class KeyProblem(ElectricityMapsError):
    """The provider refuses the key, for everything or for this."""

    label = "key-problem"


class BadKey(KeyProblem):
    """The key itself is refused: polling with it stops, apart from a rare probe."""

    label = "bad-key"


class NotInPlan(KeyProblem):
    """The key is good, but this zone or endpoint is not in its plan."""

    label = "not-in-plan"


class NoRecentData(ElectricityMapsError):
    """The provider knows the zone and has no fresh data for it."""

    label = "no-recent-data"


class Temporary(ElectricityMapsError):
    """Worth asking again later."""

    label = "temporary"


class RateLimited(Temporary):
    """Too many requests; `retry_after` is the pause the provider asks for, None where it names none."""

    label = "rate-limited"

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Transient(Temporary):
    """An outage: 5xx, a broken or slow connection, or a sudden refusal of a key that has just worked."""

    label = "transient"


class HeldBack(Temporary):
    """Nothing was sent: the request budget is used up or a pause after a failure is running, `until` then."""

    label = "held-back"

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(f"{message} until {until:%Y-%m-%dT%H:%M:%SZ}")
        self.until = until


class BadRequest(ElectricityMapsError):
    """The provider does not accept the request as it is."""

    label = "bad-request"


class WrongHost(ElectricityMapsError):
    """The base URL does not lead to the API: a configuration error."""

    label = "wrong-host"


class UnusableAnswer(ElectricityMapsError):
    """Status 200, but nothing in it may be used."""

    label = "unusable"


class SandboxData(UnusableAnswer):
    """A sandbox key's made-up values."""

    label = "sandbox"


class WrongZone(UnusableAnswer):
    """The answer is about another zone."""

    label = "wrong-zone"


class WrongKind(UnusableAnswer):
    """The answer holds another kind of intensity (factors or flow tracing)."""

    label = "wrong-kind"


class Malformed(UnusableAnswer):
    """The answer has not the documented shape."""

    label = "malformed"


def classify(status: int, body: JsonObject | None, retry_after: timedelta | None = None) -> ElectricityMapsError | None:
    """The error that a status and a parsed body (None: not a JSON object) stand for, or None if it is a normal answer.

    "Not in your plan" is 401 as well, so a 401 alone does not prove a bad key: the words decide. A 200 may hold an error.
    """
    said = _words(body)
    message = f"HTTP {status}: {said or 'no explanation'}"
    if status == 200 and (body is None or "error" not in body):
        return None
    if status in (200, 401, 403):
        return _refusal(said.lower(), message)
    if status == 404:
        return _not_found(said.lower(), message)
    if status == 429:
        return RateLimited(message, retry_after)
    if status in (408, 425) or status >= 500:
        return Transient(message)
    if 300 <= status < 400:
        return WrongHost(f"{message}: the base URL redirects elsewhere, set electricity_maps.base_url to the final address")
    return BadRequest(message)


def _words(body: JsonObject | None) -> str:
    """What the body says about the error, shortened to something a log line can hold."""
    if body is None:
        return ""
    parts = [body[key] for key in ("error", "message") if isinstance(body.get(key), str)]
    return " ".join(str(part) for part in parts)[:300]


def _refusal(said: str, message: str) -> ElectricityMapsError:
    if any(words in said for words in _PLAN_WORDS):
        return NotInPlan(message)
    if "token" in said or "auth" in said or not message.startswith("HTTP 200"):
        return BadKey(message)
    return _not_found(said, message) if "no recent data" in said else BadRequest(message)


def _not_found(said: str, message: str) -> ElectricityMapsError:
    if "no recent data" in said:
        return NoRecentData(message)
    if "no route" in said or not said:
        return WrongHost(f"{message}: check electricity_maps.base_url")
    return BadRequest(message)


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
