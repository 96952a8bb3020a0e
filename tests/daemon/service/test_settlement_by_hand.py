"""One ledger entry worked out a second time, with pandas, from the run's energy.jsonl and the CSV files alone.

Nothing of daemon.domain is used in the second calculation: it follows the definitions in the README, not the code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from daemon.domain.ledger import LedgerEntry
from daemon.domain.states import JobState
from daemon.service.importing import import_files
from daemon.store.intensity import RecordedIntensity
from forecast.intensity import LIFECYCLE_AVERAGE
from tests.daemon.service.world import HEIDELBERG, UMEA, World, open_world, training

DATA = Path(__file__).parents[3] / "forecast" / "data" / "demo"
FILES = {"DE": DATA / "DE_2023-08_hourly.csv.gz", "SE": DATA / "SE_2023-08_hourly_lca.csv.gz"}
EVENING = datetime(2023, 9, 4, 18, tzinfo=UTC)
JOULES_PER_KWH = 3.6e6


class Grid:
    """Carbon intensity of one zone as its CSV gives it: hourly means, integrated exactly."""

    def __init__(self, path: Path) -> None:
        frame = pd.read_csv(path)
        column = next(name for name in frame.columns if "(LCA)" in name or name == "carbon_intensity_lca")
        self.hours = pd.to_datetime(frame.iloc[:, 0], utc=True)
        self.values = frame[column].to_numpy(float)
        self._first = self.hours.iloc[0].timestamp()
        self._integral = np.concatenate([[0.0], np.cumsum(self.values * 3600)])

    def mean(self, start: pd.Series, end: pd.Series) -> NDArray[np.float64]:
        """gCO2e/kWh over [start, end), element by element."""
        begin, finish = (np.array([(one.timestamp() - self._first) / 3600 for one in moments]) for moments in (start, end))
        ticks = np.arange(len(self._integral))
        area = np.interp(finish, ticks, self._integral) - np.interp(begin, ticks, self._integral)
        return np.asarray(area / ((finish - begin) * 3600), dtype=np.float64)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, str]]:
    """A training of home Heidelberg that waited for Umeå, was killed on its way, went on, and was settled for good."""
    with open_world(tmp_path_factory.mktemp("world"), HEIDELBERG, UMEA, grid={}, now=EVENING) as world:
        list(import_files(RecordedIntensity(world.daemon.store.database), FILES.values(), LIFECYCLE_AVERAGE, EVENING))
        world.submit(training(6), deadline=world.deadline(6.2), home="umea", sites=["umea"])  # it holds the clean place at first
        job_id = world.submit(training(5), deadline=world.deadline(30), home="heidelberg")
        world.until(job_id, JobState.RUNNING)
        world.pass_time(2.0)
        world.now += timedelta(minutes=17, seconds=3)
        world.nodes["umea"].kill_all()
        world.until(job_id, JobState.SUCCEEDED)
        world.now += timedelta(days=6)
        world.daemon.settler.settle()
        yield world, job_id


def energy_of(world: World, job_id: str) -> pd.DataFrame:
    """The energy records, each cut where the second attempt went on: before it is useful, after it was done twice."""
    (run,) = world.runs(job_id)
    lines = [json.loads(line) for line in (Path(run.directory) / "energy.jsonl").read_text().splitlines()]
    frame = pd.DataFrame(lines)
    frame["kwh"] = [sum(joules.values()) / JOULES_PER_KWH for joules in frame["joules"]]
    for column in ("start", "end"):
        frame[column] = pd.to_datetime(frame[column], format="ISO8601")
    first, second = frame["attempt_id"].unique()
    resumed = frame.loc[(frame["attempt_id"] == second) & (frame["phase"] == "work"), "step_from"].min()
    frame["purpose"] = "useful"
    frame.loc[(frame["phase"] == "startup") & (frame["attempt_id"] == second), "purpose"] = "overhead"
    lost = (frame["attempt_id"] == first) & (frame["phase"] == "work")
    frame.loc[lost & (frame["step_from"] >= resumed), "purpose"] = "waste"
    across = frame[lost & (frame["step_from"] < resumed) & (frame["step_to"] > resumed)]
    whole = frame.drop(across.index)
    return pd.DataFrame(pd.concat([whole, *(halves(row, resumed) for _, row in across.iterrows())])).sort_values("start")


def halves(row: pd.Series, resumed: int) -> pd.DataFrame:
    share = (resumed - row["step_from"]) / (row["step_to"] - row["step_from"])
    middle = row["start"] + (row["end"] - row["start"]) * share
    useful, waste = row.copy(), row.copy()
    useful["end"], useful["kwh"] = middle, row["kwh"] * share
    waste["start"], waste["kwh"], waste["purpose"] = middle, row["kwh"] * (1 - share), "waste"
    return pd.DataFrame([useful, waste])


def grams(frame: pd.DataFrame, grid: Grid, pue: float) -> float:
    return float((frame["kwh"] * pue * grid.mean(frame["start"], frame["end"])).sum())


def test_the_ledger_entry_is_what_pandas_makes_of_the_records_and_the_csv(settled: tuple[World, str]) -> None:
    world, job_id = settled
    entry, frame = world.ledger(job_id)[-1], energy_of(world, job_id)
    de, se = Grid(FILES["DE"]), Grid(FILES["SE"])
    useful = frame[frame["purpose"] == "useful"]
    actual = grams(frame, se, 1.1)
    useful_there = grams(useful, se, 1.1)
    useful_at_home = grams(useful, de, 1.5)
    lasts = useful["end"] - useful["start"]
    end = pd.Timestamp(EVENING) + lasts.cumsum()
    moved = useful.assign(start=end - lasts, end=end)  # home had room at once: the same work from the moment of acceptance, no pause
    baseline = grams(moved, de, 1.5)
    exact = {
        "energy_kwh": frame["kwh"].sum(),
        "facility_energy_kwh": frame["kwh"].sum() * 1.1,
        "useful_kwh": useful["kwh"].sum(),
        "waste_kwh": frame.loc[frame["purpose"] == "waste", "kwh"].sum(),
        "overhead_kwh": frame.loc[frame["purpose"] == "overhead", "kwh"].sum(),
        "actual_g": actual,
        "overhead_g": actual - useful_there,
        "baseline_g": baseline,
        "saving_by_time_g": baseline - useful_at_home,
        "saving_by_place_g": useful_at_home - useful_there,
        "saving_g": baseline - actual,
        "hindsight_g": best_hours(world, job_id, useful, {("DE", 1.5): de, ("SE", 1.1): se}),
        "baseline_seconds": float(lasts.dt.total_seconds().sum()),
    }
    assert {name: getattr(entry, name) for name in exact} == {name: pytest.approx(value, rel=1e-9) for name, value in exact.items()}


def best_hours(world: World, job_id: str, useful: pd.DataFrame, grids: dict[tuple[str, float], Grid]) -> float:
    """The work, at its mean power, in the cleanest moments of its window at the best single site."""
    seconds, kwh = float((useful["end"] - useful["start"]).dt.total_seconds().sum()), useful["kwh"].sum()
    window = (pd.Timestamp(EVENING), pd.Timestamp(world.job(job_id).deadline))
    totals = []
    for (_, pue), grid in grids.items():
        hours = pd.DataFrame({"start": grid.hours, "value": grid.values})
        hours = hours[(hours["start"] >= window[0]) & (hours["start"] < window[1])].sort_values("value")
        used = (seconds - 3600.0 * np.arange(len(hours))).clip(0, 3600)
        totals.append(float((hours["value"] * used).sum() / seconds * kwh * pue))
    return min(totals)


def test_the_case_is_worth_the_work(settled: tuple[World, str]) -> None:
    """Both kinds of saving, waste and overhead are there, and every hour was measured."""
    world, job_id = settled
    entry: LedgerEntry = world.ledger(job_id)[-1]
    assert entry.is_claimed
    assert [run.site for run in world.runs(job_id)] == ["umea"]
    parts = (entry.saving_by_time_g, entry.saving_by_place_g, entry.overhead_g, entry.waste_kwh, entry.overhead_kwh)
    assert all(part is not None and abs(part) > 1e-5 for part in parts)
