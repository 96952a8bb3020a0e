"""The README's tables as the code says they must be: `python -m tests.documented` prints them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from daemon.metrics import Metrics
from daemon.settings import Settings


def settings_table() -> list[str]:
    """One Markdown row a setting: key, default, what it is."""
    rows = [f"| `{key}` | {default} | {text} |" for key, default, text in _settings(Settings)]
    return ["| key | default | what it is |", "| --- | --- | --- |", *rows]


def metrics_table() -> list[str]:
    """One Markdown row a metric: name as Prometheus sees it, kind, labels, what it is."""
    rows = [f"| `{name}` | {kind} | {labels} | {text} |" for name, kind, labels, text in sorted(_metrics())]
    return ["| metric | kind | labels | what it is |", "| --- | --- | --- | --- |", *rows]


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
    for metric in vars(Metrics()).values():
        if not isinstance(metric, MetricWrapperBase):
            continue
        family = next(iter(metric.collect()))
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = ", ".join(metric._labelnames)
        yield name, family.type, labels, family.documentation


if __name__ == "__main__":
    print("\n".join([*settings_table(), "", *metrics_table()]))
