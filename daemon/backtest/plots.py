"""Pictures of a replay: emissions beside run-now and hindsight, waiting times, GPUs in use over time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from daemon.backtest.run import Backtest

DAY_SECONDS = 86400.0


def draw(result: Backtest, folder: Path) -> list[Path]:
    """Three PNG files in `folder`, which is made if it is not there."""
    import matplotlib

    matplotlib.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    return [_emissions(result, folder), _waits(result, folder), _use(result, folder)]


def _emissions(result: Backtest, folder: Path) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    score = result.score
    axes.bar(["run now", score.policy, "hindsight"], [score.run_now_kg, score.emissions_kg, score.hindsight_kg])
    axes.set_ylabel("emissions (kg CO2e)")
    axes.set_title(f"saving {score.savings_percent:.1f} % ({score.savings_low_percent:.1f} to {score.savings_high_percent:.1f} %)")
    return _saved(figure, folder / "emissions.png")


def _waits(result: Backtest, folder: Path) -> Path:
    from matplotlib.figure import Figure

    ends = np.array([max(p.end for p in result.replayed.pieces[job.id]) for job in result.jobs])
    undelayed = np.array([result.world.seconds(job.arrival + job.duration) for job in result.jobs])
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.hist((ends - undelayed) / 3600, bins=40)
    axes.set_xlabel("wait (h)")
    axes.set_ylabel("jobs")
    return _saved(figure, folder / "waits.png")


def _use(result: Backtest, folder: Path) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, replay in (("run now", result.baseline), (result.score.policy, result.replayed)):
        ends = [(at, sign * job.gpus) for job in result.jobs for p in replay.pieces[job.id] for at, sign in ((p.start, 1), (p.end, -1))]
        at, change = np.array(sorted(ends)).T
        axes.step(at / DAY_SECONDS, np.cumsum(change), where="post", label=name, linewidth=0.7)
    axes.set_xlabel(f"days since {result.world.start:%Y-%m-%d}")
    axes.set_ylabel("GPUs in use")
    axes.legend()
    return _saved(figure, folder / "gpus.png")


def _saved(figure: object, path: Path) -> Path:
    figure.savefig(path, dpi=120)  # type: ignore[attr-defined]  # matplotlib's Figure, imported only where it is drawn
    return path
