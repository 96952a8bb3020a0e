"""The README's tables as the code says they must be: `python -m tests.documented` prints them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from daemon.api.connections import HEAD_SECONDS, MOST_CONNECTIONS
from daemon.api.middleware import BODY_LIMIT_BYTES, BODY_SECONDS
from daemon.cli.serve import OTHERS
from daemon.domain.instants import EARLIEST, LATEST
from daemon.domain.job import MOST_NAMES
from daemon.metrics import Metrics
from daemon.service.zones import LONGEST_ANSWER
from daemon.settings import Settings
from daemon.settings.server import ServerSettings


def settings_table() -> list[str]:
    """One Markdown row a setting: key, default, what it is."""
    rows = [f"| `{key}` | {default} | {text} |" for key, default, text in _settings(Settings)]
    return ["| key | default | what it is |", "| --- | --- | --- |", *rows]


def metrics_table() -> list[str]:
    """One Markdown row a metric: name as Prometheus sees it, kind, labels, what it is."""
    rows = [f"| `{name}` | {kind} | {labels} | {text} |" for name, kind, labels, text in sorted(_metrics())]
    return ["| metric | kind | labels | what it is |", "| --- | --- | --- | --- |", *rows]


def limits_table() -> list[str]:
    """One Markdown row a limit of the API: what is bounded, by how much, what happens beyond."""
    days, years = LONGEST_ANSWER.days, f"{EARLIEST.year} to {LATEST.year - 1}"
    rows = [
        ("connections at once", f"{MOST_CONNECTIONS}", "hung up at once"),
        ("time until the head of a request is complete", f"{HEAD_SECONDS:g} s", "hung up"),
        ("time until its body is complete", f"{BODY_SECONDS:g} s", "408"),
        ("body", f"{BODY_LIMIT_BYTES:,} bytes", "413, the rest is not read"),
        ("jobs of one user that wait or run", f"`server.jobs_per_user`, {ServerSettings().jobs_per_user:,}", "429"),
        ("requests of one token", f"`server.requests_per_minute`, {ServerSettings().requests_per_minute:,}", "429 with Retry-After"),
        ("sites a job names; jobs in `after`", f"{MOST_NAMES} each", "422"),
        ("instants a job names", f"the years {years}", "422"),
        ("CPU threads of a job, in all its processes", "the cores of the largest allowed site", "422"),
        ("hours of `/v1/zones/{zone}/intensity` in one answer", f"{days} days", "422"),
        ("rights on files that the daemon and its jobs make", f"umask {OTHERS:03o} at least", "nobody but owner and group reads them"),
    ]
    return ["| what | limit | beyond it |", "| --- | --- | --- |", *(f"| {what} | {limit} | {beyond} |" for what, limit, beyond in rows)]


def _settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        section = _section(field)
        if section is None:
            yield f"{prefix}{name}", _default(field), field.description or ""
        else:
            yield from _settings(section, f"{prefix}{name}{_suffix(field)}.")


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kinds = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _suffix(field: FieldInfo) -> str:
    """How the section is written: one table, a list of tables, or a table of tables."""
    origin = getattr(field.annotation, "__origin__", None)
    return "[]" if origin is tuple else ".NAME" if origin is dict else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = _plain(field.default)
    return "" if value is None or value in ([], {}) else f"`{json.dumps(value)}`"


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else list(value) if isinstance(value, tuple) else value


def _metrics() -> Iterator[tuple[str, str, str, str]]:
    for metric in Metrics().registry._collector_to_names:
        if not isinstance(metric, MetricWrapperBase):  # as those of the process, which every program has
            continue
        family = next(iter(metric.collect()))
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = ", ".join(metric._labelnames)
        yield name, family.type, labels, family.documentation


if __name__ == "__main__":
    print("\n".join([*settings_table(), "", *metrics_table(), "", *limits_table()]))
