"""Score the bundled model (or another) on recorded traces, as `lowtide forecast-score` does.

`python -m tests.bench.forecast [--year 2023] [--delay 0] [--model FILE] [--anonymous] [--alone] [--known-hours 24] [ZONE ...]`. All zones
of the folder are neighbours, whichever are scored, but with `--alone`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from daemon.cli.forecast_score_tables import show_scores
from forecast.intensity import FloatArray
from forecast.model.backtest import reissue
from forecast.model.features import WINDOW_HOURS
from forecast.model.network import Network, load
from forecast.records import read_records
from forecast.reissue import FORECASTERS, REFERENCE, Past, Reissue
from forecast.score_document import score_document
from forecast.soundness import sound
from forecast.zone_scores import UnscorablePeriod, period_of, score_zone
from tests.forecast.traces import benched_folder, benched_zones, traces_folder


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    records = read_records([benched_folder("electricitymaps-lca-hourly", options.traces)])
    zones = benched_zones(_parser(), options.zones, records)
    period = datetime(options.year, 1, 1, tzinfo=UTC), datetime(options.year + 1, 1, 1, tzinfo=UTC)
    forecasters = {"own": _variant(options), REFERENCE: FORECASTERS[REFERENCE]}
    others = {zone: sound(record)[0] for zone, record in records.items()}
    try:
        periods = {zone: period_of(records[zone], *period) for zone in zones}
    except UnscorablePeriod as problem:
        _parser().error(str(problem))
    scores = [score_zone(records[zone], *periods[zone], forecasters, options.delay, others) for zone in periods]
    show_scores(score_document(scores))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.forecast")
    parser.add_argument("zones", nargs="*", help="all zones of the folder if none is named")
    parser.add_argument("--traces", type=Path, default=traces_folder())
    parser.add_argument("--year", type=int, default=2023)
    parser.add_argument("--delay", type=int, default=0, help="hours by which the newest known value lags")
    parser.add_argument("--model", type=Path, help="a model file other than the bundled one")
    parser.add_argument("--anonymous", action="store_true", help="without the corrections for known zones")
    parser.add_argument("--alone", action="store_true", help="without the records of other zones")
    parser.add_argument("--known-hours", type=int, default=WINDOW_HOURS, help="pretend that a record of this length is all there is")
    return parser


def _variant(options: argparse.Namespace) -> Reissue:
    """The model that the options describe."""
    network = Network.bundled()
    if options.model is not None:
        with options.model.open("rb") as file:
            network = load(file)
    if options.anonymous:
        network = replace(network, zones=())

    def issued(past: Past) -> FloatArray:
        around = () if options.alone else past.neighbours
        return reissue(network, past.zone, past.values, past.hour_of_first, past.origins, past.delay_hours, options.known_hours, around)

    return issued


if __name__ == "__main__":
    sys.exit(main())
