"""The demo's picture: recorded intensity of each zone, and on it where and when every job really ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Answer = Mapping[str, Any]  # a document of the API
CREDIT = "Carbon intensity: Electricity Maps (2025), release 2025-01-27, ODbL"


def draw(
    path: Path, zones: Mapping[str, Sequence[Mapping[str, Any]]], zone_of: Mapping[str, str], jobs: Sequence[Mapping[str, Any]]
) -> None:
    """Write a PNG. `zones`: recorded points by zone; `zone_of`: zone of each site; `jobs`: details with their attempts."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import DateFormatter
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(11, 2.2 * len(zones) + 1.2), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(zones), 1, sharex=True, squeeze=False)[:, 0]
    colours = {job["id"]: f"C{index}" for index, job in enumerate(jobs)}
    for axis, (zone, points) in zip(axes, zones.items(), strict=True):
        axis.step([_at(point["start"]) for point in points], [point["g_per_kwh"] for point in points], where="post", color="0.3")
        for job in jobs:
            _mark(axis, job, zone, zone_of, colours[job["id"]])
        axis.set_ylabel(f"{zone}\ngCO$_2$e/kWh")
        axis.set_ylim(bottom=0)
    axes[-1].xaxis.set_major_formatter(DateFormatter("%a %H:%M", tz="UTC"))  # type: ignore[no-untyped-call]
    axes[0].set_title("Where and when each job ran (shaded), and when it would have begun at home (dotted)")
    handles = [Patch(color=colours[job["id"]], alpha=0.35, label=job["name"]) for job in jobs]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(jobs), frameon=False)
    axes[-1].set_xlabel(CREDIT, fontsize=8, color="0.4")
    canvas.print_png(str(path))  # type: ignore[no-untyped-call]


def _mark(axis: Axes, job: Answer, zone: str, zone_of: Mapping[str, str], colour: str) -> None:
    """Shade where the job ran in that zone; dot its acceptance where it would have begun at home."""
    for attempt in job["attempts"]:
        if zone_of[attempt["site"]] == zone and attempt["ended_at"]:
            axis.axvspan(_at(attempt["started_at"]), _at(attempt["ended_at"]), color=colour, alpha=0.35)
    if zone_of[job["home"]] == zone:
        axis.axvline(_at(job["accepted_at"]), color=colour, linestyle=":", linewidth=1.5)


def _at(instant: str) -> float:
    """An instant on matplotlib's axis of days."""
    from matplotlib.dates import date2num

    return float(date2num(datetime.fromisoformat(instant)))  # type: ignore[no-untyped-call]
