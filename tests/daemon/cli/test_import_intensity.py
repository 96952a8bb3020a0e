"""`lowtide import-intensity` writes real files into a real database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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


def test_a_database_that_cannot_be_opened_is_one_sentence(lowtide: Lowtide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWTIDE_DATABASE", "sqlite:////proc/none/lowtide.db")
    result = lowtide("import-intensity", str(DEMO[0]))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
