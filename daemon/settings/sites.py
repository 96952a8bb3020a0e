"""Where jobs can run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator

from daemon.domain.job import DataTag
from daemon.settings.values import WORLD_ZONE, Section, SiteName, ZoneKey


class DefaultSettings(Section):
    """What a job gets that does not say otherwise."""

    home: SiteName | None = Field(default=None, description="where a job would run if nobody thought about carbon; default: the first site")


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
