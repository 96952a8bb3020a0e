"""`lowtide import-intensity` writes real files into a real database."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy

import pytest
from sqlalchemy import Engine, event

from tests.daemon.cli.conftest import Lowtide

DEMO = sorted((Path(__file__).parents[3] / "forecast" / "data" / "demo").glob("*.csv*"))


@pytest.fixture(autouse=True)
def _scratch_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_importing_twice_changes_nothing_the_second_time(lowtide: Lowtide) -> None:
    files = [str(path) for path in DEMO]
    first = json.loads(lowtide("import-intensity", *files, "--json").stdout)
    assert {row["zone"] for row in first} >= {"DE", "SE"}
    assert all(row["new"] > 0 and row["restated"] == 0 for row in first)
    second = json.loads(lowtide("import-intensity", *files, "--json").stdout)
    assert [row["unchanged"] for row in second] == [row["new"] for row in first]


def test_a_file_that_cannot_be_read_is_named(lowtide: Lowtide, tmp_path: Path) -> None:
    result = lowtide("import-intensity", "nowhere.csv")
    assert (result.exit_code, "nowhere.csv" in result.stderr) == (1, True)
    bad = tmp_path / "edited.csv"
    bad.write_text("some,thing\n1,2\n")
    result = lowtide("import-intensity", str(bad))
    assert (result.exit_code, "edited.csv" in result.stderr, result.stderr.count("\n")) == (1, True, 1)


def test_a_folder_stands_for_its_csv_files(lowtide: Lowtide, tmp_path: Path) -> None:
    told = json.loads(lowtide("import-intensity", str(DEMO[0].parent), "--json").stdout)
    assert [row["file"] for row in told] == [str(path) for path in DEMO]
    (tmp_path / "empty").mkdir()
    result = lowtide("import-intensity", "empty")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "empty: there is no CSV file in this folder: name files, or the folder that holds them" in result.stderr


def test_in_80_columns_files_deep_in_folders_are_told_apart(lowtide: Lowtide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    folder = tmp_path / "recorded" / "from-the-data-portal" / "release-of-2025-01-27" / "of-europe"
    folder.mkdir(parents=True)
    files = [Path(copy(path, folder)) for path in DEMO[:2]]
    lines = lowtide("import-intensity", str(folder)).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for file in files:
        assert str(file) in "".join(line.strip() for line in lines)


def test_one_bad_file_among_good_ones_leaves_the_store_as_it_was(lowtide: Lowtide, tmp_path: Path) -> None:
    whole = gzip.decompress(DEMO[0].read_bytes())
    half = tmp_path / "half_2023-08_hourly.csv"
    half.write_bytes(whole[: len(whole) // 2])  # as a download that broke off: its last line is short
    result = lowtide("import-intensity", str(DEMO[0]), str(half))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "half_2023-08_hourly.csv, line" in result.stderr
    told = json.loads(lowtide("import-intensity", str(DEMO[0]), "--json").stdout)
    assert told[0]["unchanged"] == 0
    assert told[0]["new"] > 0


def test_a_year_that_may_be_in_local_time_is_recorded_and_the_doubt_told(lowtide: Lowtide, tmp_path: Path) -> None:
    instants = [datetime(2023, 1, 1, tzinfo=UTC) + timedelta(hours=index) for index in range(8760)]
    hours = [f"{instant:%Y-%m-%d %H:%M}" for instant in instants if instant != datetime(2023, 3, 26, 2, tzinfo=UTC)]
    path = tmp_path / "DE_2023.csv"
    path.write_text("\n".join(["datetime_utc,carbon_intensity", *(f"{hour},100" for hour in hours)]))
    (row,) = json.loads(lowtide("import-intensity", str(path), "--json").stdout)
    assert (row["new"], row["gaps"]) == (8759, 1)
    assert "2023-03-26 02:00 is missing" in row["doubt"]
    assert "taken as UTC" in lowtide("import-intensity", str(path)).stdout


def test_a_disk_that_fills_up_half_way_is_one_sentence_that_says_how_far_it_came(lowtide: Lowtide) -> None:
    """SQLite is told how many pages it may use, and says then what it says of a full disk."""
    one, two = [str(path) for path in DEMO if "hourly" in path.name][:2]
    assert lowtide("import-intensity", one).exit_code == 0
    with closing(sqlite3.connect("lowtide.db")) as database:
        pages = database.execute("PRAGMA page_count").fetchone()[0]

    def configured(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages + 3}").close()

    event.listen(Engine, "connect", configured)
    try:
        result = lowtide("import-intensity", one, two)
    finally:
        event.remove(Engine, "connect", configured)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "is full: free space there; 1 of 2 files are recorded: import them all again" in result.stderr
    told = json.loads(lowtide("import-intensity", one, two, "--json").stdout)
    assert [(row["unchanged"] > 0, row["new"] > 0) for row in told] == [(True, False), (False, True)]


def test_another_release_of_hours_already_recorded_is_told_as_restated(lowtide: Lowtide, tmp_path: Path) -> None:
    header = "Datetime (UTC),Country,Zone Name,Zone Id,Carbon Intensity gCO₂eq/kWh (direct),Carbon Intensity gCO₂eq/kWh (LCA)"
    for release, value in (("2024-01-17", "448.0"), ("2025-01-27", "417.4")):
        path = tmp_path / "DE_2023_hourly.csv"
        path.write_text(f"{header}\n2023-01-01 00:00:00,Germany,Germany,DE,300,{value}\n2023-01-01 01:00:00,Germany,Germany,DE,300,450.0\n")
        (row,) = json.loads(lowtide("import-intensity", str(path), "--release", release, "--json").stdout)
        assert (row["new"], row["restated"], row["unchanged"]) == ((2, 0, 0) if value == "448.0" else (0, 1, 1))


def test_years_of_two_releases_are_recorded_and_told_of_until_one_release_holds_all_of_them(lowtide: Lowtide, tmp_path: Path) -> None:
    header = "Datetime (UTC),Country,Zone Name,Zone Id,Carbon Intensity gCO₂eq/kWh (direct),Carbon Intensity gCO₂eq/kWh (LCA)"
    for year in (2022, 2023):
        rows = [f"{year}-01-01 0{hour}:00:00,Germany,Germany,DE,300,44{hour}.0" for hour in range(3)]
        (tmp_path / f"DE_{year}_hourly.csv").write_text("\n".join([header, *rows]))
    told = [
        lowtide("import-intensity", f"DE_{year}_hourly.csv", "--release", release).stderr
        for year, release in ((2022, "2024-01-17"), (2023, "2025-01-27"), (2022, "2025-01-27"))
    ]
    assert [len(each) > 0 for each in told] == [False, True, False]
    assert "DE: the hourly record is now put together from 2 releases" in told[1]
    assert "release 2024-01-17: 3 h; " in told[1]
    assert told[1].rstrip().endswith("import all years from one release, and name it by --release")


def test_two_files_that_contradict_each_other_are_refused_before_anything_is_recorded(lowtide: Lowtide, tmp_path: Path) -> None:
    header = "Datetime (UTC),Country,Zone Name,Zone Id,Carbon Intensity gCO₂eq/kWh (direct),Carbon Intensity gCO₂eq/kWh (LCA)"
    rows = [f"2023-01-01 0{hour}:00:00,Germany,Germany,DE,300,44{hour}.0" for hour in range(3)]
    (tmp_path / "one.csv").write_text("\n".join([header, *rows]))
    (tmp_path / "other.csv").write_text("\n".join([header, *rows[:-1], rows[-1].replace("442.0", "417.4")]))
    result = lowtide("import-intensity", "one.csv", "other.csv")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "zone DE: two files disagree on the same hours; give one release only" in result.stderr
    (row,) = json.loads(lowtide("import-intensity", "one.csv", "--json").stdout)
    assert (row["new"], row["unchanged"]) == (3, 0)


def test_a_database_that_cannot_be_opened_is_one_sentence(lowtide: Lowtide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWTIDE_DATABASE", "sqlite:////proc/none/lowtide.db")
    result = lowtide("import-intensity", str(DEMO[0]))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
