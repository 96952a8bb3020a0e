"""`lowtide backtest`: replay a trace of jobs under another policy."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.output import USAGE, JsonFlag, fail, print_json, say, table

if TYPE_CHECKING:
    from datetime import timedelta

    from daemon.backtest.run import Backtest
    from daemon.backtest.trace import TraceJob, TraceSite
    from forecast.intensity import Series


class PolicyName(StrEnum):
    RUN_NOW = "run-now"
    LOWEST_WINDOW = "lowest-window"
    LOWEST_SLOTS = "lowest-slots"
    PLANNER = "planner"


def register(app: typer.Typer) -> None:
    app.command()(backtest)


def backtest(
    intensity: Annotated[list[Path], typer.Option("--intensity", help="Intensity CSV files, or folders of them; repeat for more.")],
    jobs: Annotated[
        Path, typer.Option("--jobs", help="Jobs CSV: job_id,arrival_utc,duration_hours,power_watts,gpus,deadline_utc,interruptible.")
    ],
    sites: Annotated[Path | None, typer.Option("--sites", help="TOML file with [[sites]]: name, zone, gpus, pue.")] = None,
    zone: Annotated[str | None, typer.Option("--zone", help="One site in this zone, instead of --sites; PUE 1.")] = None,
    capacity: Annotated[int | None, typer.Option("--capacity", min=1, help="GPUs of the site with --zone; default: no limit.")] = None,
    policy: Annotated[PolicyName, typer.Option("--policy", help="How jobs are placed.")] = PolicyName.PLANNER,
    forecast: Annotated[str, typer.Option("--forecast", help="oracle, persistence, own, or noise:SHARE:SEED.")] = "own",
    step: Annotated[str, typer.Option("--step", help="Length of a slot: 30min, 1h.")] = "30min",
    plots: Annotated[Path | None, typer.Option("--plots", metavar="DIR", help="Write pictures into this folder.")] = None,
    more_intensity: Annotated[list[Path] | None, typer.Argument(help="More intensity files, as a shell's pattern gives them.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Replay jobs on recorded intensity: what another policy would have emitted, and which deadlines it would have missed."""
    if (sites is None) == (zone is None):
        fail("give either --sites FILE or --zone ZONE", USAGE)
    if sites is not None and capacity is not None:
        fail("--capacity goes with --zone; with --sites each site states its gpus", USAGE)
    from daemon.backtest.run import step_of
    from daemon.backtest.trace import TraceSite, read_jobs, read_sites
    from forecast.records import read_records

    try:
        length = step_of(step)
        trace = read_jobs(jobs)
        places = read_sites(sites) if sites is not None else [TraceSite(str(zone), str(zone), capacity)]
        records = read_records([*intensity, *(more_intensity or [])], [place.zone for place in places])
        result = _with_progress(trace, places, records, policy.value, forecast, length, silent=as_json)
    except (ValueError, OSError) as error:
        fail(str(error))
    if plots is not None:
        _draw(result, plots)
    if as_json:
        print_json(result.score.document())
    else:
        _show(result)


def _with_progress(
    trace: list[TraceJob],
    places: list[TraceSite],
    records: dict[str, Series],
    policy: str,
    forecast: str,
    length: timedelta,
    *,
    silent: bool,
) -> Backtest:
    from rich.console import Console
    from rich.progress import Progress

    from daemon.backtest.run import backtest as run

    with Progress(console=Console(stderr=True), disable=silent, transient=True) as progress:
        bar = progress.add_task("replaying", total=len(trace))
        return run(trace, places, records, policy, forecast, length, lambda done: progress.update(bar, completed=done))


def _show(result: Backtest) -> None:
    document = result.score.document()
    rows = [(name.replace("_", " "), _text(value)) for name, value in document.items()]
    say(table(f"{result.score.policy} on {result.score.jobs} jobs", ("figure", "value"), rows, right=("value",)))


def _text(value: object) -> str:
    return f"{value:,.3f}" if isinstance(value, float) else "-" if value is None else str(value)


def _draw(result: Backtest, folder: Path) -> None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        fail("--plots needs matplotlib: install the extra with `pip install 'lowtide[ldm]'`")
    from daemon.backtest.plots import draw

    for path in draw(result, folder):
        say(f"wrote {path}")
