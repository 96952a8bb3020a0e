"""Instants that callers name: bounded, so that no sum of one with work, waits and horizons leaves the calendar."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def _within_bounds(value: datetime) -> datetime:
    if not EARLIEST <= value <= LATEST:
        raise ValueError(f"must lie in the years {EARLIEST.year} to {LATEST.year - 1}; leave it out for no limit of your own")
    return value


NamedInstant = Annotated[AwareDatetime, AfterValidator(_within_bounds)]
