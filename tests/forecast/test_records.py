"""Files of several zones, joined by zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from forecast.records import ContradictoryFiles, read_records

START = datetime(2023, 1, 1, tzinfo=UTC)


def write(path: Path, values: list[float], first_hour: int = 0) -> Path:
    lines = [f"{START + timedelta(hours=first_hour + index):%Y-%m-%d %H:%M:%S},{value}" for index, value in enumerate(values)]
    path.write_text("\n".join(["datetime_utc,carbon_intensity", *lines, ""]), encoding="utf-8")
    return path


def write_portal(path: Path, zone: str, values: list[float]) -> Path:
    lines = [f"{START + timedelta(hours=index):%Y-%m-%d %H:%M:%S},{zone},{value}" for index, value in enumerate(values)]
    path.write_text("\n".join(["Datetime (UTC),Zone Id,Carbon Intensity gCO₂eq/kWh (LCA)", *lines, ""]), encoding="utf-8")
    return path


def test_files_of_a_zone_are_joined_in_any_order_and_hours_between_them_stay_missing(tmp_path: Path) -> None:
    later, earlier = write(tmp_path / "DE_b.csv", [3.0, 4.0], first_hour=3), write(tmp_path / "DE_a.csv", [1.0, 2.0])
    record = read_records([later, earlier])["DE"]
    assert record.start == START
    np.testing.assert_array_equal(record.values, [1, 2, np.nan, 3, 4])


def test_hours_told_twice_alike_are_one_record_and_told_differently_are_refused(tmp_path: Path) -> None:
    first, same = write(tmp_path / "DE_a.csv", [1.0, 2.0, 3.0]), write(tmp_path / "DE_b.csv", [2.0, 3.0, 4.0], first_hour=1)
    np.testing.assert_array_equal(read_records([first, same])["DE"].values, [1, 2, 3, 4])
    other = write(tmp_path / "DE_c.csv", [2.5, 3.5], first_hour=1)
    with pytest.raises(ContradictoryFiles, match="zone DE: two files disagree"):
        read_records([first, other])


def test_a_folder_stands_for_its_csv_files(tmp_path: Path) -> None:
    write(tmp_path / "DE_a.csv", [1.0, 2.0])
    write(tmp_path / "FR_a.csv", [1.0, 2.0])
    (tmp_path / "README.md").write_text("not a record", encoding="utf-8")
    assert set(read_records([tmp_path])) == {"DE", "FR"}
    assert set(read_records([tmp_path], ["FR"])) == {"FR"}


def test_the_zone_inside_a_file_counts_not_the_one_in_its_name(tmp_path: Path) -> None:
    path = write_portal(tmp_path / "DE-LU_2023_hourly.csv", "DE", [5.0, 6.0])
    assert set(read_records([path], ["DE"])) == {"DE"}
    assert read_records([path], ["DE-LU"]) == {}
