"""Where zones lie: enough to tell local time, season and distance. Coordinates are of the main load, to about a degree.

Countries follow the tz database's table of principal places (public domain); zones within a country are set by hand.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_EARTH_RADIUS_KM = 6371.0


@dataclass(frozen=True, slots=True)
class Place:
    """`utc_offset_hours` of standard time (no summer time), latitude and longitude in degrees north and east."""

    utc_offset_hours: float
    latitude: float
    longitude: float

    def distance_km(self, other: Place) -> float:
        """The great-circle distance."""
        north, other_north = math.radians(self.latitude), math.radians(other.latitude)
        half_east = math.radians(other.longitude - self.longitude) / 2
        chord = math.sin((other_north - north) / 2) ** 2 + math.cos(north) * math.cos(other_north) * math.sin(half_east) ** 2
        return 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, chord)))


SOMEWHERE = Place(0.0, 45.0, 0.0)
"""Stands in for a zone nobody has placed: its weekend may be off by hours, its daily shape comes from its own history anyway."""


def place_of(zone: str) -> Place:
    """The place of `zone`, or of the nearest parent that is known (`US-NW` for `US-NW-XYZ`), or SOMEWHERE."""
    table = _table()
    while zone:
        if zone in table:
            return table[zone]
        zone = zone.rpartition("-")[0]
    return SOMEWHERE


@cache
def _table() -> dict[str, Place]:
    with files("forecast.model").joinpath("places.csv").open(encoding="utf-8") as text:
        return {
            row["zone"]: Place(float(row["utc_offset_hours"]), float(row["latitude"]), float(row["longitude"]))
            for row in csv.DictReader(text)
        }
