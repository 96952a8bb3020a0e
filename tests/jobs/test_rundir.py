"""The files of a run directory under kills, rot and concurrent readers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.outcome import Outcome, OutcomeKind
from jobs.rundir import ProgressRecord, RunDirectory, SampleRecord, append_line, write_aside

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def progress(step: int) -> ProgressRecord:
    return ProgressRecord(attempt_id="a", step=step, of=1_000_000, when=NOW, stage="x" * 60)


def sample(index: int, digest: str, attempt: str = "a") -> SampleRecord:
    return SampleRecord(index=index, file=f"samples/{index}.png", sha256=digest, fingerprint="f", attempt_id=attempt)


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(1, 150))
def test_a_line_torn_by_a_kill_swallows_neither_its_neighbours_nor_itself_twice(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    directory = RunDirectory(tmp_path_factory.mktemp("run"))
    for step in (1, 2):
        directory.append_progress(progress(step))
    torn = directory.progress_file.read_bytes()[:-cut]
    directory.progress_file.write_bytes(torn)
    directory.append_progress(progress(3))
    steps = [record.step for record in directory.progress()]
    assert steps in ([1, 3], [1, 2, 3])
    assert (steps == [1, 2, 3]) == (cut == 1), "a line that lost only its end of line is whole"


def test_the_last_progress_of_a_long_file_is_found(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    assert directory.last_progress() is None
    line = progress(7).model_dump_json()
    directory.progress_file.write_text(f"{line}\n" * 5000 + '{"attempt_id": "torn')
    directory.append_progress(progress(5001))
    last = directory.last_progress()
    assert last is not None
    assert last.step == 5001


def test_the_last_progress_is_found_behind_much_that_is_torn(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.append_progress(progress(5001))
    with directory.progress_file.open("a") as file:
        file.write('{"attempt_id": "torn\n' * 1000)
    last = directory.last_progress()
    assert last is not None
    assert last.step == 5001


def test_a_sample_made_again_counts_once_with_its_newest_record(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    for record in (sample(2, "old"), sample(0, "zero"), sample(2, "new", attempt="b")):
        directory.append_sample(record)
    assert [(record.index, record.sha256) for record in directory.sample_records()] == [(0, "zero"), (2, "new")]


def test_an_outcome_of_another_attempt_does_not_count(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    assert directory.read_outcome("one") is None
    directory.write_outcome(Outcome(attempt_id="one", kind=OutcomeKind.COMPLETED, ended_at=NOW))
    assert directory.read_outcome("two") is None
    assert directory.read_outcome("one") is not None


def test_a_failed_write_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    write_aside(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_aside(path, "\ud800")
    assert path.read_text() == "old"


def test_remains_of_killed_attempts_are_removed_and_nothing_else(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.samples.mkdir(parents=True)
    directory.checkpoints.mkdir()
    kept = [directory.samples / "000001.png", directory.path / ".process.json.77.tmp"]  # the second is being written by the executor
    remains = [directory.samples / ".000002.png.9840.tmp", directory.checkpoints / ".000000000012.pt.9840.tmp"]
    for path in kept + remains:
        path.write_bytes(b"x")
    directory.remove_remains()
    assert [path.exists() for path in kept + remains] == [True, True, False, False]


def test_lines_are_appended_in_order(tmp_path: Path) -> None:
    for word in ("one", "two"):
        append_line(tmp_path / "deep" / "file.jsonl", word)
    assert (tmp_path / "deep" / "file.jsonl").read_text() == "one\ntwo\n"


@pytest.mark.parametrize("joules", ["-5.0", "NaN", "Infinity", "-Infinity", "1e300"])
def test_joules_that_no_component_can_have_used_are_unknown_and_the_rest_of_the_record_stands(tmp_path: Path, joules: str) -> None:
    directory = RunDirectory(tmp_path)
    line = f'"start": "{NOW.isoformat()}", "end": "{(NOW + timedelta(seconds=1)).isoformat()}", "joules": {{"cpu": 30.0, "gpu0": {joules}}}'
    append_line(directory.energy_file, f'{{"attempt_id": "a", {line}, "provenance": {{"cpu": "measured", "gpu0": "measured"}}}}')
    (record,) = directory.energy()
    assert record.joules == {"cpu": 30.0}
    assert record.total_joules == 30.0
