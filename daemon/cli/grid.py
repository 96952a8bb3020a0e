"""Commands about the grid: zones, import-intensity, replay."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon.cli import client
from daemon.cli.client import DEFAULT_URL, UrlOption
from daemon.cli.jobs import segment
from daemon.cli.output import JsonFlag, fail, number, print_json, say, table, warn
from daemon.cli.serve import ending_with_a_sentence
from daemon.cli.settings import ConfigOption, load_or_fail

if TYPE_CHECKING:
    from daemon.service.importing import ImportedFile
    from daemon.settings import Settings

COLUMNS = ("file", "zone", "step", "new", "restated", "unchanged", "gaps", "repeated", "empty")
"""Of what `import-intensity` tells, one row a file."""


def register(app: typer.Typer) -> None:
    app.command()(zones)
    app.command()(import_intensity)
    app.command()(replay)


def zones(
    zone: Annotated[str | None, typer.Argument(metavar="ZONE", help="One of them: its months, and how good its forecasts were.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every zone with a bundled yearly mean; needs no daemon.")] = False,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonFlag = False,
) -> None:
    """The grid zones of your sites, how clean they are now and where that value comes from."""
    if everything:
        _bundled_zones(as_json)
        return
    if zone is not None:
        _one_zone(url, zone, as_json)
        return
    sites = client.get(url, "/v1/sites")
    if as_json:
        print_json(sites)
        return
    columns = ("site", "zone", "gCO2e/kWh", "rung", "age", "GPUs busy", "status", "source")
    say(table("Zones", columns, [_site_row(site) for site in sites], right=("gCO2e/kWh", "age", "GPUs busy")))
    say(*(f"{site['name']}: {site['reason']}" for site in sites if site["reason"] is not None))


def _site_row(site: dict[str, Any]) -> tuple[object, ...]:
    now, gpus = site["intensity"], "?" if site["gpus"] is None else site["gpus"]
    told = number(now["g_per_kwh"]), now["rung"], _age(now["age_seconds"])
    return site["name"], site["zone"], *told, f"{site['gpus_busy']}/{gpus}", site["status"], now["source"]


def _one_zone(url: str, zone: str, as_json: bool) -> None:
    from daemon.cli.zone import show_zone

    path = f"/v1/zones/{segment(zone)}"
    seasons, forecast = client.get(url, f"{path}/seasons"), client.get(url, f"{path}/forecast")
    if as_json:
        print_json({"zone": zone, "seasons": seasons, "skill": forecast["skill"]})
    else:
        show_zone(seasons, forecast["skill"])


def _age(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds / 60:.0f} min"


def _bundled_zones(as_json: bool) -> None:
    from forecast.intensity import LIFECYCLE_AVERAGE
    from forecast.yearly import bundled_zones, yearly_means

    newest = [yearly_means(zone, LIFECYCLE_AVERAGE)[-1] for zone in bundled_zones()]
    if as_json:
        print_json(
            [{"zone": mean.zone, "year": mean.interval.start.year, "g_per_kwh": mean.g_per_kwh, "source": mean.source} for mean in newest]
        )
        return
    rows = [(mean.zone, mean.interval.start.year, number(mean.g_per_kwh), mean.source) for mean in newest]
    say(table("Zones with a bundled yearly mean", ("zone", "year", "gCO2e/kWh", "source"), rows, right=("gCO2e/kWh",)))


def import_intensity(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES", help="Electricity Maps portal CSV files, plain or gzip, or folders of them.")
    ],
    release: Annotated[str | None, typer.Option("--release", help="The portal release the files are from, e.g. 2025-01-27.")] = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Record intensity from files in the database: hourly values, monthly and yearly means."""
    done, mixed = _imported(files, load_or_fail(config).settings, release)
    for sentence in mixed:
        warn(sentence)
    if as_json:
        rows = [dict(zip(COLUMNS, _figures(item), strict=True)) | {"doubt": item.doubt} for item in done]
        print_json(rows)
    else:
        say(table("Imported", COLUMNS, [_figures(item) for item in done], right=COLUMNS[3:]))
        say(*(f"{item.path}: {item.doubt}" for item in done if item.doubt))


def _imported(files: list[Path], settings: Settings, release: str | None) -> tuple[list[ImportedFile], list[str]]:
    """What each file brought, and of which zones several releases are recorded now; ends the command with one sentence where a file cannot
    be read, or the database takes no more."""
    from daemon.compose import open_intensity_store
    from daemon.service.importing import import_files, mixed_releases
    from daemon.store import StoreError
    from forecast.csv_files import csv_files

    done: list[ImportedFile] = []
    kind = settings.intensity.intensity_kind
    with ending_with_a_sentence(), open_intensity_store(settings) as store:
        try:
            files = csv_files(files)
            done.extend(import_files(store, files, kind, datetime.now(UTC), release))
            told = [mixed_releases(store, zone, kind) for zone in dict.fromkeys(item.zone for item in done)]
        except OSError as error:
            fail(f"{error.filename}: cannot be read ({error.strerror}): check the path")
        except ValueError as error:
            fail(str(error))
        except StoreError as error:
            recorded = f"{len(done)} of {len(files)} files are recorded" if done else "nothing is recorded"
            fail(f"{error}; {recorded}: import them all again then, which changes nothing of what is there")
    return done, [sentence for sentence in told if sentence is not None]


def _figures(item: ImportedFile) -> tuple[object, ...]:
    """One file's row of COLUMNS."""
    counts = item.counts
    return item.path, item.zone, item.granularity, counts.new, counts.restated, counts.unchanged, item.gaps, item.repeats, item.empty


def replay(
    files: Annotated[list[Path], typer.Argument(metavar="FILES", help="Recorded CSV files, or folders of them.")],
    speed: Annotated[float, typer.Option("--speed", help="Grid seconds per real second.")] = 1.0,
    start: Annotated[str | None, typer.Option("--start", help="Grid time at the start, e.g. 2023-09-04T18:00Z.")] = None,
    port: Annotated[int, typer.Option("--port", help="0 takes a free one and prints it.")] = 0,
    plan: Annotated[str, typer.Option("--plan", help="free: latest and history only; full: everything.")] = "full",
    fault: Annotated[list[str] | None, typer.Option("--fault", help="Switch a fault on from the beginning; may be repeated.")] = None,
) -> None:
    """Serve recorded intensity as if it were the Electricity Maps API, for dry runs and tests."""
    from forecast.replay.__main__ import main

    arguments = ["--speed", str(speed), "--port", str(port), "--plan", plan]
    arguments += [] if start is None else ["--start", start]
    arguments += [word for name in fault or [] for word in ("--fault", name)]
    raise typer.Exit(main(["--data", *map(str, files), *arguments]))
