"""A zone's scores over a period: same hours for every forecaster, nothing from after the end, sentences for what is missing."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import psutil
import pytest

from forecast.intensity import LIFECYCLE_AVERAGE, FloatArray, Series
from forecast.model.record import Record
from forecast.reissue import FORECASTERS, NEEDED_HOURS, Past
from forecast.score_document import score_document
from forecast.score_zones import score_zones
from forecast.scoring import NothingKnown
from forecast.zone_scores import RUN_IN_HOURS, UnscorablePeriod, ZoneScores, period_of, score_zone

START = datetime(2023, 1, 1, tzinfo=UTC)
FIRST = START + timedelta(hours=NEEDED_HOURS + RUN_IN_HOURS)
END = FIRST + timedelta(days=8)
SIMPLE = {name: FORECASTERS[name] for name in ("persistence", "seven-day-mean")}


def record(days: int = 76, zone: str = "XX") -> Series:
    """A daily swing whose level wanders: yesterday says more than last week."""
    random = np.random.default_rng(3)
    hour = np.arange(24 * days)
    level = np.cumsum(random.normal(0, 1.5, len(hour)))
    values = 300 + 80 * np.sin(2 * np.pi * hour / 24) + level - level.min() + random.normal(0, 5, len(hour))
    return Series(zone, LIFECYCLE_AVERAGE, START, values)


@pytest.fixture(scope="module")
def scores() -> ZoneScores:
    return score_zone(record(), FIRST, END, FORECASTERS)


def test_every_forecaster_is_scored_on_the_same_hours_and_persistence_is_one(scores: ZoneScores) -> None:
    for bucket in ("1-24", "25-96"):
        assert len({forecast.leads[bucket].point.count for forecast in scores.forecasts.values()}) == 1
        assert scores.relative_mae("persistence", bucket) == scores.relative_winkler("persistence", bucket) == 1.0
    assert scores.relative_mae("last-week", "1-24") > 1.0


def test_there_are_scores_for_twelve_kinds_of_jobs(scores: ZoneScores) -> None:
    kinds = {(each.shift.duration_hours, each.shift.slack_hours, each.in_chunks) for each in scores.forecasts["own"].shifts}
    assert kinds == {(duration, slack, chunks) for duration in (2, 8, 24) for slack in (24, 72) for chunks in (False, True)}


def test_hours_from_the_end_on_are_not_known_to_the_scores() -> None:
    whole = record()
    other = replace(whole, values=whole.values.copy())
    other.values[int((END - START) / timedelta(hours=1)) :] = 1.0
    first, second = (score_zone(each, FIRST, END, SIMPLE) for each in (whole, other))
    assert score_document([first]) == score_document([second])


def test_a_late_newest_value_makes_every_forecast_worse() -> None:
    on_time, late = (score_zone(record(), FIRST, END, SIMPLE, delay_hours=hours) for hours in (0, 3))
    for name in SIMPLE:
        assert late.forecasts[name].leads["1-24"].point.mae > on_time.forecasts[name].leads["1-24"].point.mae


def test_missing_and_frozen_hours_are_left_out_for_all_and_counted() -> None:
    broken = record()
    first = int((FIRST - START) / timedelta(hours=1))
    broken.values[first + 10 : first + 13] = np.nan
    broken.values[first + 50 : first + 80] = broken.values[first + 50]
    scores = score_zone(broken, FIRST, END, SIMPLE)
    assert scores.missing_hours == 3 + 29
    assert scores.forecasts["persistence"].leads["1-24"].point.count == scores.forecasts["seven-day-mean"].leads["1-24"].point.count


def test_a_zone_that_never_changes_has_no_relative_figures_and_no_saving_to_keep() -> None:
    flat = record()
    flat.values[:] = 500.0
    document = score_document([score_zone(flat, FIRST, END, SIMPLE)])
    scores = document["zones"][0]["forecasters"]["seven-day-mean"]
    assert scores["leads"]["1-24"]["relative_mae"] is None
    assert scores["jobs"][0]["once"]["kept"] is None
    assert document["means"][0]["mean"]["jobs"][0]["once"]["kept"] is None


def test_without_dates_all_that_can_be_scored_is() -> None:
    whole = record()
    assert period_of(whole, None, None) == (FIRST, whole.end)
    assert period_of(whole, FIRST + timedelta(days=1), END) == (FIRST + timedelta(days=1), END)


def test_too_little_record_is_told_with_a_remedy_before_anything_is_scored() -> None:
    whole = record()
    with pytest.raises(UnscorablePeriod, match=r"XX: scores from 2023-01-20 need record since 2022-11-18 .* give earlier files, or --from"):
        next(score_zones({"XX": whole}, datetime(2023, 1, 20, tzinfo=UTC), None, SIMPLE, [0]))
    with pytest.raises(UnscorablePeriod, match="leave less than the 120 hours that scores need"):
        period_of(replace(whole, values=whole.values[: 24 * 50]), None, None)


def as_our_model_refuses(past: Past) -> FloatArray:
    known = Record.of(past.zone, past.values, past.hour_of_first).known
    if not known[past.origins - past.delay_hours].all():
        raise NothingKnown("four weeks have no known hour")
    return FORECASTERS["seven-day-mean"](past)


def with_gap(whole: Series, first_day: int, last_day: int) -> Series:
    values = whole.values.copy()
    values[24 * first_day : 24 * last_day] = np.nan
    return replace(whole, values=values)


def test_a_zone_without_values_is_told_of_and_costs_the_others_nothing() -> None:
    told: list[str] = []
    records = {"XX": with_gap(record(), 0, 76), "YY": record(zone="YY")}
    scored = list(score_zones(records, FIRST, END, SIMPLE, [0, 3], told.append))
    assert [(scores.zone, scores.delay_hours) for scores in scored] == [("YY", 0), ("YY", 3)]
    assert told == [
        "XX cannot be scored at a delay of 0 and 3 h, because no hour has both a forecast and a measured value, and the hours from "
        "2023-01-01 00:00 to 2023-03-13 00:00 have no value that can be believed: give the files that hold them"
    ]


def test_a_gap_of_five_weeks_is_told_with_its_dates_and_with_periods_that_can_be_scored() -> None:
    told: list[str] = []
    broken = with_gap(record(210), 80, 115)
    forecasters = SIMPLE | {"seven-day-mean": as_our_model_refuses}
    assert not list(score_zones({"XX": broken}, None, None, forecasters, [0], told.append))
    (sentence,) = told
    assert "at a delay of 0 h, because four weeks have no known hour, and the hours" in sentence
    assert "the hours from 2023-03-22 00:00 to 2023-04-26 00:00 have no value that can be believed" in sentence
    assert sentence.endswith("give the files that hold them, or --from 2023-03-05 --to 2023-03-22, or --from 2023-06-28 --to 2023-07-30")
    before, after = datetime(2023, 3, 22, tzinfo=UTC), datetime(2023, 6, 28, tzinfo=UTC)
    for start, end in ((None, before), (after, None)):
        assert len(list(score_zones({"XX": broken}, start, end, forecasters, [0]))) == 1
    asked = datetime(2023, 4, 1, tzinfo=UTC), datetime(2023, 5, 11, tzinfo=UTC)
    assert not list(score_zones({"XX": broken}, *asked, forecasters, [0], told.append))
    assert told[1].endswith("believed: give the files that hold them"), "nothing of the period that was asked for can be scored"


def test_hours_missing_here_and_there_are_not_told_as_one_gap() -> None:
    whole, told = record(), list[str]()
    values = whole.values.copy()
    values[::40] = np.nan
    assert not list(score_zones({"XX": replace(whole, values=values)}, FIRST, END, SIMPLE, [0], told.append))
    (sentence,) = told
    assert "no submission has all hours of its window measured, and 43 of 1,704 hours, here and there, have no value" in sentence
    assert sentence.endswith("believed: give the files that hold them")


def test_more_processes_score_the_same_in_the_same_order_and_are_gone_afterwards() -> None:
    records = {"XX": with_gap(record(), 0, 76), "YY": record(zone="YY"), "ZZ": record(74, "ZZ")}
    told: list[list[str]] = [[], []]
    one, two = (list(score_zones(records, FIRST, END, SIMPLE, [0, 3], told[n - 1].append, processes=n)) for n in (1, 2))
    assert [score_document([each]) for each in two] == [score_document([each]) for each in one]
    assert told[0] == told[1] != []
    assert not active_children()


def noted(folder: Path, past: Past) -> FloatArray:
    (folder / f"{past.zone}-{past.delay_hours}").touch()
    return FORECASTERS["seven-day-mean"](past)


def test_a_score_that_nobody_waits_for_any_more_is_not_worked_out(tmp_path: Path) -> None:
    records = {zone: record(zone=zone) for zone in ("VV", "WW", "XX", "YY", "ZZ")}
    delays = range(7)
    scored = score_zones(records, FIRST, END, SIMPLE | {"noted": partial(noted, tmp_path)}, delays, processes=2)
    assert next(scored).zone == "VV"
    scored.close()
    assert not active_children()
    assert 0 < len(list(tmp_path.iterdir())) < len(records) * len(delays)


def test_processes_end_with_the_one_that_started_them_however_that_ended() -> None:
    script = """
from tests.forecast.test_zone_scores import *
scored = score_zones({zone: record(zone=zone) for zone in ("XX", "YY", "ZZ")}, FIRST, END, SIMPLE, range(40), processes=2)
print(next(scored).zone, flush=True)
list(scored)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "XX\n"
        children = psutil.Process(command.pid).children(recursive=True)
        command.kill()
    assert len(children) >= 2
    assert not psutil.wait_procs(children, timeout=20)[1]


def test_means_over_zones_are_means_and_extremes_are_those_of_zones() -> None:
    zones = list(score_zones({"XX": record(), "YY": record(74, "YY")}, FIRST, END, SIMPLE, [0, 3]))
    assert [(zone.zone, zone.delay_hours) for zone in zones] == [("XX", 0), ("XX", 3), ("YY", 0), ("YY", 3)]
    document = score_document(zones)
    errors = [zone["forecasters"]["persistence"]["leads"]["1-24"]["mae_g_per_kwh"] for zone in document["zones"][::2]]
    mean = document["means"][0]
    assert (mean["delay_hours"], mean["forecaster"], mean["zones"]) == (0, "persistence", 2)
    told = [mean[word]["leads"]["1-24"]["mae_g_per_kwh"] for word in ("least", "mean", "greatest")]
    assert told == pytest.approx([min(errors), np.mean(errors), max(errors)])
    assert mean["least"]["jobs"][0]["duration_hours"] == 2
