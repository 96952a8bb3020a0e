"""Checkpoints and images on the machine that runs the tests, smaller than in a profiling."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.energy import overhead_measuring
from jobs.energy.overhead_measuring import measure_checkpoint, measure_preparation
from tests.jobs.energy.test_profiling import Counter


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overhead_measuring, "_LARGE_BYTES", 32 * 2**20)
    monkeypatch.setattr(overhead_measuring, "_LARGE_SIDE", 64)


def test_a_checkpoint_takes_time_for_itself_and_more_for_its_bytes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    told = measure_checkpoint(tmp_path)

    assert 0 < told.seconds_each < 5
    assert 0.1 < told.seconds_per_gb < 1000
    assert told.watts is None, "no counter told"
    assert list(tmp_path.iterdir()) == []


def test_an_image_takes_time_for_itself_and_more_for_its_voxels_and_leaves_nothing_behind(tmp_path: Path) -> None:
    told = measure_preparation(tmp_path)

    assert 0 < told.seconds_each < 5
    assert 0.1 < told.seconds_per_gb < 10_000
    assert list(tmp_path.iterdir()) == []


def test_what_a_counter_tells_becomes_watts(tmp_path: Path) -> None:
    told = measure_checkpoint(tmp_path, [Counter()])
    seconds = told.seconds_each + told.seconds_per_gb * overhead_measuring._LARGE_BYTES / 1e9

    assert told.watts is not None
    assert told.watts * seconds == pytest.approx(2.0, rel=0.05), "2 J at each look"


def test_a_disk_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        measure_checkpoint(tmp_path / "nowhere")
