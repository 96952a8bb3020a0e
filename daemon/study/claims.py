"""What the paper claims, what its own numbers give, and what this hardware gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.study import paper
from daemon.study.figures import Comparison, Distribution, Growth, Month, Region, Steps, monthly_variation
from daemon.study.paper import Phase, PublishedRun, driven


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement, as printed, as it follows from the paper's own numbers, and as this study finds it."""

    statement: str
    printed: str
    recomputed: str
    ours: str


@dataclass(frozen=True, slots=True)
class Findings:
    """The rows that the claims are checked against."""

    image_sizes: Sequence[Comparison]
    model_sizes: Sequence[Growth]
    regions: Sequence[Region]
    months: Sequence[Month]
    distribution: Sequence[Distribution]
    steps: Sequence[Steps]


def claims(found: Findings) -> tuple[Claim, ...]:
    """The paper's statements that can be checked with numbers."""
    return (*_driving(found), _budget(found), *_growth(found), *_where_and_when(found), *_saving(found))


def _driving(found: Findings) -> list[Claim]:
    printed: tuple[tuple[Phase, tuple[int, ...], str], ...] = (
        ("training", (512, 512), f"{paper.KM_TRAINING_2D:g} km"),
        ("training", paper.LARGEST, f"{paper.KM_TRAINING_3D:g} km ({paper.KM_TRAINING_3D_ABSTRACT:g} in the abstract)"),
        ("synthesis", (512, 512), f"{paper.KM_SYNTHESIS_2D:g} km"),
        ("synthesis", paper.LARGEST, f"{paper.KM_SYNTHESIS_3D:,.0f} km"),
    )
    rows = []
    for phase, shape, words in printed:
        run = paper.printed_run(phase, shape)
        ours = _ours(found, run)
        rows.append(Claim(f"{phase}, {ours.ours.image}, as driving a car", words, driven(run.kg), driven(ours.kg)))
    return rows


def _budget(found: Findings) -> Claim:
    run = paper.printed_run("synthesis", paper.LARGEST)
    share = _ours(found, run).kg / paper.budget_kg()
    return Claim(
        "synthesis of 10,000 of the largest volumes, of a personal year within 1.5 degrees",
        f"{paper.BUDGET_SHARE:.1%} (caption), over 34 % (discussion)",
        f"a budget of {paper.budget_kg():,.0f} kg",
        f"{share:.1%} of that budget",
    )


def _growth(found: Findings) -> list[Claim]:
    return [
        Claim(
            f"{row.phase}, {row.image}: large over small",
            "+{:.0%} to +{:.0%}".format(*row.paper_growth),
            "unknown, as no values are printed",
            f"{row.growth:+.0%}",
        )
        for row in found.model_sizes
    ]


def _where_and_when(found: Findings) -> list[Claim]:
    by_name = {region.name: region for region in found.regions}
    dirty, clean = by_name["Poland"], by_name["Sweden"]
    assert dirty.lifecycle_g_per_kwh is not None
    assert clean.lifecycle_g_per_kwh is not None
    lifecycle = dirty.lifecycle_g_per_kwh / clean.lifecycle_g_per_kwh
    total = [region.training_kg + region.synthesis_kg for region in (dirty, clean)]
    return [
        Claim(
            "Poland over Sweden",
            f"{paper.REGION_RATIO:g} times",
            f"{dirty.direct_g_per_kwh / clean.direct_g_per_kwh:.1f} by its factors, {paper.POLAND_KG / paper.SWEDEN_KG:.1f} by its results",
            f"{total[0] / total[1]:.1f} by its direct factors; {lifecycle:.1f} by life-cycle means of the same year",
        ),
        Claim(
            "dirtiest over cleanest month",
            f"up to {paper.MONTHLY_VARIATION:.0%} (e.g. December and February)",
            "unknown, as no values are printed",
            f"{monthly_variation(found.months):+.0%} ({_extremes(found.months)})",
        ),
    ]


def _saving(found: Findings) -> list[Claim]:
    fewer = next(row for row in found.steps if row.inference_steps == 200)
    four = [row for row in found.distribution if row.gpus > 1]
    return [
        Claim(
            "200 instead of 1,000 inference steps",
            f"-{paper.STEP_SAVING:.0%}",
            f"{200 / paper.INFERENCE_STEPS - 1:.0%}, as cost is linear in steps",
            f"{-fewer.saving:.1%}",
        ),
        Claim(
            "training on four GPUs instead of one",
            "no significant reduction",
            "unknown, as no values are printed",
            "; ".join(f"{row.change:+.0%} with the {row.reading}" for row in four),
        ),
    ]


def _extremes(rows: Sequence[Month]) -> str:
    ordered = sorted(rows, key=lambda row: row.g_per_kwh)
    return f"{ordered[-1].month} {ordered[-1].g_per_kwh:.0f} over {ordered[0].month} {ordered[0].g_per_kwh:.0f} g/kWh"


def _ours(found: Findings, run: PublishedRun) -> Comparison:
    return next(row for row in found.image_sizes if (row.ours.phase, row.paper_kg) == (run.phase, run.kg))
