"""The demo's live view: the grid, the jobs and why each is where it is, as the daemon's API tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from daemon.demo.scenario import RATE

BARS = "▁▂▃▄▅▆▇█"
HOURS_AHEAD = 30
STATE_STYLES = {"running": "bold green", "succeeded": "green", "failed": "bold red", "waiting": "yellow", "suspended": "cyan"}


@dataclass(slots=True)
class Watch:
    """What was seen at the last look."""

    sites: list[dict[str, Any]] = field(default_factory=list)
    forecasts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    jobs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return bool(self.jobs) and all(job["state"] in ("succeeded", "failed", "cancelled", "expired") for job in self.jobs)


def render(watch: Watch, now: datetime) -> RenderableType:
    """The whole view at one moment of grid time."""
    title = f"Lowtide demo   {now:%Y-%m-%d %H:%M} UTC on the grid   replayed, x{RATE:g}: joules real, hours compressed"
    return Group(Text(title, style="bold"), Panel(_grid(watch), title="Grid"), Panel(_jobs(watch.jobs), title="Jobs"))


def _grid(watch: Watch) -> Table:
    table = Table(box=None, expand=True, pad_edge=False)
    for column in ("site", "zone", "now", "stands on", "busy", f"next {HOURS_AHEAD} h"):
        table.add_column(column, no_wrap=True)
    for site in watch.sites:
        intensity = site["intensity"]
        value = "unknown" if intensity["g_per_kwh"] is None else f"{intensity['g_per_kwh']:.0f} g/kWh"
        values = [point["g_per_kwh"] for point in watch.forecasts.get(site["zone"], [])][:HOURS_AHEAD]
        table.add_row(site["name"], site["zone"], value, intensity["rung"] or "-", f"{site['gpus_busy']}/{site['gpus']}", sparkline(values))
    return table


def sparkline(values: Sequence[float]) -> str:
    """One bar per value, scaled between their extremes."""
    if not values:
        return ""
    low, span = min(values), max(values) - min(values)
    return "".join(BARS[int((value - low) / span * (len(BARS) - 1)) if span > 0 else 0] for value in values)


def _jobs(jobs: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, expand=True, pad_edge=False)
    for column, width in (("job", 13), ("state", 10), ("done", 22), ("energy", 10)):
        table.add_column(column, width=width, no_wrap=True)
    table.add_column("why", ratio=1)
    for job in jobs:
        done = job["progress"]
        progress = Table.grid(padding=(0, 1))
        progress.add_row(ProgressBar(done["steps_total"], done["steps_done"], width=12), f"{done['steps_done']}/{done['steps_total']}")
        energy = "-" if job["energy_kwh"] is None else f"{job['energy_kwh'] * 1000:.3f} Wh"
        state = Text(job["state"], style=STATE_STYLES.get(job["state"], ""))
        table.add_row(job["name"], state, progress, energy, _why(job))
    return table


def _why(job: Mapping[str, Any]) -> str:
    if job["plan"] and job["state"] in ("waiting", "suspended"):
        window = job["plan"][0]
        return f"{window['site']} from {_clock(window['start'])}: {job['reason']}"
    return str(job["reason"])


def _clock(instant: str) -> str:
    return f"{datetime.fromisoformat(instant):%a %H:%M}"
