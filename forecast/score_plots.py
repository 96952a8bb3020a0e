"""Pictures of forecast scores: errors by zone, and what the regret rule trades."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Document = dict[str, Any]


def draw(document: Document, folder: Path) -> list[Path]:
    """Two PNG files in `folder`, which is made if it is not there: `errors.png` and `regret_rule.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_errors(document, folder / "errors.png"), _curve(document, folder / "regret_rule.png")]


def _errors(document: Document, path: Path) -> Path:
    """One panel per bucket of leads, one mark per zone and forecaster, at the smallest delay."""
    from matplotlib.figure import Figure

    delay = min(zone["delay_hours"] for zone in document["zones"])
    zones = [zone for zone in document["zones"] if zone["delay_hours"] == delay]
    buckets = list(next(iter(zones[0]["forecasters"].values()))["leads"])
    figure = Figure(figsize=(10, 2 + 0.3 * len(zones)), layout="constrained")
    for axes, bucket in zip(figure.subplots(1, len(buckets), sharey=True, squeeze=False)[0], buckets, strict=True):
        for name in zones[0]["forecasters"]:
            errors = [zone["forecasters"][name]["leads"][bucket]["relative_mae"] for zone in zones]
            known = [(error, zone["zone"]) for error, zone in zip(errors, zones, strict=True) if error is not None]
            axes.plot([error for error, _ in known], [zone for _, zone in known], "o", label=name)
        axes.set_xlabel(f"error, {bucket} h ahead (24 h persistence = 1)")
    axes.legend()
    return _saved(figure, path)


def _curve(document: Document, path: Path) -> Path:
    """Share of jobs worse than run-now against the saving kept, means over zones; a mark per confidence of the rule."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for mean in document["means"]:
        points = [point for point in mean["mean"]["regret_rule"] if point["replanned"]["kept"] is not None]
        kept, worse = ([point["replanned"][what] for point in points] for what in ("kept", "worse"))
        axes.plot(worse, kept, "o-", label=f"{mean['forecaster']}, {mean['delay_hours']} h delay")
        for point, x, y in zip(points, worse, kept, strict=True):
            axes.annotate(f"{point['confidence']:g}", (x, y), fontsize=7)
    axes.set_xlabel("share of jobs worse than run-now")
    axes.set_ylabel("share of the hindsight saving kept")
    axes.set_title("8 h job with 24 h slack, re-planned hourly")
    axes.legend()
    return _saved(figure, path)


def _saved(figure: object, path: Path) -> Path:
    figure.savefig(path, dpi=120)  # type: ignore[attr-defined]  # matplotlib's Figure, imported only where it is drawn
    return path
