"""What each freedom of a job brings, on recorded traces with exact intensity: pausing, chunks, width; time, place, both.

`python -m tests.bench.levers [--year 2023] [--jobs 1000] [--arrivals 120] [--forecast own]`; LOWTIDE_TRACES is the folder of traces.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from daemon.backtest.run import backtest
from daemon.backtest.score import Score
from daemon.backtest.trace import TraceJob, TraceSite
from daemon.domain.plan import Mode, Placement, Plan, PlanJob, PlanSite, SiteOption, SlotGrid, Snapshot
from daemon.planner import PlannerOptions, Residual, preview
from forecast.intensity import LIFECYCLE_AVERAGE, Rung, Series, ZoneOutlook
from forecast.records import read_records
from forecast.timeline import HOUR
from tests.forecast.traces import benched_folder

ZONES = ("DE", "GB", "FR", "SE", "PL", "US-CAL-CISO")
TOGETHER = ("DE", "FR", "SE")
WORK_HOURS, SLACK_HOURS, GPUS, KILOWATTS = 24, 48, 8, 0.35  # one synthesis: a day of one GPU, to end within three days
RESTART_SECONDS = 120.0  # every piece loads its weights again, at full power
WEIGHTS_GB = 2.0
PATIENT_SHARE = 0.5  # training on patient data, which stays at home; the rest is synthesis and may go anywhere
LEVERS = (
    ("contiguous", Mode.CONTIGUOUS, 1),
    ("pausing", Mode.INTERRUPTIBLE, 1),
    ("chunks", Mode.DIVISIBLE, 1),
    ("elastic x4", Mode.DIVISIBLE, 4),
)
EXACT = PlannerOptions(wait_confidence=0.0, keep_threshold=0.0, deadline_margin=0.0)
HOME = TraceSite("heidelberg", "DE", None, 1.4)
AWAY = (TraceSite("lyon", "FR", None, 1.4), TraceSite("umea", "SE", None, 1.2))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.levers")
    parser.add_argument("--year", type=int, default=2023)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--arrivals", type=int, default=120)
    parser.add_argument("--forecast", default="oracle", help="of the second table: oracle, persistence, own, noise:SHARE:SEED")
    options = parser.parse_args(arguments)
    records = read_records([benched_folder("electricitymaps-lca-hourly")], ZONES)
    year = datetime(options.year, 1, 1, tzinfo=UTC)
    print(
        f"one synthesis of {WORK_HOURS} GPU-hours with {SLACK_HOURS} h of slack, {options.arrivals} arrivals in {options.year}, saving in %"
    )
    for line in lever_table(records, year, options.arrivals):
        print(line)
    print(f"\n{options.jobs} jobs in {options.year}, half of them pinned to DE, half free in {', '.join(TOGETHER)}, {options.forecast}")
    for line in place_table(records, year_of_jobs(year, options.jobs), options.forecast):
        print(line)
    return 0


def lever_table(records: Mapping[str, Series], year: datetime, arrivals: int) -> Iterator[str]:
    yield "| sites | " + " | ".join(name for name, _, _ in LEVERS) + " |"
    yield "| --- |" + " --- |" * len(LEVERS)
    random = np.random.default_rng(0)
    hours = np.sort(random.integers(0, 360 * 24, arrivals))
    for zones in (*((zone,) for zone in ZONES), TOGETHER):
        saved = [_mean_saving(records, zones, [year + int(hour) * HOUR for hour in hours], mode, width) for _, mode, width in LEVERS]
        yield f"| {', '.join(zones)} | " + " | ".join(f"{100 * share:.1f}" for share in saved) + " |"


def _mean_saving(records: Mapping[str, Series], zones: Sequence[str], arrivals: Sequence[datetime], mode: Mode, width: int) -> float:
    """Share of the run-now emissions at the first of the zones that a lone job saves, over all arrivals together."""
    chosen = run_now = 0.0
    for now in arrivals:
        answer = preview(_synthesis(zones, now, mode, width), Residual.of(*_empty(records, zones, now), EXACT))
        assert isinstance(answer, Placement)
        chosen, run_now = chosen + answer.expected_g, run_now + answer.run_now_g
    return 1 - chosen / run_now


def _synthesis(zones: Sequence[str], now: datetime, mode: Mode, width: int) -> PlanJob:
    startup_kwh = KILOWATTS * RESTART_SECONDS / 3600
    options = tuple(
        SiteOption(zone, WORK_HOURS * 3600.0, KILOWATTS, RESTART_SECONDS, startup_kwh, WEIGHTS_GB * 0.03 * (zone != zones[0]))
        for zone in zones
    )
    deadline = now + (WORK_HOURS + SLACK_HOURS) * HOUR
    return PlanJob("job", mode, 1, now, now, deadline, options, home=zones[0], max_width=width)


def _empty(records: Mapping[str, Series], zones: Sequence[str], now: datetime) -> tuple[Snapshot, Plan]:
    """Empty sites of one GPU per lane, and what the zones' hours really were."""
    grid = SlotGrid(now, HOUR, WORK_HOURS + SLACK_HOURS + 1)
    sites = tuple(PlanSite(zone, zone, 1.0, np.full(grid.count, GPUS, dtype=np.int64)) for zone in zones)
    return Snapshot(now, grid, sites, (), {zone: _outlook(records[zone], grid) for zone in zones}), Plan(now, ())


def _outlook(record: Series, grid: SlotGrid) -> ZoneOutlook:
    first = int((grid.start - record.start) // HOUR)
    values = record.values[first : first + grid.count]
    rung = np.full(grid.count, int(Rung.OBSERVED), dtype=np.int8)
    return ZoneOutlook(record.zone, LIFECYCLE_AVERAGE, grid.start, grid.start, HOUR, values, values, values, rung)


def year_of_jobs(year: datetime, count: int) -> list[TraceJob]:
    """Jobs of 4 to 90 h that arrive in working hours and end by the second Monday or Thursday morning that leaves them time."""
    random = np.random.default_rng(1)
    jobs: list[TraceJob] = []
    while len(jobs) < count:
        arrival = year + timedelta(days=int(random.integers(7, 340)), minutes=int(random.integers(8 * 60, 18 * 60)))
        if arrival.weekday() >= 5:
            continue
        hours = float(np.clip(random.lognormal(2.5, 0.8), 4, 90))
        gpus = int(random.choice([1, 2, 4, 8], p=[0.4, 0.3, 0.2, 0.1]))
        pinned = bool(random.random() < PATIENT_SHARE)
        jobs.append(
            TraceJob(
                f"job-{len(jobs)}",
                arrival,
                timedelta(hours=hours),
                1000 * KILOWATTS * gpus,
                gpus,
                _deadline(arrival + timedelta(hours=hours)),
                True,
                sites=("heidelberg",) if pinned else (),
                transfer_gb=0.0 if pinned else WEIGHTS_GB,
            )
        )
    return sorted(jobs, key=lambda job: (job.arrival, job.id))


def _deadline(earliest: datetime) -> datetime:
    """The next Monday or Thursday, 9:00 UTC, after that."""
    day = earliest.replace(hour=9, minute=0, second=0, microsecond=0)
    while day < earliest or day.weekday() not in (0, 3):
        day += timedelta(days=1)
    return day


def place_table(records: Mapping[str, Series], jobs: Sequence[TraceJob], forecast: str) -> Iterator[str]:
    at_once = [replace(job, deadline=job.arrival + job.duration) for job in jobs]
    at_home = [replace(job, sites=(HOME.name,)) for job in jobs]
    cases = [("by place, at once", at_once, None), ("by time, at home", at_home, None), ("by both", jobs, None)]
    scores = [(name, _replayed(records, some, gpus, forecast)) for name, some, gpus in cases]
    home_peak = _replayed(records, at_home, None, "oracle", policy="run-now").peak_gpus
    scores.append((f"by both, {home_peak} GPUs at each site", _replayed(records, jobs, home_peak, forecast)))
    yield "| what may change | saving in % | late jobs | transfer in kg | emitted in kg |"
    yield "| --- | --- | --- | --- | --- |"
    for name, score in scores:
        yield f"| {name} | {score.savings_percent:.1f} | {score.late_jobs} | {score.transfer_kg:.1f} | {score.emissions_kg:,.0f} |"


def _replayed(records: Mapping[str, Series], jobs: Sequence[TraceJob], gpus: int | None, forecast: str, policy: str = "planner") -> Score:
    sites = [replace(site, gpus=gpus) for site in (HOME, *AWAY)]
    return backtest(jobs, sites, dict(records), policy, forecast, HOUR).score


if __name__ == "__main__":
    sys.exit(main())
