"""Our own forecaster: the bundled model on one zone's record, fitted to that zone by its past.

It starts from what is settled: doubtful values are set aside before anything is computed (`forecast.anomalies`), and hours
between the newest settled value and now are forecast like those after. It needs a day of record and goes by four months; what the
zone's years and its neighbours say it learns from an archive once a day, apart from forecasting. Nothing that starts after `now` is used.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zlib import crc32

import numpy as np

from forecast.anomalies import believed
from forecast.forecasters import MINIMUM_HOURS, Archive, InsufficientHistory
from forecast.grid import Grid, regrid
from forecast.hourly import estimated_on
from forecast.intensity import FloatArray, Rung, Series, Vintage
from forecast.model.calibration import LIGHT_ISSUES, LIGHT_STRIDE_HOURS
from forecast.model.features import DAY_HOURS, HORIZON_HOURS, WINDOW_HOURS
from forecast.model.lesson import Lesson, learn_lesson
from forecast.model.network import Network
from forecast.model.record import Record, nearest
from forecast.timeline import HOUR, as_utc, floor_to

SOURCE = "lowtide model"
ARCHIVE_HOURS = 3 * 366 * 24
"""How much of an archive a lesson is learnt from."""

MAXIMUM_DELAY_HOURS = 8
"""The oldest newest value the model can start from; a longer outage is bridged by the zone's daily shape up to there."""

RECORD_HOURS = WINDOW_HOURS + LIGHT_STRIDE_HOURS * LIGHT_ISSUES + MAXIMUM_DELAY_HOURS
"""How much record a forecast without an archive looks at."""

LONGEST_USE = timedelta(days=28)
"""How old a lesson may be where no newer one could be learnt."""


class TrainedForecaster:
    """Forecasts with central 80 % bounds, hourly, or finer where the record is.

    The bundled model is read at the first forecast, so that a daemon starts without waiting for it. `learn` takes seconds of a thread of
    its own; `forecast` never waits for it, and goes by the last lesson, or by the newest four months where there is none.
    """

    def __init__(self) -> None:
        self._lessons: dict[str, tuple[datetime, Lesson]] = {}

    def forecast(self, history: Series, now: datetime, horizon: timedelta, archive: Archive | None = None) -> Vintage:
        """A forecast issued at `now` covering [the hour of now, now + horizon), or more.

        It starts right after the newest settled value, at most MAXIMUM_DELAY_HOURS before the hour of now.
        Raises InsufficientHistory where less than a day of the last four weeks is recorded and sound.
        """
        now = as_utc(now)
        values, start = _settled(history, now)
        quantiles = _extended(self._quantiles(history.zone, values, start, archive), -((start - now - horizon) // HOUR))
        pieces = HOUR // history.step if history.step < HOUR and not HOUR % history.step else 1
        low, middle, high = _refined(quantiles, pieces)
        return Vintage(history.zone, history.kind, SOURCE, Rung.OWN_FORECAST, now, now, start, HOUR / pieces, middle, low, high)

    def learn(self, history: Series, now: datetime, archive: Archive) -> bool:
        """Learn what the archive teaches of the zone of `history`, once on each of its days of lessons: some seconds of processor time.

        True where forecasts were made without any lesson until now. Raises InsufficientHistory as `forecast` does.
        """
        zone, (_, start) = history.zone, _settled(history, as_utc(now))
        learnt_at, lesson = self._lesson(zone, start)
        if learnt_at is not None and lesson_day(zone, learnt_at) == lesson_day(zone, start):
            return False
        self._lessons[zone] = (start, _learnt(archive, zone, start))
        return lesson is None

    def _quantiles(self, zone: str, values: FloatArray, start: datetime, archive: Archive | None) -> FloatArray:
        """(3, HORIZON_HOURS) of low, middle, high from `start` on, which follows the last of `values`."""
        network, first_hour = Network.bundled(), epoch_hours(start)
        _, lesson = self._lesson(zone, start)
        if archive is None or lesson is None:
            record = Record.of(zone, values, first_hour - len(values))
            lesson = learn_lesson(network, record, with_map=False)
        else:
            around = _neighbours(archive, zone, start, WINDOW_HOURS)
            record = Record.of(zone, values[-WINDOW_HOURS:], first_hour - WINDOW_HOURS, around)
        forecast: FloatArray = lesson.apply(network, record, np.array([len(record.values)]))[0]
        return forecast

    def _lesson(self, zone: str, start: datetime) -> tuple[datetime, Lesson] | tuple[None, None]:
        """The lesson that a forecast from `start` on may go by, and when it was learnt.

        Not one of a later moment, as after a clock was set back: it would know what is to come.
        """
        learnt_at, lesson = self._lessons.get(zone, (None, None))
        if learnt_at is None or lesson is None or not timedelta(0) <= start - learnt_at <= LONGEST_USE:
            return None, None
        return learnt_at, lesson


def _settled(history: Series, now: datetime) -> tuple[FloatArray, datetime]:
    """The sound hourly means of RECORD_HOURS before now, without those after the newest settled one, and when they end: at most
    MAXIMUM_DELAY_HOURS before the hour of now. Raises InsufficientHistory."""
    this_hour = floor_to(now, HOUR)
    values = recorded_hours(history, this_hour, RECORD_HOURS)
    known = np.flatnonzero(np.isfinite(values[-WINDOW_HOURS:]))
    if len(known) < MINIMUM_HOURS:
        raise InsufficientHistory(history.zone, len(known), WINDOW_HOURS // DAY_HOURS)
    delay_hours = min(WINDOW_HOURS - 1 - int(known[-1]), MAXIMUM_DELAY_HOURS)
    return values[: len(values) - delay_hours], this_hour - delay_hours * HOUR


def lesson_day(zone: str, start: datetime) -> int:
    """The number of the day of lessons. It begins at an hour of the zone's own, so that a daemon with many zones learns a few at a time
    instead of holding a core for minutes."""
    return (epoch_hours(start) + crc32(zone.encode())) // DAY_HOURS


def _learnt(archive: Archive, zone: str, start: datetime) -> Lesson:
    record = archive.history(zone, start - ARCHIVE_HOURS * HOUR, start)
    hours = RECORD_HOURS if record is None else min(ARCHIVE_HOURS, max(RECORD_HOURS, int((start - record.start) // HOUR)))
    values = np.full(hours, np.nan) if record is None else recorded_hours(record, start, hours)
    around = Record.of(zone, values, epoch_hours(start) - hours, _neighbours(archive, zone, start, hours))
    return learn_lesson(Network.bundled(), around, with_map=True)


def _neighbours(archive: Archive, zone: str, end: datetime, hours: int) -> list[FloatArray]:
    """The records of the zone's neighbours in the `hours` before `end`, nearest first, NaN where nothing sound is recorded."""
    histories = [archive.history(other, end - hours * HOUR, end) for other in nearest(zone, archive.zones)]
    return [np.full(hours, np.nan) if each is None else recorded_hours(each, end, hours) for each in histories]


def recorded_hours(history: Series, end: datetime, hours: int) -> FloatArray:
    """The sound hourly means of the `hours` before `end`, NaN where there is none."""
    grid = Grid(end - hours * HOUR, HOUR, hours)
    values = regrid(history.values, history.start, history.step, grid)
    return believed(values, estimated_on(grid, history), zero_is_a_value=history.kind.has_honest_zeros)


def epoch_hours(instant: datetime) -> int:
    """Whole hours since the Unix epoch."""
    return int((as_utc(instant) - datetime.fromtimestamp(0, UTC)) // HOUR)


def _extended(quantiles: FloatArray, hours: int) -> FloatArray:
    """(3, hours): beyond the model's horizon its last day repeats, as a daily shape that knows no weather."""
    index = np.arange(hours)
    beyond = index >= HORIZON_HOURS
    index[beyond] = HORIZON_HOURS - DAY_HOURS + (index[beyond] - HORIZON_HOURS) % DAY_HOURS
    return quantiles[:, index]


def _refined(quantiles: FloatArray, pieces: int) -> FloatArray:
    """(3, hours * pieces): each hour drawn as a line with the slope between its neighbours; the hour's mean stays what it is."""
    low, middle, high = np.repeat(quantiles, pieces, axis=1)
    if pieces > 1:
        slope = np.gradient(quantiles[1])
        slope = np.clip(slope, -2 * quantiles[1], 2 * quantiles[1])  # so that the line stays above zero
        offset = np.outer(slope, (np.arange(pieces) + 0.5) / pieces - 0.5).reshape(-1)
        low, middle, high = low + offset, middle + offset, high + offset
    return np.stack([np.maximum(low, 0.0), middle, high])
