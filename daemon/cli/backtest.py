"""`lowtide backtest`: replay a trace of jobs, or one's own past, under another policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.moments import moment_or_fail
from daemon.cli.output import USAGE, JsonFlag, fail, print_json, say, table, warn
from daemon.cli.pictures import must_be_drawable, tell_drawn
from daemon.cli.settings import ConfigOption, load_or_fail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from daemon.backtest.run import Backtest
    from daemon.backtest.trace import TraceJob, TraceSite
    from forecast.intensity import Series

OWN_PAST = "Your own past"


class PolicyName(StrEnum):
    RUN_NOW = "run-now"
    LOWEST_WINDOW = "lowest-window"
    LOWEST_SLOTS = "lowest-slots"
    PLANNER = "planner"
    DAEMON = "daemon"


def register(app: typer.Typer) -> None:
    app.command()(backtest)


@dataclass(frozen=True, slots=True)
class _Input:
    """What to replay, and what beside the figures of the replay is worth telling."""

    jobs: Sequence[TraceJob]
    places: Sequence[TraceSite]
    records: Mapping[str, Series]
    more: dict[str, object] = field(default_factory=dict)


IntensityOption = Annotated[
    list[Path] | None, typer.Option("--intensity", help="Intensity CSV files, or folders of them; repeat for more.")
]
JobsOption = Annotated[
    Path | None, typer.Option("--jobs", help="Jobs CSV: job_id,arrival_utc,duration_hours,power_watts,gpus,deadline_utc,interruptible.")
]
SitesOption = Annotated[Path | None, typer.Option("--sites", help="TOML file with [[sites]]: name, zone, gpus, pue, speed, power_factor.")]
ZoneOption = Annotated[str | None, typer.Option("--zone", help="One site in this zone, instead of --sites; PUE 1.")]
CapacityOption = Annotated[int | None, typer.Option("--capacity", min=1, help="GPUs of the site with --zone; default: no limit.")]
PolicyOption = Annotated[
    PolicyName, typer.Option("--policy", help="How jobs are placed; daemon: by all of the daemon itself, which takes minutes for a year.")
]
DatabaseOption = Annotated[
    str | None,
    typer.Option("--from-database", metavar="URL", help="Jobs and intensity as this database has them.", rich_help_panel=OWN_PAST),
]
StartOption = Annotated[str | None, typer.Option("--from", help="Jobs accepted from then on; default: all.", rich_help_panel=OWN_PAST)]
EndOption = Annotated[str | None, typer.Option("--to", help="Jobs accepted before; default: all.", rich_help_panel=OWN_PAST)]
MoreIntensity = Annotated[list[Path] | None, typer.Argument(help="More intensity files, as a shell's pattern gives them.")]


def backtest(
    intensity: IntensityOption = None,
    jobs: JobsOption = None,
    sites: SitesOption = None,
    zone: ZoneOption = None,
    capacity: CapacityOption = None,
    policy: PolicyOption = PolicyName.PLANNER,
    forecast: Annotated[str, typer.Option("--forecast", help="oracle, persistence, own, or noise:SHARE:SEED.")] = "own",
    step: Annotated[str, typer.Option("--step", help="Length of a slot: 30min, 1h.")] = "30min",
    database: DatabaseOption = None,
    start: StartOption = None,
    end: EndOption = None,
    config: ConfigOption = None,
    plots: Annotated[Path | None, typer.Option("--plots", metavar="DIR", help="Write pictures into this folder.")] = None,
    more_intensity: MoreIntensity = None,
    as_json: JsonFlag = False,
) -> None:
    """Replay jobs on recorded intensity: what another policy would have emitted, and which deadlines it would have missed."""
    from daemon.backtest.run import step_of
    from daemon.store import StoreUnavailable

    try:
        length = step_of(step)
        if database is not None:
            _refuse_beside_a_database(intensity, more_intensity, jobs, sites, zone, capacity)
            replayed = _own_past(database, start, end, config)
        else:
            replayed = _files([*(intensity or []), *(more_intensity or [])], jobs, sites, zone, capacity, start or end)
        if plots is not None:
            must_be_drawable(plots)
        result = _with_progress(replayed, policy.value, forecast, length, silent=as_json)
    except (ValueError, OSError, StoreUnavailable) as error:
        fail(str(error))
    _tell(result, result.score.document() | dict(result.more) | replayed.more, as_json=as_json)
    if plots is not None:
        from daemon.backtest.plots import draw

        tell_drawn(plots, partial(draw, result))


def _refuse_beside_a_database(*given: object) -> None:
    if any(given):
        fail("--from-database brings jobs, sites and intensity: leave out --intensity, --jobs, --sites, --zone and --capacity", USAGE)


def _files(
    intensity: list[Path], jobs: Path | None, sites: Path | None, zone: str | None, capacity: int | None, period: str | None
) -> _Input:
    if jobs is None or not intensity:
        fail("give --intensity FILES and --jobs FILE, or --from-database URL to replay your own past", USAGE)
    if period is not None:
        fail("--from and --to go with --from-database", USAGE)
    if (sites is None) == (zone is None):
        fail("give either --sites FILE or --zone ZONE", USAGE)
    if sites is not None and capacity is not None:
        fail("--capacity goes with --zone; with --sites each site states its gpus", USAGE)
    from daemon.backtest.trace import TraceSite, read_jobs, read_sites
    from forecast.records import read_records

    trace = read_jobs(jobs)
    places = read_sites(sites) if sites is not None else [TraceSite(str(zone), str(zone), capacity)]
    return _Input(trace, places, read_records(intensity, [place.zone for place in places], warn=warn))


def _own_past(url: str, start: str | None, end: str | None, config: Path | None) -> _Input:
    """The daemon's own jobs on the sites of its settings."""
    first = datetime.min.replace(tzinfo=UTC) if start is None else moment_or_fail(start, "--from")
    last = datetime.max.replace(tzinfo=UTC) if end is None else moment_or_fail(end, "--to")
    if not first < last:
        fail("--to must lie after --from", USAGE)
    from daemon.backtest.from_database import own_past, trace_site
    from daemon.domain.site import Site

    settings = load_or_fail(config).settings
    sites = [
        Site(place.name, place.zone, place.gpus, place.hardware, place.pue, place.admits, place.transfer_kwh_per_gb)
        for place in sorted(settings.sites, key=lambda place: place.name != settings.home)
    ]
    past = own_past(url, first, last, sites, settings.intensity.intensity_kind)
    more: dict[str, object] = {
        "ledger_kg": past.ledger_kg,
        "ledger_run_now_kg": past.ledger_run_now_kg,
        "left_out_jobs": sum(past.left_out.values()),
        "left_out_because": "; ".join(past.left_out),
    }
    return _Input(past.jobs, [trace_site(site) for site in sites], past.records, more)


def _with_progress(replayed: _Input, policy: str, forecast: str, length: timedelta, *, silent: bool) -> Backtest:
    from rich.console import Console
    from rich.progress import Progress

    from daemon.backtest.run import backtest as run

    with Progress(console=Console(stderr=True), disable=silent, transient=True) as progress:
        bar = progress.add_task("replaying", total=len(replayed.jobs))
        return run(
            replayed.jobs,
            replayed.places,
            dict(replayed.records),
            policy,
            forecast,
            length,
            lambda done: progress.update(bar, completed=done),
        )


def _tell(result: Backtest, document: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    rows = [(name.replace("_", " "), _text(value)) for name, value in document.items()]
    say(table(f"{result.score.policy} on {result.score.jobs} jobs", ("figure", "value"), rows, right=("value",)))


def _text(value: object) -> str:
    return f"{value:,.3f}" if isinstance(value, float) else "-" if value is None or value == "" else str(value)
