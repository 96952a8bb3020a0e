"""`lowtide demo`: the main job, end to end, on replayed real intensity."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.output import FAILED, JsonFlag, fail, print_json, say


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    output: Annotated[Path, typer.Option("--output", help="Folder for the database, runs, report and picture.")] = Path("lowtide-demo"),
    as_json: JsonFlag = False,
) -> None:
    """Train and sample tiny diffusion models on this machine, when and where replayed real grids are clean. No key, no GPU."""
    from daemon.demo.run import missing_packages, run_demo
    from daemon.demo.session import DemoFailed

    missing = missing_packages()
    if missing:
        fail(f"the demo trains real models and needs {', '.join(missing)}: install the extra with `pip install 'lowtide[ldm]'`")
    try:
        result = run_demo(output, quiet=as_json)
    except DemoFailed as problem:
        fail(str(problem))
    if as_json:
        print_json(result.report)
    else:
        from daemon.cli.reports import show_report

        show_report(result.report)
        say(f"Picture: {result.picture}", f"Everything else: {result.folder}", f"Took {result.seconds:.0f} s.")
    if not result.succeeded:
        raise typer.Exit(FAILED)
