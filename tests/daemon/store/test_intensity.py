"""Recorded grid history: what is current, what was replaced, what was known when."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, select, text
from sqlalchemy.exc import IntegrityError

from daemon.intensity_store import IntensityStore
from daemon.store import Store
from daemon.store.grid_schema import replaced_period_mean, replaced_reading
from daemon.store.intensity import RecordedIntensity
from forecast.hourly import hourly_series, hours_of
from forecast.intensity import LIFECYCLE_AVERAGE, IntensityKind, PeriodMean, Reading, RecordedCounts, Rung, Vintage
from forecast.timeline import HOUR, Interval

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
DIRECT = IntensityKind(factors="direct")


@pytest.fixture
def recorded(store: Store) -> RecordedIntensity:
    return RecordedIntensity(store.database)


def reading(hour: int = 0, g_per_kwh: float = 100.0, known: int = 0, **changes: Any) -> Reading:
    interval = Interval(MONDAY + hour * HOUR, MONDAY + (hour + 1) * HOUR)
    return replace(Reading("DE", interval, g_per_kwh, LIFECYCLE_AVERAGE, "somebody", MONDAY + known * HOUR), **changes)


def replaced(store: Store, table: Table) -> list[Any]:
    with store.database.read() as connection:
        return list(connection.execute(select(table).order_by(table.c.id)))


def everything(recorded: IntensityStore, zone: str = "DE", kind: IntensityKind = LIFECYCLE_AVERAGE) -> list[Reading]:
    return recorded.readings(zone, kind, MONDAY - 10_000 * HOUR, MONDAY + 10_000 * HOUR)


def test_readings_come_back_as_they_were(recorded: RecordedIntensity) -> None:
    told = [reading(0, 0.1 + 0.2, estimated=True, estimation_method="TIME_SLICER", release="2026-01"), reading(1), reading(5)]
    assert recorded.put_readings(told[::-1], MONDAY) == RecordedCounts(new=3)
    assert everything(recorded) == told


def test_readings_are_asked_for_by_zone_kind_and_start(recorded: RecordedIntensity) -> None:
    recorded.put_readings([reading(hour) for hour in range(5)], MONDAY)
    recorded.put_readings([reading(0, zone="SE", g_per_kwh=20.0), reading(0, kind=DIRECT, g_per_kwh=7.0)], MONDAY)
    assert recorded.readings("DE", LIFECYCLE_AVERAGE, MONDAY + HOUR, MONDAY + 3 * HOUR) == [reading(1), reading(2)]
    assert [one.g_per_kwh for one in everything(recorded, "SE")] == [20.0]
    assert [one.g_per_kwh for one in everything(recorded, kind=DIRECT)] == [7.0]


def test_a_restated_value_takes_the_place_and_the_old_one_is_kept_with_the_time(recorded: RecordedIntensity, store: Store) -> None:
    recorded.put_readings([reading(0, 100.0), reading(1, 50.0)], MONDAY)
    restated = reading(0, 110.0, known=2)
    assert recorded.put_readings([restated, reading(1, 50.0, known=2)], MONDAY + 2 * HOUR) == RecordedCounts(restated=1, unchanged=1)
    assert everything(recorded)[0] == restated
    (audit,) = replaced(store, replaced_reading)
    assert (audit.g_per_kwh, audit.known_at, audit.replaced_at) == (100.0, MONDAY, MONDAY + 2 * HOUR)


def test_a_write_that_breaks_off_half_way_leaves_everything_as_it_was(recorded: RecordedIntensity, store: Store) -> None:
    recorded.put_readings([reading(0, 90.0)], MONDAY)
    recorded.put_readings([reading(0, 100.0, known=1)], MONDAY)
    with store.database.write() as connection:
        connection.execute(text("CREATE UNIQUE INDEX one_each ON replaced_reading (zone)"))
    with pytest.raises(IntegrityError):
        recorded.put_readings([reading(0, 110.0, known=2), *(reading(hour) for hour in range(1, 50))], MONDAY)
    assert everything(recorded) == [reading(0, 100.0, known=1)]


def test_an_older_word_that_arrives_late_changes_nothing(recorded: RecordedIntensity, store: Store) -> None:
    recorded.put_readings([reading(0, 100.0, known=5)], MONDAY)
    assert recorded.put_readings([reading(0, 90.0, known=4)], MONDAY) == RecordedCounts(unchanged=1)
    assert everything(recorded) == [reading(0, 100.0, known=5)]
    assert replaced(store, replaced_reading) == []


def test_on_equal_knowledge_the_one_given_last_counts(recorded: RecordedIntensity, store: Store) -> None:
    assert recorded.put_readings([reading(0, 100.0), reading(0, 90.0)], MONDAY) == RecordedCounts(new=1, restated=1)
    assert everything(recorded) == [reading(0, 90.0)]
    assert [row.g_per_kwh for row in replaced(store, replaced_reading)] == [100.0]


def test_the_same_value_told_again_refreshes_its_marks_without_an_audit_copy(recorded: RecordedIntensity, store: Store) -> None:
    recorded.put_readings([reading(0, estimated=True, estimation_method="TIME_SLICER", release="a")], MONDAY)
    assert recorded.put_readings([reading(0, known=3, estimated=False, release="b")], MONDAY) == RecordedCounts(unchanged=1)
    (now,) = everything(recorded)
    assert (now.estimated, now.estimation_method, now.release) == (False, None, "b")
    assert replaced(store, replaced_reading) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    told=st.lists(st.tuples(st.integers(0, 2), st.sampled_from([10.0, 20.0, 30.0]), st.integers(0, 3), st.booleans()), max_size=12),
    cut=st.integers(0, 12),
)
def test_however_readings_are_batched_the_result_and_the_audit_are_the_same(
    recorded: RecordedIntensity, store: Store, told: list[tuple[int, float, int, bool]], cut: int
) -> None:
    zone = uuid4()
    readings = [reading(hour, value, known, estimated=estimated) for hour, value, known, estimated in told]
    batched = [replace(one, zone=f"{zone}-1") for one in readings]
    single = [replace(one, zone=f"{zone}-2") for one in readings]
    recorded.put_readings(batched[:cut], MONDAY)
    recorded.put_readings(batched[cut:], MONDAY)
    for one in single:
        recorded.put_readings([one], MONDAY)
    assert [replace(one, zone="") for one in everything(recorded, f"{zone}-1")] == [
        replace(one, zone="") for one in everything(recorded, f"{zone}-2")
    ]
    audits = [
        [(row.start, row.g_per_kwh, row.known_at) for row in replaced(store, replaced_reading) if row.zone == f"{zone}-{number}"]
        for number in (1, 2)
    ]
    assert sorted(audits[0]) == sorted(audits[1])


def vintage(issued: int = 0, known: int | None = None, **changes: Any) -> Vintage:
    plain = Vintage(
        "DE",
        LIFECYCLE_AVERAGE,
        "vendor",
        Rung.VENDOR_FORECAST,
        MONDAY + issued * HOUR,
        MONDAY + (issued if known is None else known) * HOUR,
        MONDAY + (issued + 1) * HOUR,
        timedelta(minutes=30),
        np.array([1.5, math.nan, 0.1 + 0.2]),
    )
    return replace(plain, **changes)


def latest(recorded: RecordedIntensity, now: datetime) -> Vintage | None:
    return recorded.latest_vintage("DE", LIFECYCLE_AVERAGE, Rung.VENDOR_FORECAST, now)


def test_a_forecast_comes_back_to_the_last_bit(recorded: RecordedIntensity) -> None:
    told = vintage(low=np.array([1.0, math.nan, 0.1]), high=np.array([2.0, math.nan, 0.7]))
    recorded.put_vintage(told)
    found = latest(recorded, MONDAY)
    assert found is not None
    arrays = ("g_per_kwh", "low", "high")
    for name in arrays:
        np.testing.assert_array_equal(getattr(found, name), getattr(told, name))
    rest = [field.name for field in fields(Vintage) if field.name not in arrays]
    assert [getattr(found, name) for name in rest] == [getattr(told, name) for name in rest]


def test_a_forecast_without_bounds_has_none(recorded: RecordedIntensity) -> None:
    recorded.put_vintage(vintage())
    found = latest(recorded, MONDAY)
    assert found is not None
    assert found.low is None
    assert found.high is None


def test_forecasts_are_listed_by_zone_kind_rung_and_time_of_issue(recorded: RecordedIntensity) -> None:
    for one in (vintage(2), vintage(0), vintage(1), vintage(3)):
        recorded.put_vintage(one)
    for one in (vintage(1, rung=Rung.OWN_FORECAST), vintage(1, zone="SE"), vintage(1, kind=DIRECT)):
        recorded.put_vintage(one)
    found = recorded.vintages("DE", LIFECYCLE_AVERAGE, Rung.VENDOR_FORECAST, MONDAY, MONDAY + 3 * HOUR)
    assert [(one.issued_at - MONDAY) / HOUR for one in found] == [0, 1, 2]
    np.testing.assert_array_equal(found[0].g_per_kwh, vintage().g_per_kwh)


def test_the_newest_forecast_known_by_then_is_given(recorded: RecordedIntensity) -> None:
    for one in (vintage(0), vintage(2), vintage(1), vintage(3, known=9)):
        recorded.put_vintage(one)
    recorded.put_vintage(vintage(8, rung=Rung.OWN_FORECAST))
    recorded.put_vintage(vintage(8, zone="SE"))
    recorded.put_vintage(vintage(8, kind=DIRECT))
    assert latest(recorded, MONDAY - HOUR) is None
    for now, issued in ((0, 0), (1, 1), (5, 2), (9, 3)):
        found = latest(recorded, MONDAY + now * HOUR)
        assert found is not None
        assert found.issued_at == MONDAY + issued * HOUR


def test_the_same_forecast_told_again_changes_nothing(recorded: RecordedIntensity) -> None:
    recorded.put_vintage(vintage())
    recorded.put_vintage(vintage(g_per_kwh=np.zeros(3)))
    found = latest(recorded, MONDAY)
    assert found is not None
    assert found.g_per_kwh[0] == 1.5


def test_old_forecasts_can_be_forgotten(recorded: RecordedIntensity) -> None:
    for issued in range(4):
        recorded.put_vintage(vintage(issued))
    assert recorded.forget_vintages(before=MONDAY + 3 * HOUR) == 3
    assert latest(recorded, MONDAY + 2 * HOUR) is None
    assert latest(recorded, MONDAY + 3 * HOUR) is not None


def month(number: int = 1, g_per_kwh: float = 300.0, source: str = "portal", **changes: Any) -> PeriodMean:
    interval = Interval(datetime(2025, number, 1, tzinfo=UTC), datetime(2025, number + 1, 1, tzinfo=UTC))
    return replace(PeriodMean("DE", interval, g_per_kwh, LIFECYCLE_AVERAGE, source, "2026-01"), **changes)


def test_period_means_come_back_in_order(recorded: RecordedIntensity) -> None:
    year = month(interval=Interval(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)), release=None)
    assert recorded.put_period_means([month(3), year, month(1), month(2)], MONDAY) == RecordedCounts(new=4)
    assert recorded.period_means("DE", LIFECYCLE_AVERAGE) == [month(1), year, month(2), month(3)]
    assert recorded.period_means("SE", LIFECYCLE_AVERAGE) == []
    assert recorded.period_means("DE", DIRECT) == []


def test_of_several_sources_the_newest_recorded_stands_last(recorded: RecordedIntensity) -> None:
    recorded.put_period_means([month(source="z")], MONDAY)
    recorded.put_period_means([month(source="a")], MONDAY + HOUR)
    recorded.put_period_means([month(source="z")], MONDAY + 2 * HOUR)  # told again, not new
    assert [one.source for one in recorded.period_means("DE", LIFECYCLE_AVERAGE)] == ["z", "a"]
    recorded.put_period_means([month(source="z", g_per_kwh=1.0)], MONDAY + 3 * HOUR)
    assert [one.source for one in recorded.period_means("DE", LIFECYCLE_AVERAGE)] == ["a", "z"]


def test_a_changed_mean_replaces_the_old_one_with_an_audit_copy(recorded: RecordedIntensity, store: Store) -> None:
    recorded.put_period_means([month()], MONDAY)
    counts = recorded.put_period_means([month(g_per_kwh=310.0, release="2026-02"), month(2)], MONDAY + HOUR)
    assert counts == RecordedCounts(new=1, restated=1)
    assert recorded.period_means("DE", LIFECYCLE_AVERAGE)[0] == month(g_per_kwh=310.0, release="2026-02")
    (audit,) = replaced(store, replaced_period_mean)
    assert (audit.g_per_kwh, audit.release, audit.recorded_at, audit.replaced_at) == (300.0, "2026-01", MONDAY, MONDAY + HOUR)


def test_nothing_told_changes_nothing(recorded: RecordedIntensity) -> None:
    assert recorded.put_readings([], MONDAY) == RecordedCounts()
    assert recorded.put_period_means([], MONDAY) == RecordedCounts()


@given(
    told=st.lists(
        st.tuples(
            st.integers(0, 40), st.sampled_from([5, 30, 60, 1440]), st.floats(1, 900), st.booleans(), st.sampled_from([None, "2025-01-27"])
        ),
        max_size=30,
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_record_is_the_same_hours_as_its_readings(
    recorded: RecordedIntensity, told: list[tuple[int, int, float, bool, str | None]]
) -> None:
    zone = uuid4().hex
    readings = []
    for place, minutes, value, estimated, release in told:
        start = MONDAY + place * timedelta(minutes=minutes)
        one = reading(g_per_kwh=value, interval=Interval(start, start + timedelta(minutes=minutes)), zone=zone)
        readings.append(replace(one, estimated=estimated, release=release))
    recorded.put_readings(readings, MONDAY)
    current = everything(recorded, zone)
    record = recorded.record(zone, LIFECYCLE_AVERAGE, MONDAY - HOUR, MONDAY + 1000 * HOUR)
    if record is None:
        assert current == []
        return
    hours, same = hours_of(record), hourly_series(current)
    assert (hours is None) == (same is None)
    if hours is not None and same is not None:
        np.testing.assert_array_equal(hours.values, same.values)
        assert hours.start == same.start
    by_release = record.split(lambda _, release: str(release))
    assert {name: len(part.start) for name, part in by_release.items()} == Counter(str(one.release) for one in current)
    assert sum(part.g_per_kwh.sum() for part in by_release.values()) == pytest.approx(sum(one.g_per_kwh for one in current))


def test_a_record_starts_and_ends_where_asked(recorded: RecordedIntensity) -> None:
    recorded.put_readings([reading(hour, 100.0 + hour) for hour in range(5)], MONDAY)
    record = recorded.record("DE", LIFECYCLE_AVERAGE, MONDAY + HOUR, MONDAY + 3 * HOUR)
    assert record is not None
    assert record.g_per_kwh.tolist() == [101.0, 102.0]
    assert recorded.record("DE", DIRECT, MONDAY, MONDAY + HOUR) is None
