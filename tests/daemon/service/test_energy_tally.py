"""The tally of energy used so far equals the sum of all records, however the file grew between two questions."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.service.energy_tally import EnergyTally
from jobs.rundir import EnergyRecord, RunDirectory

START = datetime(2024, 3, 4, tzinfo=UTC)


def line(joules: float) -> bytes:
    components = {"cpu": joules, "gpu0": 2 * joules}
    record = EnergyRecord(
        attempt_id="a", start=START, end=START + timedelta(seconds=1), joules=components, provenance=dict.fromkeys(components, "measured")
    )
    return record.model_dump_json().encode() + b"\n"


@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=8), st.lists(st.integers(min_value=0, max_value=2000), max_size=8))
def test_any_growth_of_the_file_gives_the_sum_of_its_records(joules: list[float], cuts: list[int]) -> None:
    text = b"".join(map(line, joules))
    with tempfile.TemporaryDirectory() as folder:
        directory, tally = RunDirectory(folder), EnergyTally()
        for cut in sorted(cuts):
            directory.energy_file.write_bytes(text[:cut])
            complete = text[:cut].rpartition(b"\n")[0].count(b"\n") + (b"\n" in text[:cut])
            assert tally.joules(directory.energy_file) == (pytest.approx(3 * sum(joules[:complete])) if complete else None)
        directory.energy_file.write_bytes(text)
        total = sum(record.total_joules for record in directory.energy())
        assert tally.joules(directory.energy_file) == (pytest.approx(total) if joules else None)


def test_a_line_torn_by_a_kill_counts_nothing_and_hides_nothing(tmp_path: Path) -> None:
    file = tmp_path / "energy.jsonl"
    file.write_bytes(line(1.0) + b'{"attempt_id": "a", "joules"\n' + line(2.0))
    assert EnergyTally().joules(file) == pytest.approx(9.0)


def test_a_file_that_is_not_there_yet_or_was_made_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    file, tally = tmp_path / "energy.jsonl", EnergyTally()
    assert tally.joules(file) is None
    file.write_bytes(line(1.0) + line(1.0))
    assert tally.joules(file) == pytest.approx(6.0)
    file.write_bytes(line(5.0))
    assert tally.joules(file) == pytest.approx(15.0)


def test_a_record_whose_sources_failed_says_nothing_of_the_energy(tmp_path: Path) -> None:
    file, tally = tmp_path / "energy.jsonl", EnergyTally()
    unknown = EnergyRecord(attempt_id="a", start=START, end=START + timedelta(seconds=1), joules={}, provenance={})
    file.write_text(unknown.model_dump_json() + "\n")
    assert tally.joules(file) is None
    file.write_bytes(file.read_bytes() + line(0.0))
    assert tally.joules(file) == 0.0
