"""How good each zone's forecasts were lately, kept between the runs of the chore that scores them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from daemon.intensity_store import IntensityStore
from forecast.hourly import hours_of
from forecast.intensity import IntensityKind, Rung, Series
from forecast.regret import RECORD_DAYS
from forecast.skill import HORIZON, ForecastSkill, skill_of
from forecast.soundness import sound
from forecast.timeline import HOUR

FORECAST_RUNGS = (Rung.VENDOR_FORECAST, Rung.OWN_FORECAST)
LOOK_BACK = timedelta(days=RECORD_DAYS)
DAY = timedelta(days=1)


class ZoneSkills:
    """Archived forecasts of the last RECORD_DAYS against the record, by zone and rung. `renew` reads the store; the rest answers."""

    def __init__(self, store: IntensityStore, kind: IntensityKind) -> None:
        self._store, self._kind = store, kind
        self._skills: dict[str, dict[Rung, ForecastSkill]] = {}

    def renew(self, zones: Iterable[str], now: datetime) -> None:
        """Score each zone anew as known at `now`."""
        for zone in zones:
            record = self._record(zone, now)
            scored = {} if record is None else {rung: self._skill(zone, rung, record, now) for rung in FORECAST_RUNGS}
            self._skills[zone] = {rung: skill for rung, skill in scored.items() if skill is not None}

    def of(self, zone: str) -> dict[Rung, ForecastSkill]:
        """What was found last, by rung; empty where nothing is archived yet."""
        return self._skills.get(zone, {})

    def share_kept(self, zone: str) -> float | None:
        """The share of promised savings that came true, None without enough record. Where there are two sources it is the better
        one's: plans stand on a blend that leans on whichever erred less lately."""
        return max((skill.share_kept for skill in self.of(zone).values() if skill.share_kept is not None), default=None)

    def _skill(self, zone: str, rung: Rung, record: Series, now: datetime) -> ForecastSkill | None:
        return skill_of(self._store.vintages(zone, self._kind, rung, now - LOOK_BACK, now), record, now)

    def _record(self, zone: str, now: datetime) -> Series | None:
        """The sound hours of the looked-at days and of those that persistence copies."""
        start = now - LOOK_BACK - HORIZON * HOUR - DAY
        record = self._store.record(zone, self._kind, start, now)
        hourly = None if record is None else hours_of(record)
        return None if hourly is None else sound(hourly)[0]
