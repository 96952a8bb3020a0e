"""`lowtide forecast-score`: how good forecasts were, and what decisions on them were worth. Needs no daemon."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon.cli.moments import moment_or_fail
from daemon.cli.output import USAGE, JsonFlag, fail, print_json, warn
from forecast.timeline import HOUR, floor_to

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forecast.intensity import Series
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
    plots: Annotated[Path | None, typer.Option("--plots", metavar="DIR", help="Write pictures into this folder.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Score forecasts on recorded intensity: errors, intervals, and the saving that jobs planned by them would have kept."""
    chosen, delays = _forecasters(forecasters), _delays(delay)
    period = _instant(start, "--from"), _instant(end, "--to")
    records = _records(files, zones, kind)
    scores = _scored(records, period, chosen, delays, silent=as_json)
    from forecast.score_document import score_document

    document = score_document(scores)
    if plots is not None:
        _draw(document, plots)
    if as_json:
        print_json(document)
        return
    from daemon.cli.forecast_score_tables import show_scores

    show_scores(document)


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


def _instant(text: str | None, option: str) -> datetime | None:
    """The hour of a date or time."""
    return None if text is None else floor_to(moment_or_fail(text, option), HOUR)


def _records(files: list[Path], zones: str | None, kind: str) -> dict[str, Series]:
    from forecast.intensity import IntensityKind
    from forecast.records import read_records

    wanted = None if zones is None else [zone.strip() for zone in zones.split(",")]
    try:
        records = read_records(files, wanted, IntensityKind.from_label(kind), warn)
    except OSError as error:
        fail(f"{error.filename}: cannot be read ({error.strerror}): check the path")
    except ValueError as problem:
        fail(str(problem))
    missing = [zone for zone in wanted or () if zone not in records]
    if missing or not records:
        fail(
            f"no file is of zone {', '.join(missing)}" if missing else "there is no CSV file in what was given: name files or their folder"
        )
    return records


def _scored(
    records: dict[str, Series],
    period: tuple[datetime | None, datetime | None],
    forecasters: Mapping[str, Reissue],
    delays: Sequence[int],
    *,
    silent: bool,
) -> list[ZoneScores]:
    """Zone by zone, with a bar that moves."""
    from rich.console import Console
    from rich.progress import Progress

    from forecast.zone_scores import score_zones

    scores: list[ZoneScores] = []
    try:
        with Progress(console=Console(stderr=True), disable=silent, transient=True) as progress:
            bar = progress.add_task("scoring", total=len(records) * len(delays))
            for each in score_zones(records, *period, forecasters, delays):
                scores.append(each)
                progress.update(bar, advance=1, description=f"scored {each.zone}")
    except ValueError as problem:
        fail(str(problem))
    return scores


def _draw(document: dict[str, Any], folder: Path) -> None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        fail("--plots needs matplotlib: install the extra with `pip install 'lowtide[ldm]'`")
    from forecast.score_plots import draw

    try:
        paths = draw(document, folder)
    except OSError as error:
        fail(f"--plots {folder}: cannot be written ({error.strerror}): choose another folder")
    for path in paths:
        typer.echo(f"Picture: {path}", err=True)
