"""All settings put together, and what holds between their sections. `loading` says where values come from; README's settings table is
checked against this."""

from __future__ import annotations

import re
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from daemon.settings.grid import ElectricityMapsSettings, IntensitySettings, NationalGBSettings
from daemon.settings.operation import LedgerSettings, LogSettings, ReplaySettings, TickerSettings
from daemon.settings.planner import PlannerSettings
from daemon.settings.projects import ProjectSettings, ShareSettings
from daemon.settings.server import ServerSettings
from daemon.settings.sites import DEFAULT_SITE, DefaultSettings, SiteSettings
from daemon.settings.values import WORLD_ZONE
from forecast.gb_national.parse import KIND as GB_NATIONAL


class Settings(BaseSettings):
    """Everything that can be configured. Made by `load_settings`; made directly it reads neither file nor environment."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True, env_prefix="LOWTIDE_", env_nested_delimiter="__"
    )

    database: str = Field(
        default="sqlite:///lowtide.db",
        description="the one database: a SQLite file, or a server (not its pooler) as postgresql+psycopg://user@host/name",
    )
    server: ServerSettings = ServerSettings()
    electricity_maps: ElectricityMapsSettings = ElectricityMapsSettings()
    gb_national: NationalGBSettings = NationalGBSettings()
    intensity: IntensitySettings = IntensitySettings()
    defaults: DefaultSettings = DefaultSettings()
    planner: PlannerSettings = PlannerSettings()
    ticker: TickerSettings = TickerSettings()
    shares: ShareSettings = ShareSettings()
    ledger: LedgerSettings = LedgerSettings()
    replay: ReplaySettings = ReplaySettings()
    logs: LogSettings = LogSettings()
    projects: dict[str, ProjectSettings] = Field(default={}, description="rules of single projects")
    sites: tuple[SiteSettings, ...] = Field(default=(SiteSettings(**DEFAULT_SITE),), description="where jobs can run")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what it is given: `load_settings` merges file and environment itself, to know where each value came from."""
        return (init_settings,)

    @field_validator("database")
    @classmethod
    def _database_url(cls, value: str) -> str:
        if not re.match(r"sqlite:///|postgresql\+psycopg://", value):
            raise ValueError("must be a URL such as 'sqlite:///lowtide.db' or 'postgresql+psycopg://user@host/name'")
        return value

    @model_validator(mode="after")
    def _kinds_fit(self) -> Self:
        if self.gb_national.enabled and self.intensity.intensity_kind != GB_NATIONAL:
            raise ValueError(
                f"gb_national.enabled: that API tells {GB_NATIONAL.label}, and intensity.kind is {self.intensity.kind}: "
                f"kinds are never mixed; set intensity.kind = '{GB_NATIONAL.label}', or leave gb_national off"
            )
        return self

    @model_validator(mode="after")
    def _sites_fit(self) -> Self:
        names = [site.name for site in self.sites]
        if not names:
            raise ValueError("sites: must name at least one site; leave it out for a single site 'local'")
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"sites: the name {min(twice)!r} is given to more than one site: rename one")
        if self.defaults.home is not None and self.defaults.home not in names:
            raise ValueError(f"defaults.home: there is no site {self.defaults.home!r}; known: {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _replays_do_not_ask_public_services(self) -> Self:
        """They answer with what is known today, not in the replay's time, and a fast clock would ask them far more often than is polite."""
        if self.replay.grid_start is None:
            return self
        if self.electricity_maps.is_public and self.electricity_maps.has_a_key:
            raise ValueError(
                f"replay: a replay cannot ask the public service {self.electricity_maps.base_url}, which only knows real time: point "
                "electricity_maps.base_url to a replay service (`lowtide replay FILES`), or remove the token"
            )
        if self.gb_national.enabled and self.gb_national.is_public:
            raise ValueError(
                f"replay: a replay cannot ask the public service {self.gb_national.base_url}, whose forecasts are those of today: "
                "leave gb_national off and import the record instead (`lowtide import-intensity`)"
            )
        return self

    @property
    def uses_default_site(self) -> bool:
        """No site is configured: the zone, and with it every intensity, is only the world's yearly mean."""
        return self.sites[0].zone == WORLD_ZONE

    @property
    def home(self) -> str:
        """The site where a job would run if nobody thought about carbon."""
        return self.defaults.home or self.sites[0].name
