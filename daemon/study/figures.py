"""The figures and tables of the paper, each as rows of numbers from one energy model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemon.study import paper
from daemon.study.cases import Case, Emission, emission_of, image_text
from daemon.study.paper import Phase
from forecast.intensity import LIFECYCLE_AVERAGE, PeriodMean
from forecast.yearly import yearly_means
from jobs.energy.model import EnergyModel
from jobs.spec import Size

PHASES: tuple[Phase, ...] = ("training", "synthesis")
SIZES: tuple[Size, ...] = ("small", "medium", "large")
STEPS = (1000, 500, 250, 200, 100, 50)
REGION_SHAPE = (192, 192, 192)  # Figs. 3 and 4 say only "a 3D LDM"; section 3.2 works with this size
_TABLE_YEAR = 2022
_ZONES = {"Sweden": "SE", "Germany": "DE", "Poland": "PL"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Fig. 1: one phase and image size, ours beside what the paper prints (None where it prints no number)."""

    ours: Emission
    kg: float
    sd_kg: float
    g_per_sample: float | None
    paper_kg: float | None
    paper_sd_kg: float | None
    deviation: float | None


@dataclass(frozen=True, slots=True)
class Growth:
    """Fig. 2: emissions in kg by model size, small to large, and their growth beside the range the paper gives."""

    phase: Phase
    image: str
    kg: tuple[float, ...]
    sd_kg: tuple[float, ...]
    growth: float
    paper_growth: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Region:
    """Table 1 and Fig. 3a: a 3D LDM's training and synthesis under the paper's direct factor of a region.

    `lifecycle_g_per_kwh` is the bundled life-cycle mean of the same year, None where there is none: another kind of number.
    """

    name: str
    direct_g_per_kwh: float
    training_kg: float
    synthesis_kg: float
    paper_kg: float | None
    lifecycle_g_per_kwh: float | None


@dataclass(frozen=True, slots=True)
class Month:
    """Fig. 3b: the synthesis of a 3D LDM at a month's mean."""

    month: str
    g_per_kwh: float
    kg: float
    sd_kg: float


@dataclass(frozen=True, slots=True)
class Distribution:
    """Fig. 4a: the same training on one GPU and on four."""

    reading: str
    gpus: int
    batch_per_gpu: int
    iterations: int
    kg: float
    sd_kg: float
    hours: float
    change: float  # of the emissions, against one GPU


@dataclass(frozen=True, slots=True)
class Steps:
    """Fig. 4b: synthesis of the largest volumes with fewer inference steps (DDIM); `saving` against the full schedule."""

    inference_steps: int
    kg: float
    sd_kg: float
    g_per_sample: float
    hours: float
    saving: float


def image_sizes(model: EnergyModel, size: Size) -> tuple[Comparison, ...]:
    """Fig. 1."""
    shapes = (*paper.SHAPES_2D, *paper.SHAPES_3D)
    return tuple(_comparison(Case(phase, shape, size), model) for phase in PHASES for shape in shapes)


def _comparison(case: Case, model: EnergyModel) -> Comparison:
    ours = emission_of(case, model)
    printed = paper.published(case.phase, case.image_shape)
    return Comparison(
        ours=ours,
        kg=ours.kg(),
        sd_kg=ours.sd_kg(),
        g_per_sample=ours.kg() * 1000 / ours.count if case.phase == "synthesis" else None,
        paper_kg=printed.kg if printed else None,
        paper_sd_kg=printed.sd_kg if printed else None,
        deviation=ours.kg() / printed.kg - 1 if printed else None,
    )


def model_sizes(model: EnergyModel) -> tuple[Growth, ...]:
    """Fig. 2."""
    rows = []
    for phase, stated in zip(PHASES, (paper.TRAINING_GROWTH, paper.SYNTHESIS_GROWTH), strict=True):
        for shape in paper.MODEL_SIZE_SHAPES:
            found = [emission_of(Case(phase, shape, size), model) for size in SIZES]
            kg = tuple(each.kg() for each in found)
            rows.append(Growth(phase, image_text(shape), kg, tuple(each.sd_kg() for each in found), kg[-1] / kg[0] - 1, stated))
    return tuple(rows)


def regions(model: EnergyModel, size: Size) -> tuple[Region, ...]:
    """Table 1 and Fig. 3a."""
    training, synthesis = (emission_of(Case(phase, REGION_SHAPE, size), model) for phase in PHASES)
    printed = {"Sweden": paper.SWEDEN_KG, "Poland": paper.POLAND_KG}
    return tuple(
        Region(name, factor, training.kg(factor), synthesis.kg(factor), printed.get(name), _lifecycle(name))
        for name, factor in paper.DIRECT_G_PER_KWH.items()
    )


def _lifecycle(region: str) -> float | None:
    means = yearly_means(_ZONES[region], LIFECYCLE_AVERAGE) if region in _ZONES else ()
    return next((mean.g_per_kwh for mean in means if mean.interval.start.year == _TABLE_YEAR), None)


def months(model: EnergyModel, size: Size, means: Sequence[PeriodMean]) -> tuple[Month, ...]:
    """Fig. 3b, for any zone and year of monthly means."""
    synthesis = emission_of(Case("synthesis", REGION_SHAPE, size), model)
    return tuple(
        Month(f"{mean.interval.start:%Y-%m}", mean.g_per_kwh, synthesis.kg(mean.g_per_kwh), synthesis.sd_kg(mean.g_per_kwh))
        for mean in means
    )


def monthly_variation(rows: Sequence[Month]) -> float:
    """How much dirtier the dirtiest month is than the cleanest."""
    values = [row.g_per_kwh for row in rows]
    return max(values) / min(values) - 1


def distribution(model: EnergyModel, size: Size) -> tuple[Distribution, ...]:
    """Fig. 4a. The paper's "each processing the same batch size" can be read in two ways; both see the same images.

    Communication between the GPUs is not in the model.
    """
    iterations = paper.TRAINING_ITERATIONS
    readings: Mapping[str, tuple[tuple[int, int, int], ...]] = {  # (GPUs, batch per GPU, iterations)
        "same global batch (4)": ((1, 4, iterations // 4), (4, 1, iterations // 4)),
        "same batch per GPU (1)": ((1, 1, iterations), (4, 1, iterations // 4)),
    }
    rows = []
    for reading, setups in readings.items():
        found = [
            emission_of(Case("training", REGION_SHAPE, size, repeats=count, batch_size=batch, gpus=gpus), model)
            for gpus, batch, count in setups
        ]
        for (gpus, batch, count), each in zip(setups, found, strict=True):
            change = each.machine_kwh / found[0].machine_kwh - 1
            rows.append(Distribution(reading, gpus, batch, count, each.kg(), each.sd_kg(), each.hours, change))
    return tuple(rows)


def inference_steps(model: EnergyModel, size: Size) -> tuple[Steps, ...]:
    """Fig. 4b."""
    found = {steps: emission_of(Case("synthesis", paper.LARGEST, size, inference_steps=steps), model) for steps in STEPS}
    full = found[paper.INFERENCE_STEPS].kg()
    return tuple(
        Steps(steps, each.kg(), each.sd_kg(), each.kg() * 1000 / each.count, each.hours, 1 - each.kg() / full)
        for steps, each in found.items()
    )
