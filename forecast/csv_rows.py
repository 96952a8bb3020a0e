"""Lines of recorded-intensity files, read one at a time: Electricity Maps data-portal CSV and the plain backtest format.

Portal files: `Datetime (UTC)`, `Zone Id`, `Carbon Intensity gCO₂eq/kWh (LCA)` or, from release 2025-04-03 on, `(Life cycle)`, and so on.
Backtest files: `datetime_utc,carbon_intensity[...]`, the zone before the first underscore of the file name.
A file that a spreadsheet or a hand has changed is refused in one sentence: guessing its dates would be silently wrong.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, cast

from forecast.intensity import HIGHEST_PLAUSIBLE, LIFECYCLE_AVERAGE, IntensityKind

PORTAL = "Electricity Maps data portal"
_FACTOR_WORDS = {"lifecycle": ("(lca)", "(life cycle)"), "direct": ("(direct)",)}
_BACKTEST_SUFFIX = {"lca": "lifecycle", "lifecycle": "lifecycle", "direct": "direct"}
LONGEST_LINE = 64 * 1024
MOST_LINES = 600_000
"""Five years of five-minute values: what is longer is no file of one zone, and must not fill the memory."""

LOWEST_LIFECYCLE = 1.0
"""gCO2e/kWh; no source has less over its life (hydro and nuclear power from about 4 on): such a value is in kg, or tons per MWh."""

_DAY_FIRST = re.compile(r"\d{1,2}[/.]\d{1,2}[/.]\d{2,4}")
_DOWNLOAD_AGAIN = "download the file again from the data portal and import it without opening it in a spreadsheet"


class CsvProblem(ValueError):
    """A file that cannot be trusted: says which file and line, what is wrong and what to do."""

    def __init__(self, path: Path, line: int, problem: str, remedy: str = _DOWNLOAD_AGAIN) -> None:
        super().__init__(f"{path.name}, line {line}: {problem}; {remedy}")
        self.path, self.line = path, line


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One line: its zone and source, the start of its interval, its value in gCO2e/kWh (None: empty field), the source's own flags, and
    whether its time tells its offset from UTC."""

    line: int
    zone: str
    source: str
    start: datetime
    g_per_kwh: float | None
    estimated: bool
    method: str | None
    tells_offset: bool


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which column holds what in one file."""

    zone_from_name: str | None
    start: int
    value: int
    width: int
    zone: int | None = None
    estimated: int | None = None
    method: int | None = None


def iterate_rows(path: Path, kind: IntensityKind = LIFECYCLE_AVERAGE) -> Iterator[CsvRow]:
    """The lines of a file, one at a time and in file order. Raises CsvProblem."""
    with _open_text(path) as text:
        lines = csv.reader(_bounded(path, text), strict=True)
        zone = ""
        try:
            layout = _layout(path, next(lines, []), kind)
            for fields in lines:
                if not fields:
                    continue
                row = _row(path, lines.line_num, fields, layout, kind)
                zone = zone or row.zone
                if row.zone != zone:
                    raise CsvProblem(path, lines.line_num, f"zone {row.zone!r} in a file about {zone!r}", "keep one zone per file")
                yield row
        except UnicodeDecodeError as error:
            raise CsvProblem(path, lines.line_num + 1, "the text is not UTF-8") from error
        except csv.Error as error:
            raise CsvProblem(path, lines.line_num, f"not a CSV line ({error})") from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise CsvProblem(path, lines.line_num, f"the gzip file is damaged ({error})") from error


def _bounded(path: Path, text: IO[str]) -> Iterator[str]:
    """The lines, as long as they and their number are what a file of one zone can have."""
    for number in range(1, MOST_LINES + 1):
        line = text.readline(LONGEST_LINE)
        if len(line) == LONGEST_LINE:
            raise CsvProblem(path, number, f"a line of more than {LONGEST_LINE} characters: the file is damaged or no CSV at all")
        if not line:
            return
        yield line
    if text.read(1):
        raise CsvProblem(path, MOST_LINES, f"more than {MOST_LINES:,} lines", "cut the file into one for each zone and year")


@contextmanager
def _open_text(path: Path) -> Iterator[IO[str]]:
    """The file as text, unpacked if its first bytes say gzip (whatever its name says); a byte-order mark is dropped."""
    with path.open("rb") as raw:
        is_gzip = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        binary = cast(IO[bytes], gzip.GzipFile(fileobj=raw, mode="rb")) if is_gzip else raw
        with io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as text:
            yield text


def _layout(path: Path, header: list[str], kind: IntensityKind) -> _Layout:
    names = [name.strip().lower().replace("₂", "2") for name in header]
    if len(names) >= 2 and names[0] == "datetime_utc" and names[1].startswith("carbon_intensity"):
        return _backtest_layout(path, names, kind)
    needed = {name: names.index(name) for name in ("datetime (utc)", "zone id") if name in names}
    words = _FACTOR_WORDS[kind.factors]
    values = [index for index, name in enumerate(names) if name.startswith("carbon intensity gco2eq/kwh") and name.endswith(words)]
    if len(needed) < 2 or len(values) != 1:
        found = ", ".join(repr(name) for name in header[:6]) or "nothing"
        wanted = f"'Datetime (UTC)', 'Zone Id' and one 'Carbon Intensity gCO2eq/kWh {words[0].replace('lca', 'LCA')}'"
        raise CsvProblem(path, 1, f"the header needs {wanted}, found {found}: the file was edited or is of another kind")
    optional = {name: names.index(name) for name in ("data estimated", "data estimation method") if name in names}
    return _Layout(
        None, needed["datetime (utc)"], values[0], len(names), needed["zone id"],
        optional.get("data estimated"), optional.get("data estimation method"),
    )  # fmt: skip


def _backtest_layout(path: Path, names: list[str], kind: IntensityKind) -> _Layout:
    zone, separator, _ = path.name.partition("_")
    if not separator or not zone:
        raise CsvProblem(path, 1, "no zone before the first underscore of the file name", "name the file like 'DE_2023.csv'")
    factors = _BACKTEST_SUFFIX.get(names[1].removeprefix("carbon_intensity").lstrip("_"))
    if factors is not None and factors != kind.factors:
        raise CsvProblem(path, 1, f"{names[1]!r} holds {factors} intensity, {kind.factors} was asked for", "choose the matching kind")
    return _Layout(zone, 0, 1, len(names))


def _row(path: Path, line: int, fields: list[str], layout: _Layout, kind: IntensityKind) -> CsvRow:
    if len(fields) != layout.width:
        raise CsvProblem(path, line, f"{len(fields)} fields where the header has {layout.width}")
    zone = layout.zone_from_name or fields[layout.zone or 0].strip()
    if not zone:
        raise CsvProblem(path, line, "no zone id")
    estimated = layout.estimated is not None and fields[layout.estimated].strip().lower() == "true"
    method = (fields[layout.method].strip() or None) if layout.method is not None else None
    source = PORTAL if layout.zone_from_name is None else f"file {path.name}"
    moment, value = _moment(path, line, fields[layout.start]), _value(path, line, fields[layout.value], kind)
    start = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return CsvRow(line, zone, source, start, value, estimated, method, moment.tzinfo is not None)


def _moment(path: Path, line: int, text: str) -> datetime:
    """The start of an interval, written year first, with its offset from UTC if it tells one."""
    text = text.strip()
    if _DAY_FIRST.match(text):
        raise CsvProblem(path, line, f"{text!r} has the day first, as a spreadsheet writes it: day and month cannot be told apart")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise CsvProblem(path, line, f"{text!r} is not a time like '2023-01-31 13:00:00'") from error


def _value(path: Path, line: int, text: str, kind: IntensityKind) -> float | None:
    """The value in gCO2e/kWh, None for an empty field."""
    text = text.strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= HIGHEST_PLAUSIBLE:
        raise CsvProblem(path, line, f"{text!r} is not a carbon intensity in gCO2eq/kWh")
    if kind.factors == "lifecycle" and 0 < value < LOWEST_LIFECYCLE:
        raise CsvProblem(path, line, f"{text!r} is less than any life-cycle intensity in gCO2eq/kWh: it looks like kg or another unit")
    return value
