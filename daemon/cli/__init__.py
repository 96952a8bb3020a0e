"""The command line: `lowtide --help`. One module per group of commands; each offers `register(app)`.

Modules here import only what `--help` needs; whatever is heavy is imported inside a command.
"""

from __future__ import annotations

from typing import Annotated

import typer

from daemon import __version__
from daemon.cli import backtest, budgets, demo, forecast_score, grid, jobs, profile, reports, serve, settings, study

COMMAND_GROUPS = (serve, demo, jobs, budgets, reports, grid, profile, study, backtest, forecast_score, settings)


def build_app() -> typer.Typer:
    """The whole command line, in the order of `--help`."""
    app = typer.Typer(name="lowtide", no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False)

    @app.callback()
    def root(version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False) -> None:
        """Carbon-aware scheduling of latent diffusion model jobs: queue them, run them when and where the grid is clean, account for it."""
        if version:
            typer.echo(__version__)
            raise typer.Exit

    for group in COMMAND_GROUPS:
        group.register(app)
    return app


def main() -> None:
    build_app()()
