"""What parts of the forecast are worth: the same year without them, one after the other.

    python -m forecast.model.train FOLDER/electricitymaps-lca-hourly/*.csv.gz --until 2022-01-01 --output before.npz
    LOWTIDE_TRACES=FOLDER python -m tests.bench.forecast_parts --model before.npz [--year 2022] [ZONE ...]

A year is scored by a model that has not seen it. All zones of the folder are neighbours, whichever are scored. Errors and Winkler scores
are relative to repeating yesterday; *kept* and *worse* are of the 8 h job with 24 h slack, planned once. What rows lose does not add up:
parts replace each other, and neighbours speak only through a zone's maps, these only in the second opinion. Takes half a minute of one core
for each zone and part.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one thread for each process, before numpy is imported

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from unittest.mock import patch

import numpy as np

from forecast.intensity import FloatArray, Series
from forecast.model.backtest import reissue
from forecast.model.features import HORIZON_HOURS
from forecast.model.lesson import NO_MAPS
from forecast.model.map_columns import STEADY_PENALTIES, SUPPLE_PENALTIES
from forecast.model.network import Network, load
from forecast.records import read_records
from forecast.reissue import FORECASTERS, REFERENCE, Past, Reissue
from forecast.shift_scores import REFERENCE_SHIFT
from forecast.soundness import sound
from forecast.zone_scores import BUCKETS, period_of, score_zone
from tests.forecast.traces import benched_folder, benched_zones

PROCESSES = 2

Change = tuple[str, object]
"""The name of something in the forecast, and what stands in its place."""

_NOTHING = np.zeros(HORIZON_HOURS)
WITHOUT: Mapping[str, Sequence[Change]] = MappingProxyType(
    {
        "nothing left out": (),
        "zone's own maps, neighbours with them": (("forecast.model.backtest.learn_maps", lambda *_: NO_MAPS),),
        "neighbours": (("forecast.model.record.NEIGHBOURS", 0),),
        "supple map": (("forecast.model.local_map.PENALTIES", (STEADY_PENALTIES,)),),
        "steady map": (("forecast.model.local_map.PENALTIES", (SUPPLE_PENALTIES,)),),
        "networks": (("forecast.model.calibration.SHARES", np.ones(1)),),
        "second opinion, all maps with it": (("forecast.model.calibration.SHARES", np.zeros(1)),),
        "hold": (("forecast.model.calibration.HOLDS", np.zeros(1)),),
        "correction of widths": (("forecast.model.calibration._width_factor", lambda *_: 1.0),),
        "pull to the mean": (("forecast.model.lesson.MEAN_WEIGHTS", _NOTHING),),
        "caution": (("forecast.model.lesson.WAITS", _NOTHING),),
    }
)
FIGURES = ("error 1-24 h", "error 25-96 h", "Winkler 1-24 h", "Winkler 25-96 h", "kept", "worse")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.model is None:
        print("parts are scored with a model that has not seen the year: train one as the first lines of this file say, and give --model")
        return 0
    folder = benched_folder("electricitymaps-lca-hourly")
    zones = benched_zones(parser, options.zones, _records(folder))
    try:
        _network(options.model)
        for zone in zones:
            period_of(_records(folder)[zone], *_year(options.year))
    except (ValueError, OSError) as problem:
        parser.error(str(problem))
    score = partial(scores, folder, options.model, options.year)
    print(f"| without | {' | '.join(FIGURES)} | lowest zone keeps |\n{'|---' * (len(FIGURES) + 2)}|")
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        for part in WITHOUT:
            told = np.array(list(pool.map(score, zones, [part] * len(zones))))
            lowest = int(told[:, FIGURES.index("kept")].argmin())
            figures = [f"{figure:.4f}" for figure in told.mean(axis=0)]
            print(f"| {part} | {' | '.join(figures)} | {told[lowest, FIGURES.index('kept')]:.3f}, {zones[lowest]} |", flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.forecast_parts")
    parser.add_argument("zones", nargs="*", help="all zones of the folder if none is named")
    parser.add_argument("--model", type=Path, help="a model that has not seen the year; without one nothing is scored")
    parser.add_argument("--year", type=int, default=2022)
    return parser


def scores(folder: Path, model: Path, year: int, zone: str, part: str) -> list[float]:
    """The FIGURES of one zone's year without `part`; errors and Winkler scores relative to 24 h persistence."""
    records = _records(folder)
    forecasters: dict[str, Reissue] = {"own": partial(_own, model), REFERENCE: FORECASTERS[REFERENCE]}
    with ExitStack() as changes:
        for name, substitute in WITHOUT[part]:
            changes.enter_context(patch(name, substitute))
        told = score_zone(records[zone], *period_of(records[zone], *_year(year)), forecasters, others=records)
    job = next(each for each in told.forecasts["own"].shifts if each.shift == REFERENCE_SHIFT and not each.in_chunks)
    errors = [told.relative_mae("own", bucket) for bucket in BUCKETS]
    return [*errors, *(told.relative_winkler("own", bucket) for bucket in BUCKETS), job.once.kept, job.once.worse]


def _year(year: int) -> tuple[datetime, datetime]:
    return datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)


def _own(model: Path, past: Past) -> FloatArray:
    where = past.zone, past.values, past.hour_of_first
    return reissue(_network(model), *where, past.origins, past.delay_hours, neighbours=past.neighbours)


@cache
def _records(folder: Path) -> Mapping[str, Series]:
    return {zone: sound(record)[0] for zone, record in read_records([folder]).items()}


@cache
def _network(model: Path) -> Network:
    with model.open("rb") as file:
        return load(file)


if __name__ == "__main__":
    sys.exit(main())
