"""Who is asked about the grid, and where its history is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from daemon.settings.schema import Settings
from daemon.store import Store
from daemon.store.intensity import RecordedIntensity
from forecast.clock import Clock
from forecast.source.budget import TokenBucket
from forecast.source.port import IntensitySource


def sources_of(settings: Settings, clock: Clock) -> list[IntensitySource]:
    """Who is asked about the grid: about each zone the first that serves it."""
    sources: list[IntensitySource] = []
    if settings.gb_national.enabled:
        sources.append(_gb_national(settings, clock))
    if settings.electricity_maps.has_a_key and settings.intensity.intensity_kind.signal == "average":
        sources.append(_electricity_maps(settings, clock))
    return sources


def _gb_national(settings: Settings, clock: Clock) -> IntensitySource:
    from forecast.gb_national.client import NationalGB  # httpx, again

    return NationalGB(settings.gb_national.base_url, now=clock.now)


def _electricity_maps(settings: Settings, clock: Clock) -> IntensitySource:
    from forecast.electricity_maps.client import ElectricityMaps  # httpx takes a fifth of a start, and not every daemon has a key

    provider = settings.electricity_maps
    return ElectricityMaps(
        provider.base_url,
        provider.token.get_secret_value() if provider.token else None,
        {zone: token.get_secret_value() for zone, token in provider.tokens.items()},
        now=clock.now,
        kind=settings.intensity.intensity_kind,
        budget=TokenBucket(provider.requests_per_hour),
    )


@contextmanager
def open_intensity_store(settings: Settings) -> Iterator[RecordedIntensity]:
    """The recorded grid history alone, for imports. Raises StoreUnavailable."""
    store = Store.open(settings.database)
    try:
        yield RecordedIntensity(store.database)
    finally:
        store.close()
