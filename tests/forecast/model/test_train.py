"""The training command on a small made-up record: it learns, repeats itself exactly, and refuses what it cannot use."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from forecast.model.dataset import examples
from forecast.model.features import HORIZON_HOURS
from forecast.model.train import main, train_network, train_second
from tests.forecast.model.lightgbm_needed import lightgbm_or_skip
from tests.forecast.model.records import hourly, record

START = datetime(2021, 1, 1, tzinfo=UTC)


def write(folder: Path, zone: str, hours: int, seed: int) -> Path:
    path = folder / f"{zone}_2021_hourly_lca.csv"
    rows = (
        f"{(START + timedelta(hours=index)).strftime('%Y-%m-%dT%H:%M:%SZ')},{value:.2f}"
        for index, value in enumerate(hourly(hours, seed=seed))
    )
    path.write_text("datetime_utc,carbon_intensity_lca\n" + "\n".join(rows) + "\n")
    return path


def test_examples_know_nothing_of_the_hours_they_are_to_forecast() -> None:
    known = record(1000)
    values = known.values.copy()
    values[-HORIZON_HOURS:] = 1.0
    changed = replace(known, values=values)
    first, second = (examples([series], ("DE",), cold=False, seed=0) for series in (known, changed))
    np.testing.assert_array_equal(first.inputs[0], second.inputs[0])
    assert not np.array_equal(first.targets[-1], second.targets[-1])
    assert np.array_equal(first.inputs[-1], second.inputs[-1])


def test_cold_examples_know_between_one_and_25_days() -> None:
    cold = examples([record(3000)], ("DE",), cold=True, seed=0)
    days = np.exp(cold.inputs[:, -18] * 2) - 0.04
    assert days.min() == pytest.approx(1, abs=0.01)
    assert 10 < days.max() <= 25.01


@pytest.mark.parametrize("hours", [500, 3000])
def test_a_record_too_short_or_with_a_gap_is_refused(hours: int) -> None:
    holey = record(hours)
    holey.values[100] = np.nan
    with pytest.raises(ValueError, match="DE: training needs at least"):
        examples([holey], ("DE",), cold=False, seed=0)


def test_files_that_cannot_be_used_end_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "DE_2021_hourly.csv"
    path.write_text("nonsense\n")
    assert main([str(path), "--output", str(tmp_path / "model.npz")]) == 2
    assert "cannot train" in capsys.readouterr().err
    assert not (tmp_path / "model.npz").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--output", "{folder}/nowhere/model.npz"], "there is no folder"),
        (["--output", "{folder}/model.npz", "--since", "2022-01-01", "--until", "2021-06-01"], "--since 2022-01-01 is not before"),
    ],
)
def test_what_training_would_only_notice_at_its_end_is_told_before(
    options: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(write(tmp_path, "DE", 900, seed=0)), *(each.format(folder=tmp_path) for each in options)]) == 2
    assert told in capsys.readouterr().err


def test_a_model_of_no_networks_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["DE.csv", "--members", "0", "--output", str(tmp_path / "model.npz")])
    assert "--members: 0 networks forecast nothing" in capsys.readouterr().err


def test_two_files_of_one_zone_are_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match="more than one file is of DE"):
        train_network([record(900), record(900), record(900, "FR")], members=1, cold_members=1, seed=0)


def test_trees_correct_what_the_linear_forecast_misses_say_how_far_it_misses_and_repeat_themselves() -> None:
    lightgbm_or_skip()
    records, zones = [record(2000, zone, seed=seed) for seed, zone in enumerate(("DE", "FR"))], ("DE", "FR")
    first, again = (train_second(records, zones, seed=0) for _ in range(2))
    seen = examples(records[1:], zones, cold=False, seed=0)
    nothing = np.zeros_like(seen.targets)
    straight, (low, middle, high) = first.linear.forecast(seen.inputs, 2), first.quantiles(seen.inputs, 2, nothing).transpose(1, 0, 2)
    assert np.abs(seen.targets - middle).mean() < 0.95 * np.abs(seen.targets - straight).mean()
    assert 0.7 < np.mean((low <= seen.targets) & (seen.targets <= high)) < 0.9
    np.testing.assert_array_equal(again.quantiles(seen.inputs, 2, nothing)[:, 1], middle)


@pytest.mark.slow
def test_training_twice_gives_the_same_file(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    lightgbm_or_skip()
    files = [str(write(tmp_path, zone, 6500, seed)) for seed, zone in enumerate(("DE", "FR"))]
    outputs = [tmp_path / name for name in ("one.npz", "two.npz")]
    for output in outputs:
        assert main([*files, "--members", "1", "--cold-members", "1", "--output", str(output)]) == 0
    first, second = (np.load(output) for output in outputs)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
