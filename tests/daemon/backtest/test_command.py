"""`lowtide backtest` as a user types it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from daemon.cli import build_app

MONDAY = datetime(2023, 1, 2, tzinfo=UTC)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Six days of hours, clean at night, in one file for each half; and two jobs."""
    for part in (0, 1):
        hours = [MONDAY + timedelta(hours=hour) for hour in range(72 * part, 72 * part + 72)]
        lines = [f"{hour:%Y-%m-%d %H:%M:%S},{100 if hour.hour < 6 else 400}" for hour in hours]
        (tmp_path / f"DE_part{part}.csv").write_text("\n".join(["datetime_utc,carbon_intensity", *lines]) + "\n", encoding="utf-8")
    jobs = tmp_path / "jobs.csv"
    jobs.write_text(
        "job_id,arrival_utc,duration_hours,power_watts,gpus,deadline_utc,interruptible\n"
        "a,2023-01-03T08:00:00Z,2,1000,1,2023-01-04T12:00:00Z,0\n"
        "b,2023-01-03T09:00:00Z,8,500,1,2023-01-05T12:00:00Z,1\n",
        encoding="utf-8",
    )
    return tmp_path, jobs


def test_a_replay_prints_its_figures_as_json(files: tuple[Path, Path]) -> None:
    folder, jobs = files
    parts = [str(folder / f"DE_part{part}.csv") for part in (0, 1)]
    arguments = ["backtest", "--intensity", *parts, "--jobs", str(jobs), "--zone", "DE", "--forecast", "oracle", "--json"]
    answer = CliRunner().invoke(build_app(), arguments)
    assert answer.exit_code == 0, answer.output
    figures = json.loads(answer.stdout)
    assert figures["late_jobs"] == 0
    assert figures["emissions_kg"] == pytest.approx((2 * 100 + 4 * 100) / 1000)
    assert figures["run_now_kg"] == pytest.approx((2 * 400 + 4 * 400) / 1000)
    assert figures["savings_percent"] == pytest.approx(75)


def test_pictures_stand_beside_the_document_and_a_folder_that_cannot_be_written_is_refused_before_the_replay(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, jobs = files
    arguments = ["backtest", *_parts(folder), "--jobs", str(jobs), "--zone", "DE", "--forecast", "oracle", "--json", "--plots"]
    answer = CliRunner().invoke(build_app(), [*arguments, str(folder / "pictures")])
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["late_jobs"] == 0
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (folder / "pictures").iterdir())
    assert answer.stderr.count("Picture: ") == len(list((folder / "pictures").iterdir())) > 0
    monkeypatch.setattr("daemon.cli.backtest._with_progress", lambda *_, **__: pytest.fail("replayed in vain"))
    answer = CliRunner().invoke(build_app(), [*arguments, __file__])
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert f"--plots {__file__}: cannot be written (File exists)" in answer.stderr


def test_a_replay_prints_a_table_for_people(files: tuple[Path, Path]) -> None:
    folder, jobs = files
    answer = CliRunner().invoke(
        build_app(),
        ["backtest", *_parts(folder), "--jobs", str(jobs), "--zone", "DE", "--policy", "lowest-window", "--forecast", "persistence"],
    )
    assert answer.exit_code == 0, answer.output
    assert "lowest-window on 2 jobs" in answer.stdout
    assert "savings percent" in answer.stdout


def test_the_daemon_itself_replays_the_files(files: tuple[Path, Path]) -> None:
    folder, jobs = files
    answer = CliRunner().invoke(
        build_app(),
        ["backtest", *_parts(folder), "--jobs", str(jobs), "--zone", "DE", "--policy", "daemon", "--forecast", "oracle", "--json"],
    )
    assert answer.exit_code == 0, answer.output
    figures = json.loads(answer.stdout)
    assert (figures["policy"], figures["late_jobs"]) == ("daemon", 0)
    assert figures["emissions_kg"] == pytest.approx((2 * 100 + 4 * 100) / 1000)
    assert figures["run_now_kg"] == pytest.approx((2 * 400 + 4 * 400) / 1000)
    assert figures["ledger_hindsight_kg"] == pytest.approx(figures["hindsight_kg"])
    assert figures["ticks"] >= 4


@pytest.mark.parametrize(
    ("more", "sentence", "code"),
    [
        ([], "give either --sites FILE or --zone ZONE", 2),
        (["--zone", "FR"], "no intensity file is of zone FR", 1),
        (["--zone", "DE", "--step", "7min"], "step '7min' must divide an hour", 1),
        (["--zone", "DE", "--forecast", "stars"], "forecast 'stars' is not known", 1),
    ],
)
def test_a_mistake_is_one_sentence(files: tuple[Path, Path], more: list[str], sentence: str, code: int) -> None:
    folder, jobs = files
    answer = CliRunner().invoke(build_app(), ["backtest", *_parts(folder), "--jobs", str(jobs), *more])
    assert answer.exit_code == code
    assert sentence in answer.stderr


def test_a_record_that_may_be_in_local_time_is_replayed_and_the_doubt_told_beside_the_figures(files: tuple[Path, Path]) -> None:
    """As somebody leaves it who drops the hour that comes twice in autumn; the one that clocks skip in spring is missing."""
    folder, jobs = files
    hours = [datetime(2022, 10, 29, tzinfo=UTC) + timedelta(hours=hour) for hour in range(24 * 150)]
    lines = [f"{hour:%Y-%m-%d %H:%M:%S},{400 - hour.hour}" for hour in hours if hour != datetime(2023, 3, 26, 2, tzinfo=UTC)]
    (folder / "DE_local.csv").write_text("\n".join(["datetime_utc,carbon_intensity", *lines]) + "\n", encoding="utf-8")
    common = ["backtest", "--jobs", str(jobs), "--zone", "DE", "--forecast", "oracle", "--json"]
    answer = CliRunner().invoke(build_app(), [*common, "--intensity", str(folder / "DE_local.csv")])
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["late_jobs"] == 0
    assert "DE_local.csv: the hour from 2023-03-26 02:00 is missing" in answer.stderr
    assert "taken as UTC" in answer.stderr
    assert CliRunner().invoke(build_app(), [*common, *_parts(folder)]).stderr == ""


def _parts(folder: Path) -> list[str]:
    return [word for part in (0, 1) for word in ("--intensity", str(folder / f"DE_part{part}.csv"))]
