"""How commands speak: tables and sentences for people, one JSON document for programs, one clear sentence for a failure."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from daemon.printable import visible

if TYPE_CHECKING:
    from rich.table import Table

    from daemon.cli.listing import Listing

FAILED = 1
USAGE = 2

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document for programs.")]


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Say what is wrong on standard error and end: 1 for a failure, 2 for a mistake in the command itself."""
    warn(message)
    raise typer.Exit(code)


def warn(message: str) -> None:
    """Say on standard error what may be wrong with what was given; the command goes on."""
    typer.echo(f"lowtide: {visible(message)}", err=True)


def print_json(document: Any) -> None:
    """One indented JSON document on standard output; NaN cannot be written."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n")


def say(*lines: object) -> None:
    """Lines for people, text as it is; rich renders tables, and leaves colour out where nobody sees it."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    for line in lines:
        console.print(visible(line) if isinstance(line, str) else line)


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = (), whole: Sequence[str] = ()
) -> Listing:
    """A table; `right` names the columns of numbers, `whole` those of names that are never cut.

    Cells are shown as they are: markup in a job's name stays text.
    """
    from rich.text import Text

    from daemon.cli.listing import Listing

    cells = [[Text("-" if cell is None else visible(str(cell))) for cell in row] for row in rows]
    return Listing(title, columns, cells, right, whole)


def facts(pairs: Iterable[tuple[str, object]]) -> Table:
    """Name and value, one pair a line; pairs without a value are left out."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2))
    for name, value in pairs:
        if value is not None and value != "":
            made.add_row(Text(name, style="bold"), Text(visible(str(value))))
    return made


def instant(text: str | None) -> str | None:
    """An API timestamp as people read it: UTC, to the minute."""
    if text is None:
        return None
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M}"


def number(value: float | None, unit: str = "") -> str | None:
    """Three significant digits with the unit; None stays None: unknown is not zero."""
    if value is None:
        return None
    magnitude = abs(value)
    digits = 0 if magnitude >= 100 else 1 if magnitude >= 10 else 2 if magnitude >= 1 else 4
    text = f"{value:,.{digits}f}" if magnitude >= 0.001 or value == 0 else f"{value:.2e}"
    return f"{text} {unit}".rstrip()


def grams(value: float | None) -> str | None:
    """gCO2e, in kg from a thousand on."""
    if value is not None and abs(value) >= 1000:
        return number(value / 1000, "kg")
    return number(value, "g")


def band(value: dict[str, Any] | None) -> str | None:
    """gCO2e with its central 80 % interval; None stays None."""
    return None if value is None else f"{grams(value['mid'])} ({grams(value['low'])} to {grams(value['high'])})"


def per_sample(figures: dict[str, Any]) -> str | None:
    """gCO2e of one sample and of 1,000; None for what makes no samples."""
    one = figures["g_per_sample"]
    return None if one is None else f"{grams(one)} CO2e, {grams(figures['g_per_1000_samples'])} per 1,000"


def energy(kwh: float | None) -> str | None:
    """Energy given in kWh; in Wh below a tenth of one."""
    if kwh is not None and 0 < abs(kwh) < 0.1:
        return number(kwh * 1000, "Wh")
    return number(kwh, "kWh")


def duration(hours: float | None) -> str | None:
    """Hours; minutes or seconds where that reads better."""
    if hours is not None and abs(hours) < 1 / 60:
        return number(hours * 3600, "s")
    if hours is not None and abs(hours) < 1:
        return number(hours * 60, "min")
    return number(hours, "h")


def percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.1%}"


def windows(segments: Sequence[dict[str, Any]]) -> str:
    """The stretches of a plan, one a line."""
    return "\n".join(f"{segment['site']}  {_span(segment)}, {segment['gpus']} GPU" for segment in segments)


def _span(segment: dict[str, Any]) -> str:
    """'2026-11-21 01:00 - 04:00 UTC'; the second date only where it differs."""
    start, end = instant(segment["start"]) or "", instant(segment["end"]) or ""
    return f"{start} - {end.removeprefix(start[:11])} UTC"
