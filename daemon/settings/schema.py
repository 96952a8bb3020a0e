"""What can be configured, with every default. `loading` says where values come from; README's settings table is checked against this."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from daemon.domain.job import DataTag
from forecast.gb_national.parse import KIND as GB_NATIONAL
from forecast.intensity import LIFECYCLE_AVERAGE, IntensityKind
from forecast.regret import WAIT_CONFIDENCE

WORLD_ZONE = "WORLD"  # no grid of its own: stands on the bundled yearly mean of the whole world

Scope = Literal["read", "submit", "admin"]


def _site_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", value):
        raise ValueError(f"{value!r} must be lower-case letters, digits and inner dashes, at most 63 of them, for example 'heidelberg'")
    return value


def _zone_key(value: str) -> str:
    if not re.fullmatch(r"[A-Z0-9]{2,}(?:-[A-Z0-9]+)*", value):
        raise ValueError(f"{value!r} is not a grid zone: write a zone key such as 'DE' or 'US-CAL-CISO' (see `lowtide zones --all`)")
    return value


def _web_address(value: str, example: str) -> str:
    if urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname:
        raise ValueError(f"{value!r} is not a web address: write for example {example!r}")
    return value.rstrip("/")


def _is_below(address: str, domains: tuple[str, ...]) -> bool:
    """Whether the host of a web address is one of the domains, each written with a leading dot, or lies below one."""
    host = (urlsplit(address).hostname or "").rstrip(".")
    return f".{host}".endswith(domains)


SiteName = Annotated[str, AfterValidator(_site_name)]
ZoneKey = Annotated[str, AfterValidator(_zone_key)]


class Section(BaseModel):
    """Unknown keys, NaN and infinity are errors; values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


class TokenSettings(Section):
    """Who may call the API: a Bearer token, in plain text or as its SHA-256, and what it may do."""

    name: str = Field(min_length=1, max_length=100, description="who holds it, for the log")
    token: SecretStr | None = Field(default=None, description="the token itself, at least 16 characters")
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$", description="instead of the token: its SHA-256 in lower-case hex")
    scopes: frozenset[Scope] = Field(default=frozenset({"read"}), min_length=1, description="read, submit, admin (may do all)")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.token is None) == (self.sha256 is None):
            raise ValueError("needs exactly one of 'token' and 'sha256'")
        if self.token is not None and len(self.token.get_secret_value()) < 16:
            raise ValueError("token must have at least 16 characters: make one with `openssl rand -hex 24`")
        return self


PUBLIC_DOMAINS = (".electricitymaps.com", ".electricitymap.org")  # of the provider's own service, the older name last


class ServerSettings(Section):
    """Where the HTTP API listens and who may use it."""

    host: str = Field(default="127.0.0.1", description="address to listen on; without tokens only a loopback address is allowed")
    port: int = Field(default=8765, ge=0, le=65535, description="TCP port; 0 takes a free one")
    tokens: tuple[TokenSettings, ...] = Field(default=(), description="Bearer tokens; none: anyone on this machine may do anything")


class ElectricityMapsSettings(Section):
    """The provider of live carbon intensity. Without any token the ladder starts at rung 2."""

    token: SecretStr | None = Field(default=None, description="API key; a free one reads one zone, latest and 24 h of history")
    tokens: dict[str, SecretStr] = Field(default={}, description='a key of its own for a zone, e.g. { SE = "..." }')
    base_url: str = Field(default="https://api.electricitymaps.com/v4", description="where the API is; a replay service for dry runs")
    requests_per_hour: float = Field(default=30.0, gt=0, description="polite upper limit over all zones and endpoints")

    @field_validator("base_url")
    @classmethod
    def _reachable(cls, value: str) -> str:
        return _web_address(value, "https://api.electricitymaps.com/v4")

    @property
    def has_a_key(self) -> bool:
        return self.token is not None or bool(self.tokens)

    @property
    def is_public(self) -> bool:
        """Whether base_url is the provider's own service, under any of its host names."""
        return _is_below(self.base_url, PUBLIC_DOMAINS)

    @field_validator("tokens")
    @classmethod
    def _upper_case_zones(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        """Environment variables arrive in lower case; zone keys are upper case."""
        return {_zone_key(zone.upper()): token for zone, token in value.items()}


class NationalGBSettings(Section):
    """The national API of Great Britain: no key, the zone GB only, and only where everything is counted in its kind."""

    enabled: bool = Field(default=False, description=f"ask it about zone GB; needs intensity.kind = '{GB_NATIONAL.label}'")
    base_url: str = Field(default="https://api.carbonintensity.org.uk", description="where that API is")

    @field_validator("base_url")
    @classmethod
    def _reachable(cls, value: str) -> str:
        return _web_address(value, "https://api.carbonintensity.org.uk")

    @property
    def is_public(self) -> bool:
        """Whether base_url is the national service itself."""
        return _is_below(self.base_url, (".carbonintensity.org.uk",))


class IntensitySettings(Section):
    """Which kind of carbon intensity everything is counted in. Kinds are never mixed."""

    kind: str = Field(default=LIFECYCLE_AVERAGE.label, description="factors/signal/tracing: lifecycle or direct, average or marginal")

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        try:
            return IntensityKind.from_label(value).label
        except ValueError as error:
            raise ValueError(f"{value!r} is not a kind of carbon intensity, write for example {LIFECYCLE_AVERAGE.label!r}") from error

    @property
    def intensity_kind(self) -> IntensityKind:
        return IntensityKind.from_label(self.kind)


class DefaultSettings(Section):
    """What a job gets that does not say otherwise."""

    home: SiteName | None = Field(default=None, description="where a job would run if nobody thought about carbon; default: the first site")


class PlannerSettings(Section):
    """How far and how finely plans look ahead. Hours of the grid's clock."""

    step_minutes: Literal[5, 10, 15, 20, 30, 60] = Field(default=30, description="length of a slot")
    horizon_hours: int = Field(default=96, ge=1, le=744, description="how far ahead plans reach")
    maximum_delay_hours: float = Field(default=72.0, gt=0, le=720, description="deadline of a job that names none, after its acceptance")
    search_steps: int = Field(default=400, ge=0, le=1_000_000, description="how long a plan is improved: steps, so that plans repeat")
    wait_confidence: float = Field(
        default=WAIT_CONFIDENCE, ge=0, le=5, description="standard deviations of forecast error that a wait must save"
    )
    stability_threshold: float = Field(default=0.03, ge=0, lt=1, description="a new plan moves a job only for a saving above this share")
    retries: int = Field(default=3, ge=0, le=100, description="failed, pre-empted or lost attempts a job may have beyond the first")

    @model_validator(mode="after")
    def _delay_within_horizon(self) -> Self:
        if self.maximum_delay_hours > self.horizon_hours:
            raise ValueError(
                f"maximum_delay_hours {self.maximum_delay_hours:g} exceeds horizon_hours {self.horizon_hours}: raise the horizon"
            )
        return self


class TickerSettings(Section):
    """How often the tick and the chores run, in real time."""

    tick_seconds: float = Field(default=10.0, gt=0, le=3600, description="observe, plan, act")
    latest_minutes: float = Field(default=15.0, gt=0, le=1440, description="fetch the newest intensity and the last day")
    forecast_minutes: float = Field(default=60.0, gt=0, le=1440, description="fetch the provider's forecast, make our own, score both")
    monthly_hours: float = Field(default=24.0, gt=0, le=744, description="fetch monthly means where the plan has them")
    settle_minutes: float = Field(default=5.0, gt=0, le=1440, description="account for ended jobs")
    retention_hours: float = Field(default=24.0, gt=0, le=744, description="drop what is older than it needs to be")


class LedgerSettings(Section):
    """When an account is closed."""

    final_after_hours: float = Field(default=72.0, ge=0, le=8760, description="an hour is final when no longer estimated and this old")


class ShareSettings(Section):
    """Fair shares of the GPUs between users: the names of tokens, or projects where there are no tokens."""

    weights: dict[str, Annotated[float, Field(gt=0, le=1e6)]] = Field(
        default={}, description="entitlement by user (name of the token, else project), others 1; none: shares are not looked at"
    )
    half_life_days: float = Field(default=7.0, gt=0, le=365, description="GPU-hours this long ago count half")


class ReplaySettings(Section):
    """The grid's clock for dry runs: grid time = grid_start + rate x (real time since the start). Live unless grid_start is set."""

    grid_start: AwareDatetime | None = Field(default=None, description="grid time at the daemon's start; none: live")
    real_start: AwareDatetime | None = Field(
        default=None, description="real time that is grid_start, needed to go on after a restart; default: the daemon's start"
    )
    rate: float = Field(default=1.0, gt=0, le=100_000, description="how many grid seconds pass in a real one")

    @model_validator(mode="after")
    def _needs_a_start(self) -> Self:
        if self.grid_start is None and (self.rate != 1.0 or self.real_start is not None):
            raise ValueError("rate and real_start need grid_start: say when the replayed time begins, for example 2023-05-02T00:00:00Z")
        return self


class LogSettings(Section):
    """What the daemon writes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="least important level that is written")
    format: Literal["text", "json"] = Field(default="text", description="key=value lines for people, JSON lines for machines")


class ProjectSettings(Section):
    """Rules of one project, by its name."""

    weights_may_travel: bool = Field(default=True, description="false: what patient data trained stays on sites that admit patient data")
    budget_kg_per_month: float | None = Field(
        default=None, gt=0, le=1e9, description="kg CO2e its jobs may emit in a calendar month (UTC); none: no limit"
    )
    over_budget: Literal["stop", "ask"] = Field(
        default="stop", description="a job beyond the budget waits for the next month; ask: or until `lowtide approve`"
    )


class SiteSettings(Section):
    """A place where jobs can run."""

    name: SiteName = Field(description="short name, used in jobs, metrics and the ledger")
    zone: ZoneKey = Field(description="grid zone: an Electricity Maps zone key")
    executor: Literal["local", "slurm"] = Field(default="local", description="how attempts are started")
    gpus: int = Field(default=1, ge=1, le=100_000, description="GPUs; on a CPU-only site 1 means one slot")
    hardware: str = Field(
        default="generic-cpu", min_length=1, description="key of a hardware profile, or the JSON file that `lowtide profile` wrote"
    )
    tdp_watts: float | None = Field(default=None, gt=0, description="of all CPUs of a host; default: the hardware profile's")
    idle_watts: float | None = Field(default=None, ge=0, description="of a host that does nothing; default: the hardware profile's")
    meter: Literal["auto", "counters", "cpu-model", "simulated"] = Field(default="auto", description="how energy is metered")
    meter_interval_seconds: float = Field(default=1.0, gt=0, le=600, description="length of a metering interval")
    simulated_watts: float = Field(default=0.0, ge=0, description="power of the simulated meter")
    pue: float = Field(default=1.55, ge=1, le=5, description="facility energy / component energy")
    admits: frozenset[DataTag] = Field(
        default=frozenset(), description="patient-data, derived-from-patient-data; public data is welcome everywhere"
    )
    run_root: str = Field(default="runs", description="where run directories live: a folder or file:// URL")
    data_root: str = Field(default="data", description="data and weights that jobs name must lie in this folder")
    transfer_kwh_per_gb: float = Field(default=0.03, ge=0, le=10, description="energy to move one GB to this site over the network")
    command_prefix: tuple[str, ...] = Field(default=(), description='words before a batch system\'s commands, e.g. ["ssh", "login"]')

    @field_validator("executor")
    @classmethod
    def _only_local_yet(cls, value: str) -> str:
        if value == "slurm":
            raise ValueError("'slurm' is not available in this version: use 'local' for this machine")
        return value

    @field_validator("command_prefix")
    @classmethod
    def _only_for_batch_systems(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value:
            raise ValueError("is only for batch systems, which this version does not have: remove it")
        return value

    @field_validator("run_root", "data_root")
    @classmethod
    def _local_folder(cls, value: str) -> str:
        scheme = urlsplit(value).scheme
        if not value or scheme not in ("", "file"):
            raise ValueError(f"{value!r} must be a folder of this machine, as a path or a file:// URL")
        return value

    @property
    def run_root_path(self) -> Path:
        return _as_path(self.run_root)

    @property
    def data_root_path(self) -> Path:
        return _as_path(self.data_root)


def _as_path(folder: str) -> Path:
    """Absolute path of a folder setting; relative ones count from the working folder."""
    parts = urlsplit(folder)
    return Path(unquote(parts.path) if parts.scheme == "file" else folder).resolve()


DEFAULT_SITE: dict[str, Any] = {"name": "local", "zone": WORLD_ZONE, "admits": frozenset({DataTag.PATIENT_DATA, DataTag.DERIVED})}


class Settings(BaseSettings):
    """Everything that can be configured. Made by `load_settings`; made directly it reads neither file nor environment."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True, env_prefix="LOWTIDE_", env_nested_delimiter="__"
    )

    database: str = Field(default="sqlite:///lowtide.db", description="SQLAlchemy URL of the one database")
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
