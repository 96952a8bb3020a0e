"""Files and folders, as they are named on a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from forecast.csv_files import NoCsvFiles, csv_files


def test_a_folder_stands_for_its_csv_files_by_name_and_files_for_themselves(tmp_path: Path) -> None:
    for name in ("SE.csv", "DE.csv.gz", "NOTICE.md"):
        (tmp_path / name).touch()
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "FR.csv").touch()
    alone = tmp_path / "NOTICE.md"
    assert csv_files([alone, tmp_path]) == [alone, tmp_path / "DE.csv.gz", tmp_path / "SE.csv"]


def test_a_folder_without_csv_files_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "NOTICE.md").touch()
    with pytest.raises(NoCsvFiles, match=f"^{tmp_path}: there is no CSV file in this folder: name files, or the folder that holds them$"):
        csv_files([tmp_path])


def test_a_file_that_is_not_there_is_left_to_its_reader(tmp_path: Path) -> None:
    assert csv_files([tmp_path / "nowhere.csv"]) == [tmp_path / "nowhere.csv"]
