"""`lowtide forecast-score` as a user types it."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from daemon.cli import build_app

START = datetime(2023, 1, 1, tzinfo=UTC)
DAYS = 70


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two zones, one of them in the portal's older and the other in its newer layout."""
    made = tmp_path_factory.mktemp("records")
    for zone, column in (("DE", "Carbon Intensity gCO₂eq/kWh (LCA)"), ("FR", "Carbon intensity gCO₂eq/kWh (Life cycle)")):
        noise = np.random.default_rng(len(column)).normal(0, 10, 24 * DAYS)
        lines = [f"Datetime (UTC),Zone Id,{column}"]
        for hour, wind in enumerate(noise):
            lines.append(
                f"{START + timedelta(hours=hour):%Y-%m-%d %H:%M:%S},{zone},{300 + 90 * math.sin(hour / 24 * 2 * math.pi) + wind:.2f}"
            )
        (made / f"{zone}_2023_hourly.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return made


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build_app(), ["forecast-score", *map(str, arguments)], env={"COLUMNS": "220"})


def test_it_prints_scores_of_every_zone_delay_and_forecaster_as_json(folder: Path) -> None:
    answer = run(folder / "DE_2023_hourly.csv", "--to", "2023-03-11", "--forecasters", "own,seven-day-mean", "--json")
    assert answer.exit_code == 0, answer.output
    document = json.loads(answer.stdout)
    assert [(zone["zone"], zone["delay_hours"]) for zone in document["zones"]] == [("DE", 0), ("DE", 3)]
    assert document["zones"][0]["end"] == "2023-03-11T00:00:00+00:00"
    scores = document["zones"][0]["forecasters"]
    assert set(scores) == {"own", "persistence", "seven-day-mean"}, "persistence stands beside every other one"
    assert 0 < scores["own"]["leads"]["1-24"]["relative_mae"] < 1
    assert 0 < scores["own"]["jobs"][0]["ruled_replanned"]["kept"] <= 1


def test_it_prints_tables_for_people_and_draws_pictures(folder: Path, tmp_path: Path) -> None:
    answer = run(folder, "--zones", "FR", "--delay", "0", "--forecasters", "seven-day-mean", "--plots", tmp_path / "plots")
    assert answer.exit_code == 0, answer.output
    for title in ("Errors in gCO2e/kWh", "An 8 h job with 24 h slack", "All jobs, means over zones", "The regret rule"):
        assert title in answer.stdout
    assert "24 h + 72 h, in hours" in answer.stdout
    for name in ("errors.png", "regret_rule.png"):
        assert (tmp_path / "plots" / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("more", "sentence", "code"),
    [
        (["--forecasters", "own,stars"], "--forecasters: there is no 'stars', choose of own, persistence", 2),
        (["--delay", "9"], "--delay 9: give whole hours from 0 to 8", 2),
        (["--from", "01/02/2023"], "--from '01/02/2023' is not a time: write it like 2026-07-01", 2),
        (["--zones", "SE"], "no file is of zone SE", 1),
        (["--from", "2023-01-15"], "DE: scores from 2023-01-15 need record since 2022-11-13", 1),
        (["--to", "2023-02-01"], "leave less than the 120 hours that scores need", 1),
        (["--kind", "direct/average/flow-traced"], "the header needs", 1),
    ],
)
def test_a_mistake_is_one_sentence(folder: Path, more: list[str], sentence: str, code: int) -> None:
    answer = run(folder, *more)
    assert answer.exit_code == code, answer.output
    assert sentence in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


def test_two_releases_of_one_zone_are_never_mixed(folder: Path, tmp_path: Path) -> None:
    text = (folder / "DE_2023_hourly.csv").read_text(encoding="utf-8")
    (tmp_path / "DE_other_hourly.csv").write_text(text.replace(",3", ",4"), encoding="utf-8")
    answer = run(folder, tmp_path, "--zones", "DE")
    assert answer.exit_code == 1
    assert "zone DE: two files disagree on the same hours; give one release only" in answer.stderr
