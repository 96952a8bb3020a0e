"""`lowtide settings`: what is in force, and where each value came from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon.cli.output import USAGE, JsonFlag, fail, print_json, say, table

if TYPE_CHECKING:
    from daemon.settings import LoadedSettings

ConfigOption = Annotated[
    Path | None, typer.Option("--config", envvar="LOWTIDE_CONFIG", help="The settings file; default: lowtide.toml here, if there is one.")
]


def register(app: typer.Typer) -> None:
    app.command()(settings)


def load_or_fail(config: Path | None, overrides: dict[str, Any] | None = None) -> LoadedSettings:
    """The settings, or the end of the command with one sentence."""
    from daemon.settings import SettingsProblem, load_settings

    try:
        return load_settings(config, overrides)
    except SettingsProblem as problem:
        fail(str(problem), USAGE)


def settings(config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """Print the effective settings and where each value came from; secrets stay hidden."""
    loaded = load_or_fail(config)
    if as_json:
        print_json([{"key": key, "value": value, "origin": origin} for key, value, origin in loaded.rows()])
        return
    rows = [(key, "" if value is None else value, origin) for key, value, origin in loaded.rows()]
    say(table(f"Settings ({loaded.file or 'no file'})", ("key", "value", "from"), rows))
