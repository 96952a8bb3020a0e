from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from forecast.csv_rows import CsvProblem
from forecast.intensity import IntensityKind
from forecast.portal_csv import IntensityFile, read_intensity_file
from forecast.timeline import HOUR, Interval
from tests.forecast.grids import DIRECT, NOON

HEADER_A = (
    "Datetime (UTC),Country,Zone Name,Zone Id,Carbon Intensity gCO₂eq/kWh (direct),Carbon Intensity gCO₂eq/kWh (LCA),"
    "Low Carbon Percentage,Renewable Percentage,Data Source,Data Estimated,Data Estimation Method"
)
HEADER_B = (
    "Datetime (UTC),Country,Zone name,Zone id,Carbon intensity gCO₂eq/kWh (direct),Carbon intensity gCO₂eq/kWh (Life cycle),"
    "Carbon-free energy percentage (CFE%),Renewable energy percentage (RE%),Data source,Data estimated,Data estimation method"
)
MONTHLY = HEADER_A.removesuffix(",Data Estimated,Data Estimation Method")
START = datetime(2023, 1, 1, tzinfo=UTC)


def line(start: str, direct: str = "140.51", lca: str = "185.8", zone: str = "DE", flags: str = ",false,") -> str:
    return f"{start},Germany,Germany,{zone},{direct},{lca},83.79,78.42, entsoe.eu{flags}"


def write(folder: Path, *lines: str, name: str = "DE_2023_hourly.csv") -> Path:
    path = folder / name
    path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")
    return path


def refusal(path: Path, kind: IntensityKind | None = None) -> str:
    with pytest.raises(CsvProblem) as problem:
        read_intensity_file(path, kind or IntensityKind())
    return str(problem.value)


def day_of(folder: Path, header: str = HEADER_A, name: str = "DE_2023_hourly.csv") -> IntensityFile:
    path = write(folder, header, *(line(f"2023-01-01 {hour:02d}:00:00", lca=str(100 + hour)) for hour in range(24)), name=name)
    return read_intensity_file(path)


@pytest.mark.parametrize("header", [HEADER_A, HEADER_B, HEADER_A.replace("₂", "2"), HEADER_A.upper()])
def test_both_generations_of_headers_are_read_in_any_spelling(tmp_path: Path, header: str) -> None:
    file = day_of(tmp_path, header)
    assert (file.zone, file.granularity, file.step) == ("DE", "hourly", HOUR)
    assert file.series().values.tolist() == [100.0 + hour for hour in range(24)]
    assert file.series().start == START
    assert (file.gaps, file.repeats, file.empty) == ((), (), 0)


def test_the_earliest_files_without_an_estimation_method_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER_A.removesuffix(",Data Estimation Method"), line("2023-01-01 00:00:00", flags=",true"))
    (row,) = read_intensity_file(path).rows
    assert row.estimated
    assert row.method is None


def test_readings_carry_the_flags_the_release_and_the_time_of_import(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER_A, line("2023-01-01 00:00:00", flags=",true,TIME_SLICER_AVERAGE"), line("2023-01-01 01:00:00"))
    first, second = read_intensity_file(path, release="2025-01-27").readings(NOON)
    assert first.interval == Interval(START, START + HOUR)
    assert (first.g_per_kwh, first.estimated, first.estimation_method) == (185.8, True, "TIME_SLICER_AVERAGE")
    assert (first.release, first.known_at, first.source) == ("2025-01-27", NOON, "Electricity Maps data portal")
    assert (second.estimated, second.estimation_method) == (False, None)


def test_the_direct_column_is_read_when_direct_intensity_is_asked_for(tmp_path: Path) -> None:
    file = read_intensity_file(write(tmp_path, HEADER_A, line("2023-01-01 00:00:00"), line("2023-01-01 01:00:00")), DIRECT)
    assert file.series().values.tolist() == [140.51, 140.51]
    assert file.series().kind == DIRECT


def test_an_intensity_the_portal_does_not_hold_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER_A, line("2023-01-01 00:00:00"))
    with pytest.raises(
        ValueError, match="flow-traced average intensity, not lifecycle/marginal/flow-traced: ask for lifecycle/average/flow-traced"
    ):
        read_intensity_file(path, IntensityKind(signal="marginal"))


def test_a_gzip_file_is_recognised_by_its_content_and_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    text = "\ufeff" + "\n".join([HEADER_A, line("2023-01-01 00:00:00"), line("2023-01-01 01:00:00")])
    path = tmp_path / "DE_2023_hourly.csv"
    path.write_bytes(gzip.compress(text.encode()))
    assert len(read_intensity_file(path).readings(NOON)) == 2


def test_the_zone_column_counts_and_not_the_file_name(tmp_path: Path) -> None:
    assert day_of(tmp_path, name="DE-LU_2023_hourly.csv").zone == "DE"


def test_a_monthly_file_gives_monthly_means(tmp_path: Path) -> None:
    path = write(
        tmp_path, MONTHLY, line("2023-12-01 00:00:00", flags=""), line("2023-11-01 00:00:00", flags=""), name="DE_2023_monthly.csv"
    )
    november, december = read_intensity_file(path, release="older").period_means()
    assert november.interval == Interval(datetime(2023, 11, 1, tzinfo=UTC), datetime(2023, 12, 1, tzinfo=UTC))
    assert december.interval.end == datetime(2024, 1, 1, tzinfo=UTC)
    assert (december.g_per_kwh, december.release) == (185.8, "older")
    assert read_intensity_file(path).readings(NOON) == []
    with pytest.raises(ValueError, match="monthly means, not a regular series"):
        read_intensity_file(path).series()


@pytest.mark.parametrize("granularity", ["yearly", "monthly", "daily"])
def test_where_hours_are_needed_a_coarser_file_is_refused_with_what_to_give_instead(tmp_path: Path, granularity: str) -> None:
    path = write(tmp_path, MONTHLY, line("2023-01-01 00:00:00", flags=""), name=f"DE_2023_{granularity}.csv")
    sentence = f"{path.name} holds {granularity} means, hourly or finer values are needed: give hourly files of zone DE in its place"
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        read_intensity_file(path).hourly()


@pytest.mark.parametrize(("granularity", "days"), [("yearly", 365), ("daily", 1)])
def test_yearly_and_daily_files_give_means_of_their_periods(tmp_path: Path, granularity: str, days: int) -> None:
    path = write(tmp_path, MONTHLY, line("2023-01-01 00:00:00", flags=""), name=f"DE_2023_{granularity}.csv")
    (mean,) = read_intensity_file(path).period_means()
    assert mean.interval.duration == timedelta(days=days)
    assert read_intensity_file(path).readings(NOON) == []


def test_a_missing_leap_day_is_reported_as_a_gap_and_stays_missing(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER_A, line("2024-02-28 23:00:00"), line("2024-03-01 00:00:00"), name="DE_2024_hourly.csv")
    file = read_intensity_file(path)
    assert file.gaps == (Interval(datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)),)
    assert np.isnan(file.series().values[1:-1]).all()
    assert len(file.readings(NOON)) == 2


def test_a_repeated_hour_is_reported_and_its_last_value_counts(tmp_path: Path) -> None:
    path = write(
        tmp_path, HEADER_A, line("2023-01-01 00:00:00", lca="1"), line("2023-01-01 01:00:00"), line("2023-01-01 00:00:00", lca="2")
    )
    file = read_intensity_file(path)
    assert file.repeats == (START,)
    assert file.series().values.tolist() == [2.0, 185.8]


def test_an_empty_field_is_missing_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER_A, line("2023-01-01 00:00:00", lca=""), line("2023-01-01 01:00:00"))
    file = read_intensity_file(path)
    assert file.empty == 1
    assert np.isnan(file.series().values[0])
    assert len(file.readings(NOON)) == 1


def test_the_backtest_format_names_its_zone_in_the_file_name(tmp_path: Path) -> None:
    path = write(
        tmp_path, "datetime_utc,carbon_intensity_lca", "2023-01-01T00:00:00Z,26.49", "2023-01-01T01:00:00Z,26.7", name="SE-SE3_x.csv"
    )
    file = read_intensity_file(path)
    assert (file.zone, file.granularity, file.source) == ("SE-SE3", "hourly", "file SE-SE3_x.csv")
    assert file.series().values.tolist() == [26.49, 26.7]


def test_half_hours_become_the_means_of_hours_they_fill(tmp_path: Path) -> None:
    rows = [f"2023-01-01T0{index // 2}:{'30' if index % 2 else '00'}:00Z,{100 + index}" for index in range(5)]
    file = read_intensity_file(write(tmp_path, "datetime_utc,carbon_intensity", *rows, name="GB_2023.csv"))
    assert file.granularity == "30_minute"
    assert [reading.g_per_kwh for reading in file.readings(NOON)] == [100.5, 102.5]


def test_a_backtest_column_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "datetime_utc,carbon_intensity_direct", "2023-01-01T00:00:00Z,26.49", name="SE_x.csv")
    assert (
        refusal(path)
        == "SE_x.csv, line 1: 'carbon_intensity_direct' holds direct intensity, lifecycle was asked for; choose the matching kind"
    )


def test_a_backtest_file_without_a_zone_in_its_name_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "datetime_utc,carbon_intensity", "2023-01-01T00:00:00Z,26.49", name="trace.csv")
    assert "no zone before the first underscore" in refusal(path)


@pytest.mark.parametrize("date", ["01/02/2023 00:00", "1.2.2023 00:00", "13/02/23 00:00"])
def test_dates_with_the_day_first_are_refused_with_line_and_remedy(tmp_path: Path, date: str) -> None:
    said = refusal(write(tmp_path, HEADER_A, line("2023-02-01 00:00:00"), line(date)))
    assert said == (
        f"DE_2023_hourly.csv, line 3: {date!r} has the day first, as a spreadsheet writes it: day and month cannot be told apart; "
        "download the file again from the data portal and import it without opening it in a spreadsheet"
    )


def test_renamed_columns_are_refused_with_what_was_found(tmp_path: Path) -> None:
    edited = HEADER_B.replace("Datetime (UTC)", "timestamp").replace("Carbon intensity gCO₂eq/kWh (Life cycle)", "carbon_intensity")
    said = refusal(write(tmp_path, edited, line("2023-01-01 00:00:00")))
    assert said.startswith(
        "DE_2023_hourly.csv, line 1: the header needs 'Datetime (UTC)', 'Zone Id' and one 'Carbon Intensity gCO2eq/kWh (LCA)'"
    )
    assert "found 'timestamp'" in said
    assert "edited" in said


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "line 1: the header needs"),
        ([HEADER_A], "line 1: no values below the header"),
        ([HEADER_A, line("2023-01-01 00:00:00", lca="n/a")], "line 2: 'n/a' is not a carbon intensity"),
        ([HEADER_A, line("2023-01-01 00:00:00", lca="-1")], "line 2: '-1' is not a carbon intensity"),
        ([HEADER_A, line("2023-01-01 00:00:00", lca="nan")], "line 2: 'nan' is not a carbon intensity"),
        ([HEADER_A, line("2023-01-01 00:00:00", lca="1e999")], "line 2: '1e999' is not a carbon intensity"),
        ([HEADER_A, line("2023-01-01 00:00:00", lca="185,8")], "line 2: 12 fields where the header has 11"),
        ([HEADER_A, line("Sunday")], "line 2: 'Sunday' is not a time like '2023-01-31 13:00:00'"),
        ([HEADER_A, line("2023-01-01 00:00:00", zone=" ")], "line 2: no zone id"),
        ([HEADER_A, line("2023-01-01 00:00:00"), line("2023-01-01 01:00:00", zone="FR")], "line 3: zone 'FR' in a file about 'DE'"),
        ([HEADER_A, line("2023-01-01 00:00:00"), line("2023-01-01 00:30:00")], "line 3: 2023-01-01 00:30 does not begin an interval"),
        ([HEADER_A, line("2023-01-01 00:00:00"), line("2023-01-01 02:30:00")], "line 3: 2023-01-01 02:30 does not begin an interval"),
        ([HEADER_A.replace(",", ";")], "line 1: the header needs"),
        ([HEADER_A, '"unclosed'], "not a CSV line"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_with_line_and_reason(tmp_path: Path, lines: list[str], said: str) -> None:
    assert said in refusal(write(tmp_path, *lines))


def test_hours_that_begin_at_half_past_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER_A, line("2023-01-01 00:30:00"), line("2023-01-01 01:30:00"))
    assert "line 2: 2023-01-01 00:30 does not begin an interval of a file with hourly values" in refusal(path)


def test_a_monthly_file_with_days_in_it_is_refused(tmp_path: Path) -> None:
    path = write(
        tmp_path, MONTHLY, line("2023-01-01 00:00:00", flags=""), line("2023-02-15 00:00:00", flags=""), name="DE_2023_monthly.csv"
    )
    assert "line 3: 2023-02-15 00:00 does not begin an interval of a file with monthly values" in refusal(path)


def test_one_line_without_a_step_in_the_name_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER_A, line("2023-01-01 00:00:00"), name="DE_2023.csv")
    assert "the length of its interval is not known; add '_hourly' to the file name" in refusal(path)


def test_lines_a_month_apart_without_a_step_in_the_name_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, MONTHLY, line("2023-01-01 00:00:00", flags=""), line("2023-02-01 00:00:00", flags=""), name="DE_2023.csv")
    assert "add '_monthly' or '_yearly' to the file name" in refusal(path)


def test_a_damaged_gzip_file_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress("\n".join([HEADER_A, *(line(f"2023-01-01 {hour:02d}:00:00") for hour in range(24))]).encode())
    for damaged in (whole[:-20], whole[:60] + bytes(20) + whole[80:]):
        (tmp_path / "DE_2023_hourly.csv.gz").write_bytes(damaged)
        assert "the gzip file is damaged" in refusal(tmp_path / "DE_2023_hourly.csv.gz")


def test_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "DE_2023_hourly.csv"
    path.write_bytes(HEADER_A.encode("utf-16"))
    assert "the text is not UTF-8" in refusal(path)


def test_a_file_that_does_not_exist_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_intensity_file(tmp_path / "DE_2023_hourly.csv")
