"""The study as tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.cli.output import number, say, table
from daemon.study import paper
from daemon.study.cases import image_text
from daemon.study.short_runs import ShortRun, Skipped
from daemon.study.study import Study


def show_study(study: Study) -> None:
    """Every section, in the paper's order."""
    say(
        f"Latent Pollution Model (arXiv 2407.14892), rerun on hardware profile {study.hardware} ({', '.join(study.devices)}), "
        f"model size {study.size}.",
        f"{paper.TRAINING_ITERATIONS:,} training iterations, {paper.SYNTHESIS_SAMPLES:,} samples of {paper.INFERENCE_STEPS:,} steps, "
        f"PUE {paper.PUE}, EU27 {paper.EU27:g} gCO2e/kWh (direct) unless said otherwise.",
        "+- is the standard deviation of one step times their number, as in the paper; where the profile has no measured step, it is the "
        "energy model's own uncertainty.",
        "",
    )
    _show_sizes(study)
    _show_places_and_times(study)
    _show_savings(study)
    _show_proportions(study)
    _show_calibration(study)
    say("What the paper claims:")
    for claim in study.claims:
        say(f"  {claim.statement}: printed {claim.printed}; from its own numbers {claim.recomputed}; here {claim.ours}.")
    say("", "Where the paper disagrees with itself or its sources:")
    for each in study.inconsistencies:
        say(f"  {each.subject}: {each.finding}")
    say("")
    say("Where the numbers of this profile come from:", *(f"  {what}: {how}" for what, how in study.provenance.items()))


def _show_sizes(study: Study) -> None:
    rows = [
        (
            row.ours.phase,
            row.ours.image,
            number(row.ours.machine_kwh),
            _plus_minus(row.kg, row.sd_kg),
            _plus_minus(row.paper_kg, row.paper_sd_kg),
            _percent(row.deviation),
            number(row.g_per_sample),
            number(row.ours.hours),
        )
        for row in study.image_sizes
    ]
    columns = ("phase", "image", "kWh", "kg CO2e", "paper, kg", "off by", "g/sample", "hours")
    title = "Fig. 1: image sizes (kWh at the machine; g per sample = kg per 1,000; - : not printed by the paper, ours is model output)"
    say(table(title, columns, rows, right=columns[2:]))
    growth = [
        (
            row.phase,
            row.image,
            *map(_plus_minus, row.kg, row.sd_kg),
            f"{row.growth:+.0%}",
            "{:.0f} to {:.0f}%".format(*(100 * each for each in row.paper_growth)),
        )
        for row in study.model_sizes
    ]
    by_size = ("phase", "image", "small, kg", "medium, kg", "large, kg", "growth", "paper")
    say(table("Fig. 2: model sizes", by_size, growth, right=by_size[2:]))


def _show_places_and_times(study: Study) -> None:
    rows = [
        (
            row.name,
            number(row.direct_g_per_kwh),
            number(row.training_kg),
            number(row.synthesis_kg),
            number(row.paper_kg),
            number(row.lifecycle_g_per_kwh),
        )
        for row in study.regions
    ]
    columns = ("region", "direct g/kWh", "training, kg", "synthesis, kg", "paper, kg", "life-cycle g/kWh 2022")
    say(table("Table 1 and Fig. 3a: regions, 192 x 192 x 192 (the paper's direct factors)", columns, rows, right=columns[1:]))
    months = [(row.month, number(row.g_per_kwh), _plus_minus(row.kg, row.sd_kg)) for row in study.months]
    title = f"Fig. 3b: synthesis of 192 x 192 x 192 by month, {study.zone} (life-cycle means; {study.monthly_source})"
    say(table(title, ("month", "g/kWh", "kg CO2e"), months, right=("g/kWh", "kg CO2e")))


def _show_savings(study: Study) -> None:
    rows = [
        (
            row.reading,
            row.gpus,
            row.batch_per_gpu,
            f"{row.iterations:,}",
            _plus_minus(row.kg, row.sd_kg),
            number(row.hours),
            f"{row.change:+.0%}",
        )
        for row in study.distribution
    ]
    columns = ("reading", "GPUs", "batch per GPU", "iterations", "kg CO2e", "hours", "change")
    title = "Fig. 4a: training 192 x 192 x 192 on one and four GPUs, same images seen, communication not counted"
    say(table(title, columns, rows, right=columns[1:]))
    steps = [
        (row.inference_steps, _plus_minus(row.kg, row.sd_kg), number(row.g_per_sample), number(row.hours), f"{0 - row.saving:+.1%}")
        for row in study.steps
    ]
    by_steps = ("steps", "kg CO2e", "g per sample = kg per 1,000", "hours", "change")
    say(table("Fig. 4b: inference steps, synthesis of 256 x 256 x 192", by_steps, steps, right=by_steps))


def _show_proportions(study: Study) -> None:
    rows = [(each.run, each.name, number(each.ours), number(each.paper), each.unit) for each in study.equivalents]
    columns = ("run", "as much as", "ours", "paper", "unit")
    say(table("Equivalents (of ours, and of the kg the paper prints)", columns, rows, right=("ours", "paper")))
    factors = {each.name: each.source for each in study.equivalents}
    say(*(f"  {name}: {source}" for name, source in factors.items()), f"Largest volumes: {study.power_hungry}", "")


def _show_calibration(study: Study) -> None:
    made = study.calibration
    rows = [
        (each.phase, each.image, number(each.published_joules), _percent(each.in_sample), _percent(each.left_out), _percent(each.profile))
        for each in made.residuals
    ]
    columns = ("phase", "image", "J per UNet pass, printed", "in sample", "left out", "this profile")
    say(table("Calibration (not validation): a line through the paper's eight energies, network 'large'", columns, rows, right=columns[2:]))
    for phase, line in (("training", made.training), ("synthesis", made.synthesis)):
        say(f"  {phase}: {line.overhead_joules:.2f} J + FLOPs / {line.gflop_per_joule:.0f} GFLOP per J")
    say("")


def show_short_runs(runs: Sequence[ShortRun | Skipped]) -> None:
    """Nothing if none was asked for."""
    measured = [run for run in runs if isinstance(run, ShortRun)]
    rows = [
        (
            f"{run.phase}, {run.image}, {run.size}\n{run.blocks} x {run.steps_per_block} steps",
            _plus_minus(run.watts, run.watts_sd),
            number(run.seconds_per_step * 1000),
            f"{_plus_minus(run.kg, run.sd_kg)}\n{_printed_kg(run) or '-'}",
            number(run.hours),
        )
        for run in measured
    ]
    columns = ("run\nblocks x steps", "W", "ms", "kg at EU27\npaper", "hours")
    if runs:
        say(table("Short runs on this machine, extrapolated to the paper's runs, kg CO2e", columns, rows, right=columns[1:]))
        say("The paper's kg are of size large; Figs. 2 to 4 above come from the hardware profile, not from these runs.")
    for provenance in sorted({run.provenance for run in measured}):
        say(f"joules: {provenance}")
    for run in runs:
        if isinstance(run, Skipped):
            say(f"skipped: {run.phase}, {run.image}: {run.reason}")


def _printed_kg(run: ShortRun) -> str | None:
    """The paper's emission of the same run; None for another model size than its own, or where it prints none."""
    printed = next(
        (each for each in paper.RUNS if (each.phase, image_text(each.image_shape), "large") == (run.phase, run.image, run.size)), None
    )
    return None if printed is None else _plus_minus(printed.kg, printed.sd_kg)


def _plus_minus(mean: float | None, deviation: float | None) -> str | None:
    if mean is None:
        return None
    return f"{_figure(mean)} +- {_figure(deviation)}"


def _figure(value: float | None) -> str | None:
    """Three significant digits, so that the tables fit a terminal."""
    return number(value) if value is None or value == 0 or abs(value) >= 1 else f"{value:#.3g}"


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:+.0%}"
