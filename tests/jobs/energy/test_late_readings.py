"""What a source told late is put back to where it was used: no joule is lost, none is made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.energy.late_readings import spread_late_readings
from jobs.rundir import EnergyRecord

START = datetime(2024, 3, 4, tzinfo=UTC)


def records_of(readings: list[tuple[int, dict[str, float]]]) -> list[EnergyRecord]:
    """One record after the other: seconds and joules of each."""
    records, instant = [], START
    for seconds, joules in readings:
        end = instant + timedelta(seconds=seconds)
        records.append(
            EnergyRecord(attempt_id="a", start=instant, end=end, joules=joules, provenance=dict.fromkeys(joules, "measured"), step_to=7)
        )
        instant = end
    return records


readings = st.lists(
    st.tuples(
        st.integers(min_value=1, max_value=60),
        st.dictionaries(st.sampled_from(["cpu", "dram", "gpu0"]), st.floats(min_value=0, max_value=1e6)),
    ),
    max_size=8,
)


@given(readings)
def test_every_component_keeps_its_sum(told: list[tuple[int, dict[str, float]]]) -> None:
    records = records_of(told)
    known = spread_late_readings(records)
    for component in ("cpu", "dram", "gpu0"):
        before = sum(record.joules.get(component, 0.0) for record in records)
        assert sum(record.joules.get(component, 0.0) for record in known) == pytest.approx(before)


@given(readings)
def test_a_component_is_missing_only_after_the_last_record_that_tells_of_it(told: list[tuple[int, dict[str, float]]]) -> None:
    records = records_of(told)
    known = spread_late_readings(records)
    for component in ("cpu", "dram", "gpu0"):
        last = max((index for index, record in enumerate(records) if component in record.joules), default=-1)
        assert [component in record.joules for record in known] == [index <= last for index in range(len(records))]


def test_a_late_reading_is_shared_by_the_length_of_the_records_and_nothing_else_changes() -> None:
    records = records_of(
        [(10, {"cpu": 50.0}), (10, {"cpu": 50.0, "gpu0": 500.0}), (30, {"cpu": 150.0}), (10, {"cpu": 50.0, "gpu0": 2000.0})]
    )
    known = spread_late_readings(records)
    assert [record.joules["gpu0"] for record in known] == [250.0, 250.0, 1500.0, 500.0]
    assert [record.joules["cpu"] for record in known] == [50.0, 50.0, 150.0, 50.0]
    assert [record.provenance["gpu0"] for record in known] == ["measured"] * 4
    assert [(record.start, record.end, record.step_to) for record in known] == [(one.start, one.end, one.step_to) for one in records]


def test_records_that_miss_nothing_are_left_as_they_are() -> None:
    records = records_of([(10, {"cpu": 50.0}), (5, {"cpu": 20.0})])
    assert spread_late_readings(records) == records
