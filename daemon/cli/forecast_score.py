"""`lowtide forecast-score`: how good forecasts were, and what decisions on them were worth. Needs no daemon."""

from __future__ import annotations

import os
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon.cli.moments import moment_or_fail
from daemon.cli.output import FAILED, USAGE, JsonFlag, fail, print_json, warn
from daemon.cli.pictures import must_be_drawable, tell_drawn
from forecast.timeline import HOUR, floor_to

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forecast.intensity import IntensityKind, Series
    from forecast.reissue import Reissue
    from forecast.zone_scores import ZoneScores


def register(app: typer.Typer) -> None:
    app.command("forecast-score")(forecast_score)


def forecast_score(
    files: Annotated[list[Path], typer.Argument(metavar="FILES", help="Recorded intensity: CSV files of any zones, or folders of them.")],
    zones: Annotated[str | None, typer.Option("--zones", help="Only these, e.g. DE,SE.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="First hour scored, e.g. 2023-01-01; two months of record go before.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="... up to this one, which is not known to the scores.")] = None,
    delay: Annotated[str, typer.Option("--delay", help="Hours by which the newest known value lags, one or several.")] = "0,3",
    forecasters: Annotated[
        str, typer.Option("--forecasters", help="Of own, persistence (24 h, always scored), last-week (168 h), seven-day-mean.")
    ] = "own,persistence,last-week,seven-day-mean",
    kind: Annotated[str, typer.Option("--kind", help="The kind of intensity to read from the files.")] = "lifecycle/average/flow-traced",
    processes: Annotated[int | None, typer.Option("--processes", min=1, help="Work in so many at a time; default: one a core.")] = None,
    plots: Annotated[Path | None, typer.Option("--plots", metavar="DIR", help="Write pictures into this folder.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Score forecasts on recorded intensity: errors, intervals, and the saving that jobs planned by them would have kept."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported: processes share the cores among them
    chosen, delays = _forecasters(forecasters), _delays(delay)
    period, counted = _period(start, end), _kind(kind)
    records = _records(files, zones, counted)
    if plots is not None:
        must_be_drawable(plots)
    from forecast.score_document import score_document
    from jobs.host import usable_cores

    scores = _scored(records, period, chosen, delays, processes or usable_cores(), silent=as_json)
    document = score_document(scores)
    _show(document, as_json=as_json)
    if plots is not None:
        from forecast.score_plots import draw

        tell_drawn(plots, partial(draw, document))


def _forecasters(names: str) -> Mapping[str, Reissue]:
    """Those named, and the reference: every figure is told beside it."""
    from forecast.reissue import FORECASTERS, REFERENCE

    chosen = [name.strip() for name in names.split(",")]
    for name in chosen:
        if name not in FORECASTERS:
            fail(f"--forecasters: there is no {name!r}, choose of {', '.join(FORECASTERS)}", USAGE)
    return {name: reissue for name, reissue in FORECASTERS.items() if name in {*chosen, REFERENCE}}


def _delays(text: str) -> list[int]:
    from forecast.model.forecaster import MAXIMUM_DELAY_HOURS

    words = [word.strip() for word in text.split(",")]
    if not all(word.isdigit() and int(word) <= MAXIMUM_DELAY_HOURS for word in words):
        fail(f"--delay {text}: give whole hours from 0 to {MAXIMUM_DELAY_HOURS}, for example 0 or 0,3", USAGE)
    return [int(word) for word in dict.fromkeys(words)]


def _period(start: str | None, end: str | None) -> tuple[datetime | None, datetime | None]:
    """From the hour of one date or time to the hour of the other."""
    first, last = (
        None if text is None else floor_to(moment_or_fail(text, option), HOUR) for text, option in ((start, "--from"), (end, "--to"))
    )
    if first is not None and last is not None and last <= first:
        fail(f"--to {last:%Y-%m-%d %H:%M} is not after --from {first:%Y-%m-%d %H:%M}: give a later --to or an earlier --from", USAGE)
    return first, last


def _kind(label: str) -> IntensityKind:
    from forecast.intensity import IntensityKind

    try:
        return IntensityKind.from_label(label)
    except ValueError as problem:
        fail(f"--kind {problem}", USAGE)


def _records(files: list[Path], zones: str | None, kind: IntensityKind) -> dict[str, Series]:
    from forecast.records import read_records

    wanted = None if zones is None else [zone.strip() for zone in zones.split(",")]
    try:
        records = read_records(files, wanted, kind, warn)
    except OSError as error:
        fail(f"{error.filename}: cannot be read ({error.strerror}): check the path")
    except ValueError as problem:
        fail(str(problem))
    missing = [zone for zone in wanted or () if zone not in records]
    if missing:
        fail(f"no file is of zone {', '.join(missing)}: give a file of it, or leave it out of --zones")
    return records


def _scored(
    records: dict[str, Series],
    period: tuple[datetime | None, datetime | None],
    forecasters: Mapping[str, Reissue],
    delays: Sequence[int],
    processes: int,
    *,
    silent: bool,
) -> list[ZoneScores]:
    """Zone by zone, with a bar that moves; a zone that cannot be scored is told of, and ends the command only if no other can."""
    from concurrent.futures.process import BrokenProcessPool
    from contextlib import closing

    from rich.console import Console
    from rich.progress import Progress

    from forecast.score_zones import score_zones

    scores: list[ZoneScores] = []
    left_out: list[str] = []
    try:
        with (
            Progress(console=Console(stderr=True), disable=silent, transient=True) as progress,
            closing(score_zones(records, *period, forecasters, delays, left_out.append, processes)) as scored,
        ):
            bar = progress.add_task("scoring", total=len(records) * len(delays))
            for each in scored:
                scores.append(each)
                progress.update(bar, advance=1, description=f"scored {each.zone}")
    except ValueError as problem:
        fail(str(problem))
    except (BrokenProcessPool, OSError):
        fail("a process that scored could not begin or ended early, perhaps for want of memory: try --processes 1")
    for sentence in left_out:  # only now: they would stand in the way of the bar
        warn(sentence)
    if not scores:
        raise typer.Exit(FAILED)
    return scores


def _show(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    from daemon.cli.forecast_score_tables import show_scores

    show_scores(document)
