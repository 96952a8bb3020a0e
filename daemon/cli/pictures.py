"""`--plots DIR`: whether pictures can be drawn is found out before the work, and what was worked out is told before they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import NoReturn

import typer

from daemon.cli.output import fail


def must_be_drawable(folder: Path) -> None:
    """End the command where pictures could not be drawn: scores and replays take minutes, and must not be lost for them."""
    if find_spec("matplotlib") is None:
        fail("--plots needs matplotlib: install the extra with `pip install 'lowtide[ldm]'`")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        _fail_to_write(folder, error)


def tell_drawn(folder: Path, draw: Callable[[Path], Sequence[Path]]) -> None:
    """Draw, and name each picture on standard error: standard output may be a document."""
    try:
        paths = draw(folder)
    except OSError as error:
        _fail_to_write(folder, error)
    for path in paths:
        typer.echo(f"Picture: {path}", err=True)


def _fail_to_write(folder: Path, error: OSError) -> NoReturn:
    fail(f"--plots {folder}: cannot be written ({error.strerror}): choose another folder")
