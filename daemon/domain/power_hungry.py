"""Energy and emissions of generative tasks elsewhere, to see ours in proportion.

Source: Luccioni, Jernite, Strubell, "Power Hungry Processing" (ACM FAccT 2024), Table 2 and text: means per 1,000 inferences.
Only figures that several independent quotations confirm stand here. The first preprint had other values.
"""

from __future__ import annotations

from typing import NamedTuple


class Task(NamedTuple):
    """A task of the paper and the mean energy of 1,000 inferences, at the machine."""

    name: str
    kwh_per_1000: float


TEXT_GENERATION = Task("text generation", 0.047)
IMAGE_GENERATION = Task("image generation", 2.907)
IMAGE_GENERATION_SD_KWH = 3.31
SDXL_G_PER_1000 = 1594.0  # Stable Diffusion XL, on the paper's grid


def comparison_line(kwh_per_1000: float, g_per_1000: float | None) -> str:
    """One sentence. `kwh_per_1000` is component energy, as the paper's; grams depend on the grid, so they come with a warning."""
    image = kwh_per_1000 / IMAGE_GENERATION.kwh_per_1000
    text = kwh_per_1000 / TEXT_GENERATION.kwh_per_1000
    line = (
        f"1,000 samples take {_short(kwh_per_1000)} kWh: {_short(image)} times the mean of {IMAGE_GENERATION.name} "
        f"({IMAGE_GENERATION.kwh_per_1000:g} kWh, sd {IMAGE_GENERATION_SD_KWH:g}) and {_short(text)} times that of {TEXT_GENERATION.name} "
        f"({TEXT_GENERATION.kwh_per_1000:g} kWh) in Power Hungry Processing (FAccT 2024)"
    )
    if g_per_1000 is None:
        return line + "."
    return f"{line}; {_short(g_per_1000)} g CO2e beside {SDXL_G_PER_1000:,.0f} g for Stable Diffusion XL, on another grid."


def _short(value: float) -> str:
    """Two significant digits or whole numbers."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
