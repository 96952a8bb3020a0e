"""Files that look right and are not, or are too much: read right, or refused with a sentence, in bounded memory."""

from __future__ import annotations

import gzip
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from forecast import csv_rows
from forecast.csv_rows import CsvProblem
from forecast.intensity import LIFECYCLE_AVERAGE, IntensityKind
from forecast.local_time import CLOCK_RULES
from forecast.portal_csv import IntensityFile, read_intensity_file
from forecast.timeline import HOUR
from tests.forecast.grids import DIRECT
from tests.forecast.test_portal_csv import HEADER_A, line

TWO_GB = 2 * 1024**3


def utc(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def backtest_file(folder: Path, hours: list[str], values: list[float] | None = None, name: str = "DE_2023.csv") -> Path:
    values = values or [100.0 + index for index in range(len(hours))]
    path = folder / name
    path.write_text("\n".join(["datetime_utc,carbon_intensity", *(f"{hour},{value}" for hour, value in zip(hours, values, strict=True))]))
    return path


def refusal(path: Path, kind: IntensityKind = LIFECYCLE_AVERAGE) -> str:
    with pytest.raises(CsvProblem) as problem:
        read_intensity_file(path, kind)
    return str(problem.value)


def local_hours(first: datetime, count: int, offset_changes_at: datetime, before: int, after: int) -> list[datetime]:
    """Wall-clock times of consecutive UTC hours in a country that moves its clocks at an instant."""
    instants = [first + index * HOUR for index in range(count)]
    return [instant + timedelta(hours=after if instant >= offset_changes_at else before) for instant in instants]


def naive(moments: list[datetime]) -> list[str]:
    return [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in moments]


@pytest.mark.parametrize(
    ("first", "change", "before", "after", "said"),
    [
        (utc(2023, 3, 25, 12), utc(2023, 3, 26, 1), 1, 2, "2023-03-26 02:00 is missing, as in local time when clocks"),
        (
            utc(2023, 10, 28, 12),
            utc(2023, 10, 29, 1),
            2,
            1,
            "2023-10-29 02:00 has two values, as in local time",
        ),
        (utc(2023, 3, 12, 0), utc(2023, 3, 12, 10), -8, -7, "2023-03-12 02:00 is missing"),
        (utc(2023, 11, 4, 12), utc(2023, 11, 5, 9), -7, -8, "2023-11-05 01:00 has two values"),
        (utc(2023, 4, 1, 0), utc(2023, 4, 1, 16), 11, 10, "2023-04-02 02:00 has two values"),
        (utc(2023, 9, 30, 0), utc(2023, 9, 30, 16), 10, 11, "2023-10-01 02:00 is missing"),
    ],
)
def test_local_time_gives_itself_away_at_a_clock_change_and_is_refused(
    tmp_path: Path, first: datetime, change: datetime, before: int, after: int, said: str
) -> None:
    assert said in refusal(backtest_file(tmp_path, naive(local_hours(first, 30, change, before, after))))


def test_local_times_with_their_offset_are_read_right_over_a_clock_change(tmp_path: Path) -> None:
    hours = ["2023-10-29T01:00+02:00", "2023-10-29T02:00+02:00", "2023-10-29T02:00+01:00", "2023-10-29T03:00+01:00"]
    file = read_intensity_file(backtest_file(tmp_path, hours))
    assert file.series().start == datetime(2023, 10, 28, 23, tzinfo=UTC)
    assert file.series().values.tolist() == [100.0, 101.0, 102.0, 103.0]
    assert (file.gaps, file.repeats) == ((), ())


def test_a_line_told_twice_alike_in_such_a_night_is_only_a_repeat(tmp_path: Path) -> None:
    file = read_intensity_file(
        backtest_file(tmp_path, ["2023-10-29 02:00:00", "2023-10-29 02:00:00", "2023-10-29 03:00:00"], [5.0, 5.0, 6.0])
    )
    assert len(file.repeats) == 1


def test_local_time_is_refused_though_the_autumn_is_in_the_file_too(tmp_path: Path) -> None:
    forward, back = utc(2023, 3, 26, 1), utc(2023, 10, 29, 1)
    instants = [utc(2023, 3, 25) + index * HOUR for index in range(24 * 230)]
    wall = [instant + timedelta(hours=2 if forward <= instant < back else 1) for instant in instants]
    assert "2023-10-29 02:00 has two values" in refusal(backtest_file(tmp_path, naive(wall)))


def a_year_without(*missing: datetime) -> list[str]:
    """UTC hours of 2023 in which some are missing."""
    return naive([hour for index in range(8760) if (hour := utc(2023, 1, 1) + index * HOUR) not in missing])


@pytest.mark.parametrize("missing", [utc(2023, 3, 26, 1), utc(2023, 3, 26, 2), utc(2023, 3, 12, 2), utc(2023, 10, 1, 2)])
def test_a_year_in_utc_that_misses_one_hour_when_clocks_go_forward_is_read_and_the_doubt_told(tmp_path: Path, missing: datetime) -> None:
    file = read_intensity_file(backtest_file(tmp_path, a_year_without(missing)))
    assert [gap.start for gap in file.gaps] == [missing]
    assert file.doubt is not None
    assert f"{missing:%Y-%m-%d %H:%M} is missing, as in local time" in file.doubt
    assert "taken as UTC" in file.doubt


def test_an_hour_told_twice_alike_in_autumn_does_not_speak_for_utc(tmp_path: Path) -> None:
    hours = a_year_without(utc(2023, 3, 26, 2))
    hours.insert(hours.index("2023-10-29 02:00:00"), "2023-10-29 02:00:00")
    assert "2023-03-26 02:00 is missing" in refusal(backtest_file(tmp_path, hours, [5.0] * len(hours)))


@pytest.mark.parametrize(
    "missing", [utc(2023, 10, 29, 2), utc(2023, 11, 5, 1), utc(2023, 4, 2, 2), utc(2023, 3, 26, 4), utc(2023, 3, 12, 3)]
)
def test_an_hour_that_no_clock_skips_is_only_a_gap(tmp_path: Path, missing: datetime) -> None:
    file = read_intensity_file(backtest_file(tmp_path, naive([missing - HOUR, missing + HOUR, missing + 2 * HOUR])))
    assert ([gap.start for gap in file.gaps], file.doubt) == ([missing], None)


def test_times_that_tell_their_offset_may_miss_any_hour(tmp_path: Path) -> None:
    file = read_intensity_file(backtest_file(tmp_path, ["2023-03-26T01:00Z", "2023-03-26T03:00Z", "2023-03-26T04:00Z"]))
    assert (len(file.gaps), file.doubt) == (1, None)


def test_a_gap_or_a_repeat_on_any_other_day_says_nothing_about_clocks() -> None:
    nights = [utc(2023, 1, 1, 2) + timedelta(days=index) for index in range(365)]
    skipping = [(night.month, night.day) for night in nights if any(rule.skips(night) for rule in CLOCK_RULES)]
    repeating = [(night.month, night.day) for night in nights if any(rule.repeats(night - HOUR) for rule in CLOCK_RULES)]
    assert skipping == [(3, 12), (3, 26), (10, 1)]
    assert repeating == [(10, 29), (11, 5)]
    assert not any(rule.repeats(utc(2023, 10, 29, 12)) for rule in CLOCK_RULES)


@pytest.mark.parametrize("value", ["0.367", "0.4", "367000"])
def test_a_value_in_another_unit_in_the_middle_of_a_file_is_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / "DE_2023_hourly.csv"
    path.write_text("\n".join([HEADER_A, line("2023-01-01 00:00:00"), line("2023-01-01 01:00:00", lca=value)]))
    said = refusal(path)
    assert said.startswith(f"DE_2023_hourly.csv, line 3: {value!r} is")
    assert "gCO2eq/kWh" in said


def test_a_small_direct_value_is_no_other_unit(tmp_path: Path) -> None:
    path = tmp_path / "SE_2023_hourly.csv"
    path.write_text("\n".join([HEADER_A, line("2023-01-01 00:00:00", direct="0.54", zone="SE"), line("2023-01-01 01:00:00", zone="SE")]))
    assert read_intensity_file(path, DIRECT).series().values[0] == 0.54


@pytest.mark.parametrize("unit", ["kgCO2eq/kWh", "gCO2eq/MWh", "lbs/MWh"])
def test_a_column_in_another_unit_is_not_the_column_asked_for(tmp_path: Path, unit: str) -> None:
    path = tmp_path / "DE_2023_hourly.csv"
    path.write_text("\n".join([HEADER_A.replace("gCO₂eq/kWh", unit), line("2023-01-01 00:00:00")]))
    assert "the header needs" in refusal(path)


def test_two_gigabytes_without_a_line_end_are_refused_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "DE_2023_hourly.csv"
    with path.open("wb") as file:
        file.write((HEADER_A + "\n").encode())
        file.truncate(TWO_GB)  # sparse: takes no room on the disk
    assert path.stat().st_size == TWO_GB
    tracemalloc.start()
    try:
        assert "line 2: a line of more than 65536 characters: the file is damaged or no CSV at all" in refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024**2
    finally:
        tracemalloc.stop()


def test_more_lines_than_a_zone_can_have_are_refused_as_they_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "MOST_LINES", 1000)
    hours = naive([utc(2023, 1, 1) + index * HOUR for index in range(1000)])
    assert "line 1000: more than 1,000 lines; cut the file into one for each zone and year" in refusal(backtest_file(tmp_path, hours))
    assert len(read_intensity_file(backtest_file(tmp_path, hours[:-1])).rows) == 999


def test_a_small_gzip_file_that_unpacks_to_gigabytes_is_refused_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "DE_2023_hourly.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write((HEADER_A + "\n" + "x" * (64 * 1024**2)).encode())
    tracemalloc.start()
    try:
        assert "a line of more than 65536 characters" in refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024**2
    finally:
        tracemalloc.stop()


def test_another_release_of_the_same_hours_is_another_file_with_its_name_on_every_value(tmp_path: Path) -> None:
    def release(value: str, name: str) -> IntensityFile:
        path = tmp_path / "DE_2023_hourly.csv"
        path.write_text("\n".join([HEADER_A, line("2023-01-01 00:00:00", lca=value), line("2023-01-01 01:00:00", lca=value)]))
        return read_intensity_file(path, release=name)

    older, newer = release("448.0", "2024-01-17"), release("417.4", "2025-01-27")
    known_at = datetime(2026, 1, 1, tzinfo=UTC)
    assert {(one.g_per_kwh, one.release) for one in [*older.readings(known_at), *newer.readings(known_at)]} == {
        (448.0, "2024-01-17"),
        (417.4, "2025-01-27"),
    }
