"""How the forecast of a zone that the model has never seen grows better with the zone's own record.

    python -m forecast.model.train FILES OF OTHER ZONES --members 1 --output left.npz
    LOWTIDE_TRACES=FOLDER python -m tests.bench.growing_record --model left.npz [--year 2023] [ZONE ...]

Four months of the year are forecast at every hour, and each time the record begins so long before the month; no other zone's record is
known. Errors are relative to repeating yesterday, *kept* is of the 8 h job with 24 h slack, planned once; means over zones, by default
those of the folder that the model has no corrections for. A minute or two of one core for each zone.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one thread for each process, before numpy is imported

import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from forecast.decision_scoring import plan_once, start_costs
from forecast.intensity import FloatArray
from forecast.model.backtest import HORIZON, reissue
from forecast.model.features import DAY_HOURS, WINDOW_HOURS
from forecast.model.network import Network, load
from forecast.record import EPOCH
from forecast.records import read_records
from forecast.scoring import persistence, targets
from forecast.shift_scores import REFERENCE_SHIFT
from forecast.soundness import sound
from forecast.timeline import HOUR
from forecast.zone_scores import BUCKETS
from tests.forecast.traces import benched_folder, benched_zones, traces_folder

PROCESSES = 2
MONTHS, MONTH_HOURS = (1, 4, 7, 10), 30 * DAY_HOURS
RECORDS_DAYS: dict[str, int | None] = {"a day": 1, "28 days": 28, "91 days": 91, "a year": 365, "all there is": None}


@cache
def _network(path: Path) -> Network:
    with path.open("rb") as file:
        return replace(load(file), zones=())


def zone_figures(model: Path, folder: Path, zone: str, year: int) -> FloatArray:
    """(records, 3): errors by bucket and what is kept."""
    record = sound(read_records([folder], [zone])[zone])[0]
    months = [_sums(_network(model), zone, record.values, int((record.start - EPOCH) // HOUR), month, year) for month in MONTHS]
    sums = np.sum(months, axis=0)
    figures: FloatArray = sums[:, :, 0] / sums[:, :, 1]
    return figures


def _sums(network: Network, zone: str, values: FloatArray, hour_of_first: int, month: int, year: int) -> FloatArray:
    """(records, 3, 2) of one month: the error and persistence's for each bucket; the saving, and that of hindsight."""
    first = int((datetime(year, month, 1, tzinfo=UTC) - EPOCH) // HOUR) - hour_of_first
    origins = np.arange(first, first + MONTH_HOURS)
    actual, reference = targets(values, origins, HORIZON), persistence(values, origins, HORIZON)
    known = np.isfinite(actual) & np.isfinite(reference)
    costs = start_costs(actual, REFERENCE_SHIFT)
    whole, each = np.isfinite(costs).all(axis=1), np.arange(len(origins))
    found = []
    for days in RECORDS_DAYS.values():
        begin = 0 if days is None else first - max(WINDOW_HOURS, days * DAY_HOURS)
        seen = WINDOW_HOURS if days is None else min(WINDOW_HOURS, days * DAY_HOURS)
        middle = reissue(network, zone, values[begin:], hour_of_first + begin, origins - begin, known_hours=seen)[:, 1]
        misses = [np.where(known, np.abs(forecast - actual), 0.0) for forecast in (middle, reference)]
        errors = [[miss[:, bucket].sum() for miss in misses] for bucket in BUCKETS.values()]
        chosen = costs[each, plan_once(middle, REFERENCE_SHIFT)]
        found.append([*errors, [(costs[:, 0] - chosen)[whole].sum(), (costs[:, 0] - costs.min(axis=1))[whole].sum()]])
    return np.array(found)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    folder = benched_folder("electricitymaps-lca-hourly", options.traces)
    if options.model is None:
        print("no --model of a zone left out is named: nothing to score (see the first lines of this file)")
        return 0
    try:
        with options.model.open("rb") as file:
            seen = load(file).zones
    except (ValueError, OSError) as problem:
        _parser().error(str(problem))
    if trained_on := sorted(set(options.zones) & set(seen)):
        _parser().error(f"{options.model} was trained on {', '.join(trained_on)}: name other zones, or another model")
    unseen = set(read_records([folder])) - set(seen)
    if not unseen:
        _parser().error(f"{options.model} was trained on all zones of {folder}: name another model")
    zones = benched_zones(_parser(), options.zones, unseen)
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        each = list(pool.map(zone_figures, *zip(*((options.model, folder, zone, options.year) for zone in zones), strict=True)))
    print(f"{', '.join(zones)}, {options.year}")
    print(f"{'record before the month':<24} {'1-24 h':>8} {'25-96 h':>8} {'kept':>8}")
    for name, figures in zip(RECORDS_DAYS, np.mean(each, axis=0), strict=True):
        print(f"{name:<24} " + " ".join(f"{figure:>8.3f}" for figure in figures))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.growing_record")
    parser.add_argument("zones", nargs="*", help="those that the model has no corrections for if none is named")
    parser.add_argument("--traces", type=Path, default=traces_folder())
    parser.add_argument("--model", type=Path, help="a model file that was trained without the zones")
    parser.add_argument("--year", type=int, default=2023)
    return parser


if __name__ == "__main__":
    sys.exit(main())
