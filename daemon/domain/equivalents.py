"""Familiar quantities that emit as much: each with its factor and where it comes from.

The set is that of the Latent Pollution Model paper (Seyfarth, Dar, Engelhardt 2024), Fig. 1.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Equivalent:
    """`grams_per_unit` gCO2e for one `unit` of the thing."""

    name: str
    unit: str
    grams_per_unit: float
    source: str

    def amount(self, grams: float) -> float:
        return grams / self.grams_per_unit


_EPA = "US EPA greenhouse gas equivalencies, the source the paper names"
EQUIVALENTS = (
    Equivalent("driving a newly registered car in the EU", "km", 108.2, "Latent Pollution Model, section 3.1 (EU average of new cars)"),
    Equivalent("charging a phone", "charges", 12.4, _EPA),
    Equivalent("flying", "km", 362_300 / 1500, "implied by the paper's Fig. 1: 362.3 kg equal a 1,500 km flight"),
    Equivalent("a tree growing for ten years", "trees", 60_000.0, _EPA),
    Equivalent("a personal year within 1.5 degrees", "%", 10_750.0, "1,075 kg a year, implied by the paper's Fig. 1 (362.3 kg are 33.7 %)"),
)
