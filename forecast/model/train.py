"""Train the bundled model: `python -m forecast.model.train FILES --until 2023-01-01 --output forecast/model/model.npz`.

FILES are hourly CSVs as `lowtide import-intensity` reads them. Two years of 27 zones take some 22 minutes on two cores; needs PyTorch
(extra `ldm`) and LightGBM (extra `train`).
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported: sums come out otherwise over several threads,
os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")  # and by the wider instructions that only some x86 machines have

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

from forecast.csv_rows import CsvProblem
from forecast.grid import Grid, regrid
from forecast.intensity import Series
from forecast.model.dataset import examples
from forecast.model.mixtures import mixtures
from forecast.model.network import Member, Network, SecondOpinion, save
from forecast.model.ridge import cross_fitted, train_linear
from forecast.portal_csv import read_intensity_file
from forecast.timeline import HOUR

PROCESSES = 2
MEMBERS = 6
"""Six instead of two: jobs planned once keep 0.7258 instead of 0.7254 of the saving, those of IE 0.474 instead of 0.470 to 0.473 (27 zones,
all of 2022, by models of 2021; three pairs). The first day's errors fall by less than 0.1 %."""

COLD_MEMBERS = 2
MIXTURES_PER_RECORD = 3
EPOCHS = 8
"""Over three, intervals score 1.0 % better in the first day and 0.5 % later, for zones known (second half of 2022)."""

COLD_EPOCHS = 3
TREE_STRIDE_HOURS = 7  # between the moments that trees learn from; it shares no factor with 24


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the records, train every member and write the model; exit code 0, or 2 for records that cannot be used."""
    options = _parser().parse_args(arguments)
    started = time.monotonic()
    try:
        _check(options)
        records = [read_record(path, options.since, options.until) for path in options.files]
        network = train_network(records, options.members, options.cold_members, options.seed)
    except (CsvProblem, ValueError, OSError) as problem:
        print(f"cannot train: {problem}", file=sys.stderr)
        return 2
    with options.output.open("wb") as file:
        save(file, network)
    size_kb = options.output.stat().st_size / 1000
    print(f"{options.output}: {len(records)} zones, {size_kb:.0f} kB, trained in {time.monotonic() - started:.0f} s")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m forecast.model.train", description="Train the bundled forecast model.")
    parser.add_argument("files", nargs="+", type=Path, help="hourly intensity CSVs, one zone each")
    parser.add_argument("--since", type=_day, default=_day("2021-01-01"), help="first UTC day learnt from")
    parser.add_argument("--until", type=_day, default=_day("2023-01-01"), help="UTC day before which learning ends")
    parser.add_argument("--members", type=_count, default=MEMBERS, help="networks for records of ten days and more (%(default)s)")
    parser.add_argument("--cold-members", type=_count, default=COLD_MEMBERS, help="networks for records of less (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    return parser


def _check(options: argparse.Namespace) -> None:
    """Raise ValueError for what would otherwise be noticed when the work is done, or half of it."""
    if not options.output.parent.is_dir():
        raise ValueError(f"there is no folder {options.output.parent} for the model: make it first, or choose another --output")
    if options.since >= options.until:
        raise ValueError(f"--since {options.since:%Y-%m-%d} is not before --until {options.until:%Y-%m-%d}: nothing is left to learn from")
    if missing := [name for name in ("torch", "lightgbm") if find_spec(name) is None]:
        raise ValueError(f"training needs {' and '.join(missing)}: install the extras ldm and train")


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} networks forecast nothing: give 1 at least")
    return count


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)


def read_record(path: Path, since: datetime, until: datetime) -> Series:
    """The hourly record of one file between two instants."""
    whole = read_intensity_file(path).hourly()
    grid = Grid(max(since, whole.start), HOUR, int((min(until, whole.end) - max(since, whole.start)) // HOUR))
    return Series(whole.zone, whole.kind, grid.start, regrid(whole.values, whole.start, whole.step, grid))


def train_network(records: Sequence[Series], members: int, cold_members: int, seed: int) -> Network:
    """A network of `members` for zones with ten days of record, `cold_members` for zones with less, and a second opinion.

    They learn in PROCESSES beside each other, each in one thread.
    """
    zones = tuple(sorted(record.zone for record in records))
    if twice := sorted({zone for zone in zones if zones.count(zone) > 1}):
        raise ValueError(f"more than one file is of {', '.join(twice)}: give one for each zone")
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        warm, cold = (
            [pool.submit(train_member, records, zones, cold=cold, seed=seed + index) for index in range(count)]
            for cold, count in ((False, members), (True, cold_members))
        )
        second = pool.submit(train_second, records, zones, seed)
        return Network(tuple(each.result() for each in warm), tuple(each.result() for each in cold), second.result(), zones)


def train_second(records: Sequence[Series], zones: tuple[str, ...], seed: int) -> SecondOpinion:
    """The linear forecast, from every hour of every record, and the trees that correct it."""
    from forecast.model.boosting import train_trees  # lightgbm is only needed here

    data = [examples([record], zones, cold=False, seed=seed, stride_hours=1) for record in records]
    now_and_then = slice(None, None, TREE_STRIDE_HOURS)
    trees = train_trees(((part.chosen(now_and_then), linear) for part, linear in cross_fitted(data, len(zones))), seed)
    return SecondOpinion(train_linear(data, len(zones)), trees)


def train_member(records: Sequence[Series], zones: tuple[str, ...], cold: bool, seed: int) -> Member:
    """One member, trained on the records and on mixtures of them."""
    from forecast.model.learner import Recipe, train  # torch is only needed here

    material = [*records, *mixtures(records, MIXTURES_PER_RECORD * len(records), seed)]
    return train(examples(material, zones, cold, seed), len(zones), Recipe(epochs=COLD_EPOCHS if cold else EPOCHS), seed)


if __name__ == "__main__":
    sys.exit(main())
