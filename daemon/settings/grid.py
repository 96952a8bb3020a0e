"""What the grid is asked, and in which kind of carbon intensity everything is counted."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from daemon.settings.values import Section, is_below, web_address, zone_key
from forecast.gb_national.parse import KIND as GB_NATIONAL
from forecast.intensity import LIFECYCLE_AVERAGE, IntensityKind

PUBLIC_DOMAINS = (".electricitymaps.com", ".electricitymap.org")  # of the provider's own service, the older name last


class ElectricityMapsSettings(Section):
    """The provider of live carbon intensity. Without any token the ladder starts at rung 2."""

    token: SecretStr | None = Field(default=None, description="API key; a free one reads one zone, latest and 24 h of history")
    tokens: dict[str, SecretStr] = Field(default={}, description='a key of its own for a zone, e.g. { SE = "..." }')
    base_url: str = Field(default="https://api.electricitymaps.com/v4", description="where the API is; a replay service for dry runs")
    requests_per_hour: float = Field(default=30.0, gt=0, description="polite upper limit over all zones and endpoints")

    @field_validator("base_url")
    @classmethod
    def _reachable(cls, value: str) -> str:
        return web_address(value, "https://api.electricitymaps.com/v4")

    @property
    def has_a_key(self) -> bool:
        return self.token is not None or bool(self.tokens)

    @property
    def is_public(self) -> bool:
        """Whether base_url is the provider's own service, under any of its host names."""
        return is_below(self.base_url, PUBLIC_DOMAINS)

    @field_validator("tokens")
    @classmethod
    def _upper_case_zones(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        """Environment variables arrive in lower case; zone keys are upper case."""
        return {zone_key(zone.upper()): token for zone, token in value.items()}


class NationalGBSettings(Section):
    """The national API of Great Britain: no key, the zone GB only, and only where everything is counted in its kind."""

    enabled: bool = Field(default=False, description=f"ask it about zone GB; needs intensity.kind = '{GB_NATIONAL.label}'")
    base_url: str = Field(default="https://api.carbonintensity.org.uk", description="where that API is")

    @field_validator("base_url")
    @classmethod
    def _reachable(cls, value: str) -> str:
        return web_address(value, "https://api.carbonintensity.org.uk")

    @property
    def is_public(self) -> bool:
        """Whether base_url is the national service itself."""
        return is_below(self.base_url, (".carbonintensity.org.uk",))


class IntensitySettings(Section):
    """Which kind of carbon intensity everything is counted in. Kinds are never mixed."""

    kind: str = Field(default=LIFECYCLE_AVERAGE.label, description="factors/signal/tracing: lifecycle or direct, average or marginal")

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        return IntensityKind.from_label(value).label

    @property
    def intensity_kind(self) -> IntensityKind:
        return IntensityKind.from_label(self.kind)
