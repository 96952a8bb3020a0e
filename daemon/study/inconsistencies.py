"""Where the paper's text disagrees with itself or with its sources, each with the numbers that show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.study import paper
from daemon.study.figures import Month, Region
from daemon.study.paper import DIRECT_G_PER_KWH, EU27, driven, implied_facility_kwh, printed_run

CARBONTRACKER_G_PER_KWH = {"Sweden": 35.8, "Poland": 615.0}  # yearly means that carbontracker 2.4.7 comes with
TOKYO, SEOUL = (35.68, 139.69), (37.57, 126.98)
HANEDA, INCHEON = (35.55, 139.78), (37.46, 126.44)


@dataclass(frozen=True, slots=True)
class Inconsistency:
    subject: str
    finding: str


def inconsistencies(regions: Sequence[Region], months: Sequence[Month]) -> tuple[Inconsistency, ...]:
    """All we know of. `regions` and `months` are the study's own, for the life-cycle values beside the paper's."""
    by_name = {region.name: region for region in regions}
    found = (*_distances(), _budget(), _another_experiment(), _ratio(), _kinds(by_name), *_formula(), *_wording(months))
    return tuple(Inconsistency(subject, finding) for subject, finding in found)


def _distances() -> list[tuple[str, str]]:
    train_3d, train_2d = printed_run("training", paper.LARGEST), printed_run("training", (512, 512))
    synthesis_2d = printed_run("synthesis", (512, 512))
    return [
        (
            "driving, 3D training",
            f"{train_3d.kg:g} kg are {driven(train_3d.kg)}; the text says {paper.KM_TRAINING_3D:g} km and the abstract "
            f"{paper.KM_TRAINING_3D_ABSTRACT:g} km: nearer to mean plus one standard deviation ({driven(train_3d.kg + train_3d.sd_kg)}).",
        ),
        (
            "driving, 2D",
            f"training: {train_2d.kg:g} kg are {driven(train_2d.kg)} ({driven(train_2d.kg + train_2d.sd_kg)} with one standard deviation), "
            f"printed {paper.KM_TRAINING_2D:g} km; synthesis: {synthesis_2d.kg:g} kg are {driven(synthesis_2d.kg)}, printed "
            f"{paper.KM_SYNTHESIS_2D:g} km. So upper bounds stand for training, and means or less for synthesis.",
        ),
        (
            "a 1,500 km flight such as Tokyo to Seoul",
            f"the great circle is {paper.great_circle_km(TOKYO, SEOUL):,.0f} km between the cities and "
            f"{paper.great_circle_km(HANEDA, INCHEON):,.0f} km between the airports Haneda and Incheon.",
        ),
        (
            "average car in Europe",
            f"{paper.GRAMS_PER_KM:g} g/km is the EU average of *newly registered* cars, called that of cars on the road.",
        ),
    ]


def _budget() -> tuple[str, str]:
    synthesis, budget = printed_run("synthesis", paper.LARGEST).kg, paper.budget_kg()
    both = printed_run("training", paper.LARGEST).kg + synthesis
    return (
        "share of the 1.5 degree budget",
        f"the caption says {paper.BUDGET_SHARE:.1%}, the discussion over 34 %; the budget is not printed. {synthesis:g} kg at "
        f"{paper.BUDGET_SHARE:.1%} imply {budget:,.0f} kg, of which training and synthesis together are {both / budget:.1%} and the "
        f"{paper.POLAND_KG:g} kg of Poland {paper.POLAND_KG / budget:.1%} (printed: exceeds 35 %).",
    )


def _another_experiment() -> tuple[str, str]:
    sweden = implied_facility_kwh(paper.SWEDEN_KG, DIRECT_G_PER_KWH["Sweden"])
    poland = implied_facility_kwh(paper.POLAND_KG, DIRECT_G_PER_KWH["Poland"])
    kg = printed_run("synthesis", paper.LARGEST).kg
    kwh = implied_facility_kwh(kg, EU27)
    return (
        f"Fig. 3a belongs to another experiment than the {kg:g} kg",
        f"{paper.SWEDEN_KG:g} kg in Sweden and {paper.POLAND_KG:g} kg in Poland imply {sweden:,.0f} and {poland:,.0f} kWh; the {kg:g} kg "
        f"at EU27 are {kwh:,.0f} kWh, which would be {kwh * DIRECT_G_PER_KWH['Sweden'] / 1000:.1f} kg in Sweden and "
        f"{kwh * DIRECT_G_PER_KWH['Poland'] / 1000:,.0f} kg in Poland. Probably it is the 192 x 192 x 192 model; "
        'the text says "the same experiments".',
    )


def _ratio() -> tuple[str, str]:
    factors = DIRECT_G_PER_KWH["Poland"] / DIRECT_G_PER_KWH["Sweden"]
    return (
        f"{paper.REGION_RATIO:g} times",
        f"the rounded factors of Table 1 give {factors:.1f}, the rounded results of Fig. 3a {paper.POLAND_KG / paper.SWEDEN_KG:.1f}.",
    )


def _kinds(regions: dict[str, Region]) -> tuple[str, str]:
    sweden, poland = regions["Sweden"].lifecycle_g_per_kwh, regions["Poland"].lifecycle_g_per_kwh
    beside = f"{sweden:.0f} g/kWh for Sweden and {poland:.0f} for Poland" if sweden and poland else "not at hand"
    printed, theirs = (table["Poland"] / table["Sweden"] for table in (DIRECT_G_PER_KWH, CARBONTRACKER_G_PER_KWH))
    return (
        "kinds of carbon intensity",
        f"Table 1 mixes sources; its European values count direct emissions of generation (Sweden {DIRECT_G_PER_KWH['Sweden']:g}), while "
        f"life-cycle means of 2022 are {beside}. Poland is {printed:.0f} times Sweden in Table 1 and {theirs:.0f} times in CarbonTracker's "
        "own table (life-cycle, 2024). Germany's months are life-cycle values of Electricity Maps and cannot be compared with Table 1.",
    )


def _formula() -> list[tuple[str, str]]:
    return [
        (
            "energy and PUE",
            "E is described as the energy of the machine's components, but equation 1 has the PUE inside E; and watts times hours must be "
            "divided by 1,000 to be kWh.",
        ),
        (
            "PUE once or twice",
            "CarbonTracker's own totals contain its PUE (1.55 in its constant of 2022, 1.58 today); multiplied by 1.55 again they would "
            "count it twice. The paper must have used component powers; so do we.",
        ),
    ]


def _wording(months: Sequence[Month]) -> list[tuple[str, str]]:
    return [
        ("year of the German months", "2023 in section 2.4 and in the reference, 2022 in section 3.3 and Fig. 3b."),
        ("December and February", f'the "up to 50 %" cannot be checked: the monthly values are not printed. {_february(months)}'),
        ("number of GPUs", "section 2.2 lists one A100 as the machine, section 3.4 trains on four."),
    ]


def _february(months: Sequence[Month]) -> str:
    """What the study's own months say."""
    by_month = {month.month[5:]: month.g_per_kwh for month in months}
    if not {"02", "12"} <= by_month.keys() or not by_month["12"]:
        return "The months at hand do not hold both."
    return f"In the months at hand February is {by_month['02'] / by_month['12'] - 1:+.0%} against December."
