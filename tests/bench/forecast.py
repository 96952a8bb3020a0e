"""Score the bundled model (or another) on recorded traces: a Markdown table, and what the regret rule trades for what.

`python -m tests.bench.forecast [--year 2023] [--delay 0] [--model FILE] [--anonymous] [--known-hours 24] [ZONE ...]`
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from forecast.intensity import FloatArray
from forecast.model.backtest import reissue
from forecast.model.features import WINDOW_HOURS
from forecast.model.forecaster import epoch_hours
from forecast.model.network import Network, load
from forecast.portal_csv import read_intensity_file
from forecast.scoring import IntArray
from forecast.zone_scores import RUN_IN_HOURS, ZoneScores, rule_curve, score_zone
from tests.forecast.traces import traces_folder

STRICTNESSES = (0.0, 0.1, 0.2, 0.5, 1.0, 1.4, 1.7, 2.0, 3.0)


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
    replays = [replay(path, network, options) for path in files]
    print(markdown([score_zone(one.zone, one.values, one.origins, one.quantiles, delay_hours=options.delay) for one in replays]))
    print(f"\nThe regret rule:\n\n{markdown_curve(replays)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.forecast")
    parser.add_argument("zones", nargs="*", help="all zones of the folder if none is named")
    parser.add_argument("--traces", type=Path, default=traces_folder())
    parser.add_argument("--year", type=int, default=2023)
    parser.add_argument("--delay", type=int, default=0, help="hours by which the newest known value lags")
    parser.add_argument("--model", type=Path, help="a model file other than the bundled one")
    parser.add_argument("--anonymous", action="store_true", help="without the corrections for known zones")
    parser.add_argument("--known-hours", type=int, default=WINDOW_HOURS, help="pretend that a record of this length is all there is")
    return parser


@dataclass(frozen=True)
class Replay:
    """One zone's record, and what was forecast at each origin of the period."""

    zone: str
    values: FloatArray
    origins: IntArray
    quantiles: FloatArray


def replay(path: Path, network: Network, options: argparse.Namespace) -> Replay:
    """Forecast again at every hour of the year and of the run-in before it; hours after the year are not known to the scores."""
    record = read_intensity_file(path).hourly()
    first = epoch_hours(datetime(options.year, 1, 1, tzinfo=UTC)) - epoch_hours(record.start)
    end = min(len(record.values), epoch_hours(datetime(options.year + 1, 1, 1, tzinfo=UTC)) - epoch_hours(record.start))
    values, origins = record.values[:end], np.arange(first - RUN_IN_HOURS, end)
    hour_of_first = epoch_hours(record.start)
    quantiles = reissue(network, record.zone, values, hour_of_first, origins, options.delay, options.known_hours)
    return Replay(record.zone, values, origins, quantiles)


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


def markdown_curve(replays: Sequence[Replay]) -> str:
    """The trade-off: means over zones for each strictness, and the least saving of any zone as a share of its run-now emissions."""
    curves = [rule_curve(one.values, one.origins, one.quantiles[:, 1], STRICTNESSES) for one in replays]
    lines = ["| strictness | kept | worse | least saved in a zone |", "|---|---|---|---|"]
    for strictness, scores in zip(STRICTNESSES, zip(*curves, strict=True), strict=True):
        kept, worse = np.mean([one.kept for one in scores]), np.mean([one.worse for one in scores])
        lines.append(f"| {strictness} | {kept:.3f} | {worse:.3f} | {min(one.saved for one in scores):.4f} |")
    return "\n".join(lines)


def _line(name: str, numbers: np.ndarray) -> str:
    return f"| {name} | {' | '.join(f'{number:.3f}' for number in numbers)} |"


if __name__ == "__main__":
    sys.exit(main())
