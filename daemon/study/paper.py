"""What the Latent Pollution Model paper prints (arXiv 2407.14892): its protocol, factors and results, and what follows from them.

Only figures of the paper's text stand here. Values of its bars that are not in the text are not known to us.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Phase = Literal["training", "synthesis"]

TRAINING_ITERATIONS = 150_000
SYNTHESIS_SAMPLES = 10_000
INFERENCE_STEPS = 1000
PUE = 1.55  # section 2.4, after Bouza et al. 2023

MEASURED_EPOCHS, ITERATIONS_PER_EPOCH = 50, 120  # 6,000 iterations over 120 scans: batch size 1 (inferred)
MEASURED_SAMPLES = 50

SHAPES_2D: tuple[tuple[int, ...], ...] = ((192, 192), (256, 256), (320, 320), (512, 512))
SHAPES_3D: tuple[tuple[int, ...], ...] = ((64, 64, 64), (128, 128, 128), (192, 192, 192), (256, 256, 192))
MODEL_SIZE_SHAPES: tuple[tuple[int, ...], ...] = ((256, 256), (192, 192, 192))  # section 3.2
LARGEST = (256, 256, 192)

# Table 1, gCO2e/kWh of 2022. *Direct* emissions of generation: they serve this study and are never mixed with the
# life-cycle values that Lowtide plans and settles with.
DIRECT_G_PER_KWH = {"EU27": 251.0, "Sweden": 7.0, "Germany": 366.0, "Poland": 666.0, "China": 582.0, "USA": 390.0}
EU27 = DIRECT_G_PER_KWH["EU27"]

SWEDEN_KG, POLAND_KG, REGION_RATIO = 4.3, 405.0, 94.0  # Fig. 3a and abstract
BUDGET_SHARE = 0.337  # caption of Fig. 1, of the 362.3 kg
KM_TRAINING_3D, KM_TRAINING_3D_ABSTRACT, KM_SYNTHESIS_3D = 92.0, 90.0, 3345.0
KM_TRAINING_2D, KM_SYNTHESIS_2D = 10.0, 160.0
GRAMS_PER_KM = 108.2
STEP_SAVING = 0.80  # 200 instead of 1,000 inference steps
TRAINING_GROWTH, SYNTHESIS_GROWTH = (0.30, 0.40), (0.60, 0.80)  # small to large, section 3.2
MONTHLY_VARIATION = 0.50


@dataclass(frozen=True, slots=True)
class PublishedRun:
    """One emission the paper prints, mean and standard deviation in kg CO2e, at the EU27 factor and with PUE.

    The paper gives ranges over the image sizes; their ends are read as the smallest and the largest size.
    """

    phase: Phase
    image_shape: tuple[int, ...]
    kg: float
    sd_kg: float

    @property
    def machine_kwh(self) -> float:
        """Component energy, without PUE: equation 1 solved for P x t x N."""
        return self.kg * 1000 / EU27 / PUE

    @property
    def joules(self) -> float:
        """Per iteration of training, per sample of synthesis, at the machine."""
        return self.machine_kwh * 3.6e6 / repeats(self.phase)

    @property
    def step_joules(self) -> float:
        """Per pass of the UNet: an iteration of training, a denoise step of synthesis (the decoder is 0.03 % of a sample)."""
        return self.joules / (INFERENCE_STEPS if self.phase == "synthesis" else 1)


RUNS = (
    PublishedRun("training", (192, 192), 0.40, 0.16),
    PublishedRun("training", (512, 512), 0.79, 0.20),
    PublishedRun("training", (64, 64, 64), 0.74, 0.22),
    PublishedRun("training", LARGEST, 9.0, 0.9),
    PublishedRun("synthesis", (192, 192), 3.83, 0.07),
    PublishedRun("synthesis", (512, 512), 18.2, 0.3),
    PublishedRun("synthesis", (64, 64, 64), 5.95, 0.17),
    PublishedRun("synthesis", LARGEST, 362.3, 1.0),
)


def published(phase: Phase, image_shape: tuple[int, ...]) -> PublishedRun | None:
    """The printed emission of that phase and image size, None where the paper prints none."""
    return next((run for run in RUNS if (run.phase, run.image_shape) == (phase, image_shape)), None)


def printed_run(phase: Phase, image_shape: tuple[int, ...]) -> PublishedRun:
    """The same where the paper is known to print it."""
    run = published(phase, image_shape)
    assert run is not None, f"the paper prints no {phase} of {image_shape}"
    return run


def repeats(phase: Phase) -> int:
    """Iterations or samples of a whole run."""
    return TRAINING_ITERATIONS if phase == "training" else SYNTHESIS_SAMPLES


def kilometres(kg: float) -> float:
    """Driven in the paper's car."""
    return kg * 1000 / GRAMS_PER_KM


def driven(kg: float) -> str:
    """The same in words."""
    return f"{kilometres(kg):,.{0 if kg > 100 else 1}f} km"


def budget_kg() -> float:
    """A personal year's share of the 1.5 degree budget, kg CO2e; the paper prints only what share of it 362.3 kg are."""
    return printed_run("synthesis", LARGEST).kg / BUDGET_SHARE


def implied_facility_kwh(kg: float, g_per_kwh: float) -> float:
    """The energy, PUE included, behind an emission."""
    return kg * 1000 / g_per_kwh


def great_circle_km(start: tuple[float, float], end: tuple[float, float]) -> float:
    """Between two places given as (latitude, longitude) in degrees, on a sphere of 6,371 km (haversine formula)."""
    (lat1, lon1), (lat2, lon2) = (tuple(map(math.radians, place)) for place in (start, end))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371.0 * math.asin(math.sqrt(half))
