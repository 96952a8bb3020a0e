"""Score the bundled model (or another) on recorded traces, as a Markdown table.

`python -m tests.bench.forecast [--year 2023] [--delay 0] [--model FILE] [--anonymous] [--known-hours 24] [ZONE ...]`
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from forecast.model.backtest import reissue
from forecast.model.forecaster import epoch_hours
from forecast.model.network import Network, load
from forecast.portal_csv import read_intensity_file
from forecast.zone_scores import RUN_IN_HOURS, ZoneScores, score_zone
from tests.forecast.traces import traces_folder

HOURS_AHEAD = 96


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    folder = options.traces / "electricitymaps-lca-hourly"
    if not folder.is_dir():
        print(f"{folder} is not there: set LOWTIDE_TRACES to the folder of intensity traces", file=sys.stderr)
        return 1
    network = Network.bundled()
    if options.model is not None:
        with options.model.open("rb") as file:
            network = load(file)
    if options.anonymous:
        network = replace(network, zones=())
    files = [path for path in sorted(folder.glob("*_hourly_lca.csv.gz")) if not options.zones or path.name.split("_")[0] in options.zones]
    scores = [score_file(path, network, options.year, options.delay) for path in files]
    print(markdown(scores))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.forecast")
    parser.add_argument("zones", nargs="*", help="all zones of the folder if none is named")
    parser.add_argument("--traces", type=Path, default=traces_folder())
    parser.add_argument("--year", type=int, default=2023)
    parser.add_argument("--delay", type=int, default=0, help="hours by which the newest known value lags")
    parser.add_argument("--model", type=Path, help="a model file other than the bundled one")
    parser.add_argument("--anonymous", action="store_true", help="without the corrections for known zones")
    return parser


def score_file(path: Path, network: Network, year: int, delay_hours: int) -> ZoneScores:
    """Scores of one zone over one year; submissions whose 96 hours reach past the record count as far as it goes."""
    record = read_intensity_file(path).hourly()
    first = epoch_hours(datetime(year, 1, 1, tzinfo=UTC)) - epoch_hours(record.start)
    end = min(len(record.values), epoch_hours(datetime(year + 1, 1, 1, tzinfo=UTC)) - epoch_hours(record.start))
    values, origins = record.values[:end], np.arange(first - RUN_IN_HOURS, end)
    quantiles = reissue(network, record.zone, values, epoch_hours(record.start), origins, delay_hours, HOURS_AHEAD)
    return score_zone(record.zone, values, origins, quantiles, delay_hours=delay_hours)


def row(scores: ZoneScores) -> list[float]:
    near, far = scores.buckets["1-24"], scores.buckets["25-96"]
    return [
        near.relative_mae,
        far.relative_mae,
        near.point.mape,
        near.point.bias,
        scores.coverage,
        near.relative_winkler,
        far.relative_winkler,
        scores.once.kept,
        scores.replanned.kept,
        scores.once.worse,
        scores.ruled.kept,
        scores.ruled.worse,
        scores.chunks_once.kept,
        scores.chunks_replanned.kept,
    ]


HEADINGS = (
    "MAE 1-24",
    "MAE 25-96",
    "MAPE 1-24",
    "bias 1-24",
    "coverage",
    "Winkler 1-24",
    "Winkler 25-96",
    "kept once",
    "kept replanned",
    "worse",
    "rule kept",
    "rule worse",
    "chunks once",
    "chunks replanned",
)


def markdown(scores: Sequence[ZoneScores]) -> str:
    """One line per zone, then mean, least and greatest over the zones."""
    values = np.array([row(one) for one in scores])
    lines = [f"| zone | {' | '.join(HEADINGS)} |", "|---" * (len(HEADINGS) + 1) + "|"]
    lines += [_line(one.zone, numbers) for one, numbers in zip(scores, values, strict=True)]
    lines += [_line(name, reduce(values, axis=0)) for name, reduce in (("mean", np.mean), ("least", np.min), ("greatest", np.max))]
    return "\n".join(lines)


def _line(name: str, numbers: np.ndarray) -> str:
    return f"| {name} | {' | '.join(f'{number:.3f}' for number in numbers)} |"


if __name__ == "__main__":
    sys.exit(main())
