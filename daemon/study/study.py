"""The whole study for one hardware profile and one year of monthly means, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from daemon.domain.equivalents import EQUIVALENTS
from daemon.domain.power_hungry import comparison_line
from daemon.study import figures
from daemon.study.calibration import Calibration, calibrate
from daemon.study.claims import Claim, Findings, claims
from daemon.study.figures import Comparison, Distribution, Growth, Month, Region, Steps
from daemon.study.inconsistencies import Inconsistency, inconsistencies
from forecast.intensity import PeriodMean
from forecast.portal_csv import read_intensity_file
from jobs.energy.hardware import HardwareProfile
from jobs.energy.model import EnergyModel
from jobs.spec import Size


@dataclass(frozen=True, slots=True)
class Equal:
    """Familiar quantities that emit as much as the run with the largest images: ours, and the paper's own kilograms."""

    run: str
    name: str
    unit: str
    ours: float
    paper: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Study:
    hardware: str
    devices: tuple[str, ...]
    provenance: dict[str, str]
    size: Size
    zone: str
    monthly_source: str
    image_sizes: tuple[Comparison, ...]
    model_sizes: tuple[Growth, ...]
    regions: tuple[Region, ...]
    months: tuple[Month, ...]
    distribution: tuple[Distribution, ...]
    steps: tuple[Steps, ...]
    equivalents: tuple[Equal, ...]
    power_hungry: str
    calibration: Calibration
    claims: tuple[Claim, ...]
    inconsistencies: tuple[Inconsistency, ...]


def make_study(profile: HardwareProfile, means: Sequence[PeriodMean], size: Size) -> Study:
    """Every figure and table of the paper on that hardware. Raises IncompleteProfile where the profile lacks a kind of work."""
    model = EnergyModel(profile)
    found = Findings(
        image_sizes=figures.image_sizes(model, size),
        model_sizes=figures.model_sizes(model),
        regions=figures.regions(model, size),
        months=figures.months(model, size, means),
        distribution=figures.distribution(model, size),
        steps=figures.inference_steps(model, size),
    )
    largest = found.image_sizes[-1]
    return Study(
        hardware=profile.key,
        devices=profile.devices,
        provenance=profile.provenance,
        size=size,
        zone=means[0].zone,
        monthly_source=means[0].source,
        image_sizes=tuple(found.image_sizes),
        model_sizes=tuple(found.model_sizes),
        regions=tuple(found.regions),
        months=tuple(found.months),
        distribution=tuple(found.distribution),
        steps=tuple(found.steps),
        equivalents=_equivalents(found.image_sizes),
        power_hungry=comparison_line(largest.ours.machine_kwh / largest.ours.count * 1000, largest.kg / largest.ours.count * 1e6),
        calibration=calibrate(model),
        claims=claims(found),
        inconsistencies=inconsistencies(found.regions, found.months),
    )


def _equivalents(rows: Sequence[Comparison]) -> tuple[Equal, ...]:
    """Of the largest images in each phase and dimensionality."""
    largest = [row for row in rows if row.ours.image in ("512 x 512", "256 x 256 x 192")]
    return tuple(
        Equal(
            run=f"{row.ours.phase}, {row.ours.image}",
            name=item.name,
            unit=item.unit,
            ours=item.amount(row.kg * 1000),
            paper=None if row.paper_kg is None else item.amount(row.paper_kg * 1000),
            source=item.source,
        )
        for row in largest
        for item in EQUIVALENTS
    )


def bundled_months() -> list[PeriodMean]:
    """Germany 2023, the year that the paper's method section names."""
    with as_file(files("forecast").joinpath("data/demo/DE_2023_monthly.csv")) as path:
        return read_months(path)


def read_months(path: Path) -> list[PeriodMean]:
    """The monthly means of a data-portal CSV, in order. Raises CsvProblem or ValueError with a sentence, OSError if unreadable."""
    recorded = read_intensity_file(path)
    if recorded.granularity != "monthly":
        raise ValueError(f"{path.name} holds {recorded.granularity} values: give a file of monthly means, such as DE_2023_monthly.csv")
    means = recorded.period_means()
    if not means:
        raise ValueError(f"{path.name} holds no monthly value: every field is empty")
    return means
