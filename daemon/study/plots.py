"""The figures of the study as PNG files. Imports matplotlib, which comes with the extra `ldm`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from daemon.study.figures import PHASES
from daemon.study.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KG = "kg CO$_2$e"
_TIMES = "\N{MULTIPLICATION SIGN}"
_OURS, _PAPER = "C0", "C1"


def draw_figures(study: Study, folder: Path) -> list[Path]:
    """Write one picture per figure of the paper into the folder, which is made if it is not there. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[Path] = []
    for name, columns, draw in _FIGURES:
        figure = Figure(figsize=(5.5 * columns, 4), layout="constrained")
        canvas = FigureCanvasAgg(figure)
        draw(study, list(figure.subplots(1, columns, squeeze=False)[0]))
        figure.supxlabel(f"hardware profile {study.hardware}; bars: ours, with standard deviation", fontsize=8, color="0.4")
        path = folder / f"{name}.png"
        canvas.print_png(str(path))  # type: ignore[no-untyped-call]
        drawn.append(path)
    return drawn


def _image_sizes(study: Study, axes: list[Axes]) -> None:
    """Fig. 1, logarithmic: it spans three orders of magnitude."""
    for axis, phase in zip(axes, PHASES, strict=True):
        rows = [row for row in study.image_sizes if row.ours.phase == phase]
        labels = [row.ours.image.replace(" x ", _TIMES) for row in rows]
        _bars(axis, labels, [row.kg for row in rows], [row.sd_kg for row in rows])
        printed = [(index, row.paper_kg, row.paper_sd_kg) for index, row in enumerate(rows) if row.paper_kg is not None]
        places, kg, sd = zip(*printed, strict=True)
        axis.errorbar(places, kg, yerr=sd, fmt="D", color=_PAPER, label="printed in the paper", capsize=3)
        axis.set_yscale("log")
        axis.set_title(f"Fig. 1: {phase}")
        axis.legend(frameon=False)


def _model_sizes(study: Study, axes: list[Axes]) -> None:
    """Fig. 2, relative to the small model."""
    for axis, phase in zip(axes, PHASES, strict=True):
        for row in study.model_sizes:
            if row.phase == phase:
                axis.plot(("small", "medium", "large"), [kg / row.kg[0] for kg in row.kg], marker="o", label=row.image)
                low, high = row.paper_growth
        axis.axhspan(1 + low, 1 + high, color=_PAPER, alpha=0.2, label="large, as the paper says")
        axis.set_ylabel("emissions over those of the small model")
        axis.set_title(f"Fig. 2: {phase}")
        axis.legend(frameon=False)


def _regions(study: Study, axes: list[Axes]) -> None:
    for axis, phase in zip(axes, PHASES, strict=True):
        kg = [row.training_kg if phase == "training" else row.synthesis_kg for row in study.regions]
        _bars(axis, [row.name for row in study.regions], kg, None)
        axis.set_title(f"Fig. 3a: {phase}, 192{_TIMES}192{_TIMES}192, direct factors")


def _months(study: Study, axes: list[Axes]) -> None:
    _bars(axes[0], [row.month for row in study.months], [row.kg for row in study.months], [row.sd_kg for row in study.months])
    axes[0].set_title(f"Fig. 3b: synthesis by month, {study.zone}, life-cycle")


def _distribution(study: Study, axes: list[Axes]) -> None:
    """Both readings of "the same batch size", side by side."""
    for axis, reading in zip(axes, dict.fromkeys(row.reading for row in study.distribution), strict=True):
        rows = [row for row in study.distribution if row.reading == reading]
        labels = [f"{row.gpus} GPU" for row in rows]
        _bars(axis, labels, [row.kg for row in rows], [row.sd_kg for row in rows])
        axis.set_title(f"Fig. 4a: training, {reading}")


def _steps(study: Study, axes: list[Axes]) -> None:
    _bars(axes[0], [f"{row.inference_steps}" for row in study.steps], [row.kg for row in study.steps], [row.sd_kg for row in study.steps])
    axes[0].set_xlabel("inference steps")
    axes[0].set_title(f"Fig. 4b: synthesis of 256{_TIMES}256{_TIMES}192")


def _bars(axis: Axes, labels: list[str], kg: list[float], sd: list[float] | None) -> None:
    places = list(range(len(labels)))
    axis.bar(places, kg, yerr=sd, color=_OURS, alpha=0.7, capsize=3)
    long = max(map(len, labels)) > 6
    axis.set_xticks(places, labels, rotation=30 if long else 0, ha="right" if long else "center")
    axis.set_ylabel(_KG)


_FIGURES: tuple[tuple[str, int, Callable[[Study, list[Axes]], None]], ...] = (
    ("fig1-image-sizes", 2, _image_sizes),
    ("fig2-model-sizes", 2, _model_sizes),
    ("fig3a-regions", 2, _regions),
    ("fig3b-months", 1, _months),
    ("fig4a-distributed-training", 2, _distribution),
    ("fig4b-inference-steps", 1, _steps),
)
