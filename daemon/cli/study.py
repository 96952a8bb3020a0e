"""`lowtide study`: the Latent Pollution Model paper, rerun from our own pieces. Needs no daemon."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from daemon.cli.output import USAGE, JsonFlag, fail, print_json
from daemon.cli.pictures import must_be_drawable, tell_drawn

if TYPE_CHECKING:
    from daemon.study.short_runs import ShortRun, Skipped
    from daemon.study.study import Study
    from forecast.intensity import PeriodMean
    from jobs.energy.hardware import HardwareProfile
    from jobs.spec import Size


def register(app: typer.Typer) -> None:
    app.command()(study)


def study(
    hardware: Annotated[
        str, typer.Option("--hardware", help="Key of a bundled hardware profile, or a profile file that `lowtide profile` wrote.")
    ] = "a100-sxm4-40gb",
    monthly: Annotated[
        Path | None, typer.Option("--monthly", help="Monthly data-portal CSV of any zone and year; default: Germany 2023.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Run short runs on this machine, too, and extrapolate them; needs torch.")
    ] = False,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="Time for each short run.")] = 10.0,
    size: Annotated[
        str | None, typer.Option("--size", help="Model size: tiny, small, medium, large; default: large, tiny with --measure.")
    ] = None,
    plots: Annotated[Path | None, typer.Option("--plots", metavar="DIR", help="Write the figures as PNG files into this folder.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Rerun the Latent Pollution Model study: every figure and table of it, beside what the paper prints."""
    chosen = None if size is None else _size(size)
    if measure:
        _needs("torch", "--measure trains and samples real models")
    if plots is not None:
        must_be_drawable(plots)
    profile = _profile(hardware)
    made = _made(profile, _months(monthly), chosen or "large")
    runs = _measured(profile, chosen or "tiny", seconds, quiet=as_json) if measure else []
    if as_json:
        from daemon.study.document import document

        print_json(document(made, runs))
    else:
        _show(made, runs)
    if plots is not None:
        from daemon.study.plots import draw_figures

        tell_drawn(plots, partial(draw_figures, made))


def _show(made: Study, runs: list[ShortRun | Skipped]) -> None:
    """For people."""
    from daemon.cli.study_tables import show_short_runs, show_study

    show_study(made)
    show_short_runs(runs)


def _size(word: str) -> Size:
    from jobs.spec import Size

    sizes: tuple[Size, ...] = get_args(Size)
    if word not in sizes:
        fail(f"--size {word}: there is no such size, choose one of {', '.join(sizes)}", USAGE)
    return next(size for size in sizes if size == word)


def _needs(package: str, why: str) -> None:
    if find_spec(package) is None:
        fail(f"{why} and needs {package}: install the extra with `pip install 'lowtide[ldm]'`")


def _made(profile: HardwareProfile, months: list[PeriodMean], size: Size) -> Study:
    from daemon.study.study import make_study
    from jobs.energy.prediction import IncompleteProfile

    try:
        return make_study(profile, months, size)
    except IncompleteProfile as problem:
        fail(str(problem))


def _profile(hardware: str) -> HardwareProfile:
    from jobs.energy.hardware import UnreadableProfile, bundled_profiles, read_profile

    bundled = bundled_profiles()
    if hardware in bundled:
        return bundled[hardware]
    if not Path(hardware).is_file():
        fail(f"--hardware {hardware}: neither a bundled profile ({', '.join(bundled)}) nor a readable file", USAGE)
    try:
        return read_profile(Path(hardware))
    except UnreadableProfile as problem:
        fail(f"--hardware {problem}", USAGE)


def _months(path: Path | None) -> list[PeriodMean]:
    from daemon.study.study import bundled_months, read_months

    if path is None:
        return bundled_months()
    try:
        return read_months(path)
    except OSError as error:
        fail(f"--monthly {path}: cannot be read ({error.strerror}): check the path", USAGE)
    except ValueError as problem:
        fail(f"--monthly {problem}", USAGE)


def _measured(profile: HardwareProfile, size: Size, seconds: float, quiet: bool) -> list[ShortRun | Skipped]:
    """Short runs over the paper's image sizes, with a bar that moves."""
    from rich.console import Console
    from rich.progress import Progress

    from daemon.study.short_runs import metering_of, paper_cases, short_runs
    from jobs.energy.profiling import BusyWatch
    from jobs.energy.sources import open_sources

    cases = paper_cases(size)
    sources = open_sources(metering_of(profile))
    try:
        with Progress(console=Console(stderr=True), disable=quiet) as progress:
            bar = progress.add_task("short runs", total=len(cases))
            others = BusyWatch()
            runs = short_runs(cases, sources, seconds, lambda run: progress.update(bar, advance=1, description=f"{run.phase} {run.image}"))
    finally:
        for source in sources:
            source.close()
    if others.warning():
        typer.echo(f"lowtide: {others.warning()}: the short runs are slower than they would be alone", err=True)
    return runs
