"""`lowtide profile`: measure this machine, so that its jobs are estimated from what they really cost. Needs no daemon."""

from __future__ import annotations

import math
import re
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from daemon.cli.output import USAGE, JsonFlag, fail, number, print_json, say, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from jobs.energy.configuration import Configuration
    from jobs.energy.hardware import HardwareProfile
    from jobs.energy.profiling import Progress
    from jobs.spec import MeteringSpec


INTERRUPTED = 130  # what shells give a command that Ctrl-C ended
_GOING_ON = {"measured before": "going on where an interrupted profiling with this output stopped"}


def register(app: typer.Typer) -> None:
    app.command()(profile)


def profile(
    output: Annotated[Path, typer.Option("--output", "-o", help="The profile to write; a site then says hardware = this file.")] = Path(
        "hardware.json"
    ),
    key: Annotated[str | None, typer.Option("--key", help="What to call this hardware; default: after its first device.")] = None,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="Begin no further configuration after this time.")] = 15.0,
    tdp_watts: Annotated[float, typer.Option("--tdp-watts", min=1, help="Of all CPUs of this host, where no counter tells.")] = 65.0,
    idle_watts: Annotated[float, typer.Option("--idle-watts", min=0, help="Of a host that does nothing, where no counter tells.")] = 10.0,
    bfloat16: Annotated[bool, typer.Option("--bfloat16", help="Measure all in bfloat16 instead of float32.")] = False,
    compiled: Annotated[bool, typer.Option("--compile", help="Measure compiled networks, too; takes minutes more.")] = False,
    threads: Annotated[int, typer.Option("--threads", min=1, max=256, help="CPU threads of each step.")] = 1,
    as_json: JsonFlag = False,
) -> None:
    """Measure seconds and joules of training and synthesis steps on this machine and write them as a hardware profile.

    Interrupted, it goes on where it stopped when it is called again with the same output.
    """
    if output.suffix != ".json":
        fail(f"--output {output}: a profile is a JSON file, call it {output.with_suffix('.json').name}", USAGE)
    if find_spec("torch") is None:
        fail("profile runs real training and sampling steps and needs torch: install the extra with `pip install 'lowtide[ldm]'`")
    from jobs.energy.carbontracker_bridge import device_names
    from jobs.spec import MeteringSpec

    grid = _grid(bfloat16, compiled, threads)
    metering = MeteringSpec(cpu_tdp_watts=tdp_watts, cpu_idle_watts=idle_watts)
    started = time.monotonic()
    made = _measure(key or _slug(device_names()[0]), grid, output, metering, minutes, quiet=as_json)
    if as_json:
        print_json(made.model_dump(mode="json"))
        return
    _show(made, output)
    say(_in_sum(made, len(grid), (time.monotonic() - started) / 60))


def _grid(bfloat16: bool, compiled: bool, threads: int) -> list[Configuration]:
    """The standard grid, and in float32 what other ways to compute cost or save beside it, where they pay."""
    from jobs.energy.grids import comparison_grid, standard_grid
    from jobs.energy.profiling import has_bfloat16, has_tf32, on_gpu

    kind: Literal["cpu", "gpu"] = "gpu" if on_gpu() else "cpu"
    if bfloat16:
        return standard_grid(kind, "bfloat16", threads)
    return standard_grid(kind, "float32", threads) + comparison_grid(kind, threads, has_bfloat16(), compiled, has_tf32())


def _measure(key: str, grid: Sequence[Configuration], output: Path, metering: MeteringSpec, minutes: float, quiet: bool) -> HardwareProfile:
    """Profile with a progress bar on standard error; what was skipped, and a busy machine, is told there too."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    from jobs.energy.profiling import profile_machine

    with Bar(console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("measuring", total=len(grid))
        try:
            return profile_machine(key, grid, output, metering, _reporter(bar, task), datetime.now(UTC).date(), 60 * minutes)
        except (ValueError, OSError) as problem:
            fail(str(problem))
        except KeyboardInterrupt:
            bar.stop()
            fail(f"interrupted: what was measured is kept, call it again with --output {output} to go on from there", INTERRUPTED)


def _reporter(bar: Bar, task: TaskID) -> Callable[[Progress], None]:
    """Moves the bar, and says each new note once: 'skipped: out of memory', 'the machine was busy'."""
    told: set[str] = {""}

    def report(progress: Progress) -> None:
        bar.update(task, completed=progress.done, description=str(progress.configuration))
        note = re.sub(r"\d+%", "", progress.note)
        if note not in told:
            told.add(note)
            bar.console.print(f"{progress.configuration}: {progress.note}" if progress.step is None else _GOING_ON.get(note, progress.note))

    return report


def _show(made: HardwareProfile, output: Path) -> None:
    from jobs.energy.counter_check import in_words

    rows = [
        (
            _step(step.configuration),
            number(step.seconds * 1000),
            number(step.joules) or f"~{number(step.seconds * made.busy_watts(step.configuration.threads))}",
            f"{step.spread:.0%}" if step.joules_spread is None else f"{step.spread:.0%}, J {step.joules_spread:.0%}",
        )
        for step in made.measured
    ]
    columns = ("step", "ms", "J (~ estimated)", "spread")
    say(table(f"{made.key}: {', '.join(made.devices)}", columns, rows, right=columns[1:]))
    for what, words in made.provenance.items():
        say(f"{what}: {words}")
    say(*map(in_words, made.counter_checks))
    say(f'Written to {output}. A site on this hardware says: hardware = "{output}"')


def _step(configuration: Configuration) -> str:
    """Such as "train 3D large 256x256x192 f4 x1", the last being the batch; below it what sets it apart from a plain step."""
    model = configuration.model
    shape = "x".join(map(str, model.image_shape))
    step = f"{configuration.work} {model.dimensions}D {model.size} {shape} f{model.latent_downsampling} x{configuration.batch_size}"
    precision = [configuration.precision] if configuration.precision != "float32" else []
    threads = [f"{configuration.threads} threads"] if configuration.threads > 1 else []
    return "\n  ".join([step, *precision, *threads, *configuration.options])


def _in_sum(made: HardwareProfile, asked: int, minutes: float) -> str:
    """How much was measured, and how sure estimates of anything else are."""
    measured = f"{len(made.measured)} of {asked} steps measured, this time in {minutes:.0f} min"
    if not made.coefficients:
        return f"{measured}: too few to estimate others by"
    low, high = (f"{math.expm1(spread(each.spread for each in made.coefficients)):.0%}" for spread in (min, max))
    return f"{measured}; others are estimated to within {low if low == high else f'{low} to {high}, by operation'} (one deviation)"


def _slug(device: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-") or "this-machine"
