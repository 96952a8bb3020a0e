"""What can go wrong at a source of carbon intensity, as exceptions.

SourceError
|-- KeyProblem
|   |-- BadKey          the key itself is refused
|   `-- NotInPlan       the key is good, this zone or endpoint is not in its plan, or the source has no such thing at all
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

A key never appears in a message.
"""

from __future__ import annotations

from datetime import datetime, timedelta


class SourceError(Exception):
    """An answer that is not the data asked for. `label` names the class in metrics and logs."""

    label = "error"


class KeyProblem(SourceError):
    """The provider refuses the key, for everything or for this."""

    label = "key-problem"


class BadKey(KeyProblem):
    """The key itself is refused: polling with it stops, apart from a rare probe."""

    label = "bad-key"


class NotInPlan(KeyProblem):
    """The key is good, but this zone or endpoint is not in its plan."""

    label = "not-in-plan"


class NoRecentData(SourceError):
    """The provider knows the zone and has no fresh data for it."""

    label = "no-recent-data"


class Temporary(SourceError):
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


class BadRequest(SourceError):
    """The provider does not accept the request as it is."""

    label = "bad-request"


class WrongHost(SourceError):
    """The base URL does not lead to the API: a configuration error."""

    label = "wrong-host"


class UnusableAnswer(SourceError):
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
