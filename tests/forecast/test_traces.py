"""Against three years of real hours of 27 zones, where LOWTIDE_TRACES names the folder that holds them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from forecast.csv_rows import CsvProblem
from forecast.forecasters import SevenDayMean
from forecast.intensity import LIFECYCLE_AVERAGE
from forecast.portal_csv import read_intensity_file
from forecast.scoring import same_hour_mean
from forecast.soundness import sound
from forecast.timeline import HOUR
from forecast.yearly import yearly_means
from tests.bench.carboncast import BLOCK_HOURS, REGIONS, hours_before, mape, read_forecasts, read_record, together
from tests.forecast.grids import DIRECT

TRACES = Path(os.environ.get("LOWTIDE_TRACES", "no-traces"))
pytestmark = [
    pytest.mark.traces,
    pytest.mark.skipif(not TRACES.is_dir(), reason="LOWTIDE_TRACES does not name a folder of intensity traces"),
]


def files(folder: str, pattern: str = "*.csv*") -> Iterator[Path]:
    return (path for path in sorted((TRACES / folder).glob(pattern)) if not path.name.endswith(".md"))


def test_every_original_portal_file_is_read_whole_in_both_kinds() -> None:
    for path in [*files("electricitymaps-csv-hourly", "*_2023_*"), *files("electricitymaps-csv-monthly")]:
        for kind in (LIFECYCLE_AVERAGE, DIRECT):
            file = read_intensity_file(path, kind)
            assert (file.gaps, file.repeats, file.empty) == ((), (), 0)
            assert len(file.rows) == (12 if file.granularity == "monthly" else 8760)


def test_of_the_variants_exactly_the_edited_ones_are_refused() -> None:
    refused = {}
    for path in files("electricitymaps-csv-variants"):
        try:
            read_intensity_file(path)
        except CsvProblem as problem:
            refused[path.name] = str(problem)
    assert len(refused) == 3
    assert "line 2: '01/01/2022 00:00' has the day first" in refused["FR_2022_hourly__dayfirst_ascii.csv.gz"]
    assert "line 2: '01/01/2023 00:00' has the day first" in refused["GB_2023_hourly__dayfirst_excel.csv.gz"]
    assert "line 1: the header needs" in refused["SE_2022_hourly__new_header_edited.csv.gz"]


def test_of_27_real_grids_two_have_frozen_stretches_and_the_others_are_sound() -> None:
    """US-NW-PACW repeats 248.1754 g/kWh for a day at a time again and again; BR-CS hung once, for fourteen hours."""
    dropped = {}
    for path in files("electricitymaps-lca-hourly"):
        series = read_intensity_file(path).series()
        dropped[series.zone] = int(np.isnan(sound(series)[0].values).sum())
    assert {zone: hours for zone, hours in dropped.items() if hours} == {"BR-CS": 13, "US-NW-PACW": 411}


def test_the_bundled_yearly_means_are_those_of_the_hours() -> None:
    for path in files("electricitymaps-lca-hourly"):
        series = read_intensity_file(path).series()
        for mean in yearly_means(series.zone, LIFECYCLE_AVERAGE):
            first = (mean.interval.start - series.start) // HOUR
            hours = series.values[first : first + mean.interval.duration // HOUR]
            assert mean.g_per_kwh == pytest.approx(hours.mean(), abs=0.006)


@pytest.mark.parametrize(("zone", "published_mae"), [("DE", 90.6), ("SE", 3.8), ("US-CAL-CISO", 25.1)])
def test_the_seven_day_mean_errs_as_published_for_2023(zone: str, published_mae: float) -> None:
    (path,) = files("electricitymaps-lca-hourly", f"{zone}_2021*")
    series = read_intensity_file(path).series()
    misses, held, count = [], 0, 0
    for day in range(365):
        midnight = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(days=day)
        issued = SevenDayMean().forecast(series, midnight - timedelta(seconds=1), timedelta(days=1))
        offset, first = (midnight - issued.start) // HOUR, (midnight - series.start) // HOUR
        outcome = series.values[first : first + 24]
        misses.append(np.abs(issued.g_per_kwh[offset : offset + 24] - outcome))
        assert issued.low is not None
        assert issued.high is not None
        held += int(((issued.low[offset : offset + 24] <= outcome) & (outcome <= issued.high[offset : offset + 24])).sum())
        count += 24
    assert np.mean(misses) == pytest.approx(published_mae, abs=0.06)
    assert 0.72 <= held / count <= 0.88


def test_combined_with_a_plain_daily_mean_published_forecasts_err_less_from_the_second_day_on() -> None:
    """CarbonCast's 96 h forecasts, July to December 2021, and the mean of the same hour on seven days: seven regions, four days."""
    errors = []
    for region in REGIONS:
        record = read_record(TRACES / "carboncast", region)
        issued, actual, theirs = read_forecasts(TRACES / "carboncast", region)
        mean = same_hour_mean(record.values, issued + hours_before(record), BLOCK_HOURS)
        blend = together(record, issued, theirs, np.stack([0.85 * mean, mean, 1.15 * mean], axis=1))
        errors.append([[mape(actual, each, day) for day in range(4)] for each in (theirs, blend)])
    published, combined = np.array(errors).transpose(1, 0, 2)
    assert (combined.mean(axis=0)[1:] < 0.95 * published.mean(axis=0)[1:]).all()
    assert (combined <= published + 0.01).all(), "nowhere more than one point behind"
