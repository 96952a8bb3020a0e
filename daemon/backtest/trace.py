"""What a replay reads: jobs from a CSV file, sites from a TOML file. Bad rows are refused with file, line and remedy."""

from __future__ import annotations

import csv
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from forecast.timeline import as_utc

# Columns `home`, `sites` (names with spaces between) and `transfer_gb` may follow.
COLUMNS = ("job_id", "arrival_utc", "duration_hours", "power_watts", "gpus", "deadline_utc", "interruptible")


class TraceProblem(ValueError):
    """A file of a replay cannot be used; the message names the file, the line and what to do."""

    def __init__(self, path: Path, line: int | None, problem: str) -> None:
        super().__init__(f"{path.name}{f', line {line}' if line is not None else ''}: {problem}")


@dataclass(frozen=True, slots=True)
class TraceJob:
    """A job of the past: known at `arrival`, to *end* by `deadline`. `power_watts` is the whole job's component power.

    Duration and power are those on hardware of speed 1 and power factor 1. `home` None is the first site, `sites` empty is any
    site; `transfer_gb` is what has to be moved where it does not run at home.
    """

    id: str
    arrival: datetime
    duration: timedelta
    power_watts: float
    gpus: int
    deadline: datetime
    is_interruptible: bool
    home: str | None = None
    sites: tuple[str, ...] = ()
    transfer_gb: float = 0.0

    @property
    def energy_kwh(self) -> float:
        return self.power_watts / 1000 * self.duration.total_seconds() / 3600


@dataclass(frozen=True, slots=True)
class TraceSite:
    """Where jobs of the replay may run; the first of the sites is home unless one is named. `gpus` None is no limit.

    `speed`: how many times faster than the trace says a job is done here; `power_factor`: times the power it takes here.
    `transfer_kwh_per_gb`: facility energy.
    """

    name: str
    zone: str
    gpus: int | None
    pue: float = 1.0
    speed: float = 1.0
    power_factor: float = 1.0
    transfer_kwh_per_gb: float = 0.03


def read_jobs(path: Path) -> list[TraceJob]:
    """The jobs in order of arrival. Raises TraceProblem; OSError if the file cannot be read."""
    jobs: dict[str, TraceJob] = {}
    for line, row in _rows(path):
        job = _job(path, line, row)
        if job.id in jobs:
            raise TraceProblem(path, line, f"job_id {job.id!r} is there twice: give every job its own")
        jobs[job.id] = job
    if not jobs:
        raise TraceProblem(path, None, "there is no job below the header")
    # Rows may come in any order: a job is known from its arrival on, wherever it stands in the file.
    return sorted(jobs.values(), key=lambda job: (job.arrival, job.id))


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise TraceProblem(path, 1, f"the header lacks {', '.join(missing)}: it needs {','.join(COLUMNS)}")
        for row in reader:
            if None in row or None in row.values():
                raise TraceProblem(
                    path, reader.line_num, f"it has another number of fields than the header's {len(reader.fieldnames or ())}"
                )
            yield reader.line_num, row


def _job(path: Path, line: int, row: Mapping[str, str]) -> TraceJob:
    arrival, deadline = (_instant(path, line, name, row[name]) for name in ("arrival_utc", "deadline_utc"))
    hours, watts, gpus = (_positive(path, line, name, row[name]) for name in ("duration_hours", "power_watts", "gpus"))
    if row["interruptible"].strip() not in ("0", "1"):
        raise TraceProblem(path, line, f"interruptible must be 0 or 1, got {row['interruptible']!r}")
    if gpus != int(gpus):
        raise TraceProblem(path, line, f"gpus must be a whole number, got {row['gpus']!r}")
    if deadline <= arrival:
        raise TraceProblem(path, line, f"deadline_utc {row['deadline_utc']} is not after arrival_utc {row['arrival_utc']}")
    interruptible = row["interruptible"].strip() == "1"
    places = tuple((row.get("sites") or "").split())
    transfer = _positive(path, line, "transfer_gb", row["transfer_gb"], or_zero=True) if row.get("transfer_gb", "").strip() else 0.0
    home = (row.get("home") or "").strip() or None
    return TraceJob(
        row["job_id"].strip(), arrival, timedelta(hours=hours), watts, int(gpus), deadline, interruptible, home, places, transfer
    )


def _instant(path: Path, line: int, name: str, text: str) -> datetime:
    """An ISO instant; the columns' names promise UTC, so one without an offset is UTC."""
    try:
        value = datetime.fromisoformat(text.strip())
    except ValueError:
        raise TraceProblem(path, line, f"{name} {text!r} is not a time: write it like 2023-05-01T08:00:00Z") from None
    return as_utc(value) if value.tzinfo else as_utc(datetime.fromisoformat(f"{text.strip()}+00:00"))


def _positive(path: Path, line: int, name: str, text: str, *, or_zero: bool = False) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and (value > 0 or (or_zero and value == 0))):
        wanted = "a number of at least 0" if or_zero else "a positive number"
        raise TraceProblem(path, line, f"{name} must be {wanted}, got {text!r}")
    return value


def read_sites(path: Path) -> list[TraceSite]:
    """The `[[sites]]` of a `lowtide.toml` or a file like it, home first. Raises TraceProblem.

    Read are name, zone, gpus, pue, transfer_kwh_per_gb, and for replays only speed and power_factor.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise TraceProblem(path, None, f"it is not TOML: {error}") from None
    tables = document.get("sites", [])
    if not tables:
        raise TraceProblem(path, None, "it has no [[sites]] table: add one with name, zone and gpus")
    sites = [_site(path, table) for table in tables]
    names = [site.name for site in sites]
    if len(set(names)) < len(names):
        raise TraceProblem(path, None, "two sites have the same name")
    home = document.get("defaults", {}).get("home", names[0])
    if home not in names:
        raise TraceProblem(path, None, f"home {home!r} is none of the sites {', '.join(names)}")
    return sorted(sites, key=lambda site: site.name != home)


def _site(path: Path, table: Mapping[str, object]) -> TraceSite:
    name, zone, gpus, pue = table.get("name"), table.get("zone"), table.get("gpus"), table.get("pue", 1.55)
    if not isinstance(name, str) or not isinstance(zone, str):
        raise TraceProblem(path, None, "every [[sites]] table needs a name and a zone")
    if gpus is not None and (not isinstance(gpus, int) or gpus < 0):
        raise TraceProblem(path, None, f"site {name}: gpus must be a whole number, got {gpus!r}")
    if not isinstance(pue, int | float) or pue < 1:
        raise TraceProblem(path, None, f"site {name}: pue must be at least 1, got {pue!r}")
    speed, power, transfer = (
        _factor(path, name, table, key, default) for key, default in (("speed", 1.0), ("power_factor", 1.0), ("transfer_kwh_per_gb", 0.03))
    )
    if speed == 0:
        raise TraceProblem(path, None, f"site {name}: speed must be above 0")
    return TraceSite(name, zone, gpus, float(pue), speed, power, transfer)


def _factor(path: Path, name: str, table: Mapping[str, object], key: str, default: float) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise TraceProblem(path, None, f"site {name}: {key} must be a number of at least 0, got {value!r}")
    return float(value)
