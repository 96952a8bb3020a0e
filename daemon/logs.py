"""Structured logs on standard error: a stable event name and plain fields, as key=value text or JSON lines, never a secret.

Call `log.info("plan-stale", extra={"job": job_id})`. Every event of the daemon stands in `EVENTS` with what it means;
a test keeps that list complete.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from daemon.printable import visible, visible_line

# What the daemon's own events mean; operators read it in the runbook, which a test compares with this list.
EVENTS: dict[str, str] = {
    "fetch-changed": "the intensity provider answers about a zone and endpoint in another way than before: result, was, reason",
    "chore-failed": "the tick or a chore beside it met an error; it comes again at its next turn",
    "directory-unreadable": "the run directory of an attempt cannot be read now; its state is asked again at the next tick",
    "job-poisoned": "one job met an error nobody foresaw; the others go on, and it is tried again at the next turn: during, job",
    "hardware-unknown": "a site's hardware has no profile; estimates use a similar device's, with wide intervals",
    "http-failed": "a request met an error of the daemon's own; the traceback says where",
    "ladder-climbed": "the next hour of a zone stands on a better rung of intensity sources again",
    "ladder-fell": "the next hour of a zone stands on a worse rung of intensity sources, or on none; jobs go on",
    "launch-postponed": "an executor could not start an attempt now; each tick tries again, for ten minutes, then a retry is charged",
    "observer-failed": "an executor could not say how its attempts are; nothing is charged to any job",
    "opening-cut-short": "the daemon was told to stop while it still opened its database; the next start goes on from there",
    "plan-stale": "a job changed while it was planned; this part of the plan is dropped, the next tick plans again",
    "serve-started": "the daemon listens; address, database and sites",
    "serve-stopped": "the daemon has ended; running work goes on and is adopted at the next start",
    "settlement-postponed": "the account of an ended job cannot be settled yet; it is tried again",
    "site-unknown": "attempts run at a site that the settings no longer name; they are left alone until it is back",
    "sole-lock-lost": "another daemon works on the database, or nobody can say: tick and chores rest until this one has the lock again",
    "sole-lock-renewed": "PostgreSQL ended the session that keeps a second daemon away, as by a restart; the lock was taken again",
    "stop-postponed": "an executor could not ask an attempt to stop; the next tick asks again",
    "world-zone": "no site is configured: intensity is the world's yearly mean, so no window is cleaner than another",
}

QUIET = ("httpx", "httpcore", "alembic", "uvicorn.access")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class EventFormatter(logging.Formatter):
    """One line per record. `secrets` are blacked out wherever they appear, tracebacks included."""

    def __init__(self, style: Literal["text", "json"], secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._is_json = style == "json"
        told = [form for secret in secrets if secret for form in (secret, json.dumps(secret, ensure_ascii=False)[1:-1])]
        self._secrets = tuple(dict.fromkeys(told))  # as they are, and as they stand in JSON

    def format(self, record: logging.LogRecord) -> str:
        fields = self._fields(record)
        line = _as_json(fields) if self._is_json else _as_text(fields)
        for secret in self._secrets:
            line = line.replace(secret, "**********")
        return line

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        at = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, Any] = {
            "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
        }
        fields |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return fields


def configure_logging(
    level: str, style: Literal["text", "json"], secrets: Iterable[str] = (), stream: TextIO | None = None
) -> logging.Handler:
    """Send every log of the process to `stream` (standard error) in our form. Calling it again replaces the handler."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(EventFormatter(style, secrets))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a chore still under way at its next turn is no news
    return handler


def _as_json(fields: dict[str, Any]) -> str:
    """One document a line that every parser takes and every stream: NaN becomes null, halves of surrogates (file names) escapes."""
    known = {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in fields.items()}
    return json.dumps(known, default=str, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def _as_text(fields: dict[str, Any]) -> str:
    head = f"{fields.pop('at')} {fields.pop('level'):<7} {visible_line(fields.pop('event').rstrip())}"
    traceback = fields.pop("traceback", None)
    pairs = "".join(f" {key}={_quoted(value)}" for key, value in fields.items())
    return f"{head}{pairs}" if traceback is None else f"{head}{pairs}\n{visible(traceback)}"


def _quoted(value: object) -> str:
    """A value on one line: JSON-quoted where it holds spaces, quotes, '=' or control characters."""
    text = str(value)
    plain = text and text.isprintable() and not any(character in text for character in ' "=')
    return text if plain else visible(json.dumps(text, ensure_ascii=False))
