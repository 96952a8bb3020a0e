"""Our model beside CarbonCast's published 96 h forecasts, and both combined: the same regions, hours and targets, July to December 2021.

`python -m tests.bench.carboncast [--traces DIR]`. CarbonCast knows weather forecasts; ours knows the record only. It is
trained here from scratch on the seven regions' records before July 2021, so it has not seen a single hour it is scored on.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from forecast.combining import combine, learn_combination
from forecast.intensity import FloatArray, IntensityKind, Rung, Series, Vintage
from forecast.model.backtest import reissue
from forecast.model.forecaster import epoch_hours
from forecast.model.network import Network
from forecast.model.record import aligned, nearest
from forecast.model.train import train_network
from forecast.scoring import IntArray, persistence
from forecast.timeline import HOUR
from tests.forecast.traces import benched_folder, traces_folder

REGIONS = {
    "CISO": "US-CAL-CISO",
    "DE": "DE",
    "ERCO": "US-TEX-ERCO",
    "ES": "ES",
    "PJM": "US-MIDA-PJM",
    "PL": "PL",
    "SE": "SE",
}
PRODUCTION = IntensityKind(flow_traced=False)
SCORED_FROM = datetime(2021, 7, 1, tzinfo=UTC)
BLOCK_HOURS = 96


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.carboncast")
    parser.add_argument("--traces", type=Path, default=traces_folder())
    folder = benched_folder("carboncast", parser.parse_args(arguments).traces)
    records = {region: read_record(folder, region) for region in REGIONS}
    before = [Series(one.zone, one.kind, one.start, one.values[: hours_before(one)]) for one in records.values()]
    # Two networks for each length of record, not six as shipped: the README's table was made so, in a third of the time.
    network = train_network(before, members=2, cold_members=2, seed=0)
    columns = [f"{who} day {day}" for day in range(1, 5) for who in ("CarbonCast", "ours", "together", "24 h ago")]
    print(f"| region | {' | '.join(columns)} |")
    print("|---" * 17 + "|")
    for region, record in records.items():
        issued, actual, theirs = read_forecasts(folder, region)
        first = hours_before(record)
        ours = reissued(network, record, list(records.values()), np.arange(first, len(record.values)))[issued]
        naive = persistence(record.values, issued + first, BLOCK_HOURS)
        blend = together(record, issued, theirs, ours)
        cells = [100 * mape(actual, each, day) for day in range(4) for each in (theirs, ours[:, 1], blend, naive)]
        print(f"| {region} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |", flush=True)
    return 0


def reissued(network: Network, record: Series, all_records: Sequence[Series], origins: IntArray) -> FloatArray:
    """Ours at `origins`, as it would have been with the other regions' records beside it."""
    by_zone = {each.zone: each for each in all_records}
    around = [aligned(by_zone[zone], record.start, len(record.values)) for zone in nearest(record.zone, by_zone)]
    return reissue(network, record.zone, record.values, epoch_hours(record.start), origins, neighbours=around)


def together(record: Series, issued: IntArray, theirs: FloatArray, ours: FloatArray) -> FloatArray:
    """What the daemon would make of both, learning at each issue from those of the four weeks before it: (blocks, 96)."""
    starts = [SCORED_FROM + int(hours) * HOUR for hours in issued]

    def vintage(rung: Rung, start: datetime, middle: FloatArray, *bounds: FloatArray) -> Vintage:
        return Vintage(record.zone, record.kind, rung.label, rung, start, start, start, HOUR, middle, *bounds)

    vendor = [vintage(Rung.VENDOR_FORECAST, start, values) for start, values in zip(starts, theirs, strict=True)]
    own = [vintage(Rung.OWN_FORECAST, start, band[1], band[0], band[2]) for start, band in zip(starts, ours, strict=True)]
    blended = []
    for index, now in enumerate(starts):
        how = learn_combination(vendor[:index], own[:index], record, now)
        blended.append(combine(vendor[index], own[index], how)[0].g_per_kwh)
    return np.array(blended)


def hours_before(record: Series) -> int:
    """Hours of the record before the scored period."""
    return int((SCORED_FROM - record.start) // HOUR)


def read_record(folder: Path, region: str) -> Series:
    """The region's hourly life-cycle intensity of production; its hours are checked to follow each other."""
    rows = read_rows(folder / f"{region}_lifecycle_emissions_2020_2021.csv.gz")
    starts = [read_time(row["UTC time"]) for row in rows]
    values = np.full(int((starts[-1] - starts[0]) // HOUR) + 1, np.nan)
    for start, row in zip(starts, rows, strict=True):
        values[int((start - starts[0]) // HOUR)] = float(row["carbon_intensity"])
    return Series(REGIONS[region], PRODUCTION, starts[0], values)


def read_forecasts(folder: Path, region: str) -> tuple[IntArray, FloatArray, FloatArray]:
    """When each forecast was issued (hours into the scored period), outcomes and forecasts (blocks, 96).

    Blocks are issued at midnight UTC, and a block says so in its first row: in five of the files 4 December comes twice and
    5 December not at all. Of a day that comes twice the first block counts.
    """
    rows = read_rows(folder / f"{region}_96h_forecasts_lifecycle_Jul_Dec_2021.csv.gz")
    actual, forecast = (
        np.array([float(row[f"{name}_carbon_intensity_lifecycle"]) for row in rows]).reshape(-1, BLOCK_HOURS)
        for name in ("actual", "forecasted")
    )
    issued = np.array([(read_time(row["UTC time"]) - SCORED_FROM) // HOUR for row in rows[::BLOCK_HOURS]])
    issued, blocks = np.unique(issued, return_index=True)
    return issued, actual[blocks], forecast[blocks]


def read_rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def read_time(text: str) -> datetime:
    """The files write instants in three ways (one with the month first), all of them UTC."""
    if "/" in text:
        return datetime.strptime(text, "%m/%d/%Y %H:%M:%S").replace(tzinfo=UTC)
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def mape(actual: FloatArray, forecast: FloatArray, day: int) -> float:
    """Mean absolute percentage error of one 24 h slice of the horizon, as a share."""
    hours = slice(24 * day, 24 * (day + 1))
    return float(np.mean(np.abs(forecast[:, hours] - actual[:, hours]) / actual[:, hours]))


if __name__ == "__main__":
    sys.exit(main())
