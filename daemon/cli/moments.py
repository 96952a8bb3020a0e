"""Moments on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

from daemon.cli.output import USAGE, fail


def moment_or_fail(text: str, option: str) -> datetime:
    """An ISO date or time; one without an offset is UTC. Ends the command with a sentence."""
    try:
        value = datetime.fromisoformat(text)
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the latter at the ends of the calendar, where UTC would lie in the year 0 or 10000
        fail(f"{option} {text!r} is not a time: write it like 2026-07-01 or 2026-07-01T08:00:00Z", USAGE)
