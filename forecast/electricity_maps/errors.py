"""What an answer of the provider that is no data stands for: pure, from its status and body.

Sources: the provider's documentation and responses recorded by its users.
"""

from __future__ import annotations

from datetime import timedelta

from forecast.source.answers import JsonObject
from forecast.source.errors import BadKey, BadRequest, NoRecentData, NotInPlan, RateLimited, SourceError, Transient, WrongHost

_PLAN_WORDS = ("unauthorized for zonekey", "do not have access", "endpoint not available", "not available in your plan")


def classify(status: int, body: JsonObject | None, retry_after: timedelta | None = None) -> SourceError | None:
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


def _refusal(said: str, message: str) -> SourceError:
    if any(words in said for words in _PLAN_WORDS):
        return NotInPlan(message)
    if "token" in said or "auth" in said or not message.startswith("HTTP 200"):
        return BadKey(message)
    return _not_found(said, message) if "no recent data" in said else BadRequest(message)


def _not_found(said: str, message: str) -> SourceError:
    if "no recent data" in said:
        return NoRecentData(message)
    if "no route" in said or not said:
        return WrongHost(f"{message}: check electricity_maps.base_url")
    return BadRequest(message)
