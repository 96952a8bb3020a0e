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


LCA = "Carbon Intensity gCO₂eq/kWh (LCA)"


def write(folder: Path, zone: str, column: str = LCA, empty: range = range(0)) -> None:
    """A record of DAYS days, without values on the days that are `empty`."""
    lines = [f"Datetime (UTC),Zone Id,{column}"]
    for hour, wind in enumerate(np.random.default_rng(len(column)).normal(0, 10, 24 * DAYS)):
        value = "" if hour // 24 in empty else f"{300 + 90 * math.sin(hour / 24 * 2 * math.pi) + wind:.2f}"
        lines.append(f"{START + timedelta(hours=hour):%Y-%m-%d %H:%M:%S},{zone},{value}")
    (folder / f"{zone}_2023_hourly.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two zones, one of them in the portal's older and the other in its newer layout."""
    made = tmp_path_factory.mktemp("records")
    write(made, "DE")
    write(made, "FR", "Carbon intensity gCO₂eq/kWh (Life cycle)")
    return made


def run(*arguments: object, columns: int = 220) -> Result:
    """In one process, unless told otherwise: others take a second to begin."""
    words = ["forecast-score", "--processes", "1", *map(str, arguments)]
    return CliRunner().invoke(build_app(), words, env={"COLUMNS": str(columns)})


QUICK = ("--delay", "0", "--forecasters", "persistence")


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
        (
            ["--from", "2023-04-10", "--to", "2023-04-01"],
            "--to 2023-04-01 00:00 is not after --from 2023-04-10 00:00: give a later --to",
            2,
        ),
        (
            ["--from", "2023-04-10", "--to", "2023-04-10"],
            "--to 2023-04-10 00:00 is not after --from 2023-04-10 00:00: give a later --to",
            2,
        ),
        (["--kind", "foo"], "--kind 'foo' is not a kind of carbon intensity: write lifecycle or direct, average or marginal", 2),
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


def test_a_zone_that_cannot_be_scored_is_told_of_and_the_others_are_scored(folder: Path, tmp_path: Path) -> None:
    write(tmp_path, "SE", empty=range(DAYS))
    answer = run(folder / "DE_2023_hourly.csv", tmp_path, *QUICK, "--json")
    assert answer.exit_code == 0, answer.output
    assert [zone["zone"] for zone in json.loads(answer.stdout)["zones"]] == ["DE"]
    assert answer.stderr.startswith("lowtide: SE cannot be scored at a delay of 0 h, because no hour has both")
    assert answer.stderr.endswith("have no value that can be believed: give the files that hold them\n")
    assert answer.stderr.count("\n") == 1


def test_where_no_zone_can_be_scored_the_command_fails(tmp_path: Path) -> None:
    write(tmp_path, "SE", empty=range(30, DAYS))
    answer = run(tmp_path, "--delay", "0", "--forecasters", "own", "--json")
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert "SE cannot be scored at a delay of 0 h, because a forecast needs at least one known hour" in answer.stderr
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize("columns", [80, 220])
def test_nothing_is_cut_in_any_terminal(folder: Path, columns: int) -> None:
    answer = run(folder, "--zones", "FR", *QUICK[:2], "--forecasters", "seven-day-mean", columns=columns)
    assert "…" not in answer.stdout
    lines = answer.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    told = " ".join(answer.stdout.split())
    for title in ("share of the hindsight saving kept, and of jobs worse than run-now", "what a wait must save in standard deviations"):
        assert title in told


def test_pictures_that_cannot_be_drawn_are_refused_before_anything_is_scored(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.cli.forecast_score._scored", lambda *_, **__: pytest.fail("scored in vain"))
    answer = run(folder, *QUICK, "--plots", __file__)
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert f"--plots {__file__}: cannot be written (File exists): choose another folder" in answer.stderr
    monkeypatch.setattr("daemon.cli.pictures.find_spec", lambda _: None)
    answer = run(folder, *QUICK, "--plots", tmp_path)
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert "--plots needs matplotlib: install the extra" in answer.stderr


def test_pictures_that_fail_in_the_end_cost_no_scores(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "errors.png").mkdir()
    answer = run(folder, "--zones", "DE", *QUICK, "--plots", tmp_path, "--json")
    assert answer.exit_code == 1
    assert [zone["zone"] for zone in json.loads(answer.stdout)["zones"]] == ["DE"]
    assert f"--plots {tmp_path}: cannot be written (Is a directory): choose another folder" in answer.stderr
