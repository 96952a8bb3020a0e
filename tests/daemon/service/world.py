"""A daemon on a hand-moved clock: the real store, planner, tick and settlement, nodes that are scripted, a grid that is recorded.

Time moves in steps of half an hour. Each hour that has gone by is recorded as an importer would, before the next tick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from daemon.compose import Daemon, Surroundings, build_daemon
from daemon.domain.job import Attempt, Event, Job, JobRequest, Run
from daemon.domain.ledger import LedgerEntry
from daemon.domain.states import AttemptState, JobState
from daemon.service.tick import TickReport, nothing
from daemon.settings.schema import Settings
from daemon.sole import Hindrance, unhindered
from daemon.store import Store
from daemon.store.intensity import RecordedIntensity
from forecast.clock import Clock
from forecast.intensity import LIFECYCLE_AVERAGE, Reading
from forecast.timeline import HOUR, Interval, floor_to
from jobs.energy.hardware import profile_for
from jobs.energy.model import EnergyModel
from jobs.spec import SynthesisWorkload, TrainingWorkload
from tests.daemon.service.node import ScriptedNode

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)
HISTORY = timedelta(days=8)
HALF_HOUR = timedelta(minutes=30)
MODEL_2D = {"dimensions": 2, "size": "small", "image_shape": [128, 128]}  # about two minutes a sample on a CPU
MODEL_3D = {"dimensions": 3, "size": "tiny", "image_shape": [64, 64, 64]}

Intensity = Callable[[datetime], float]


def german(hour: datetime) -> float:
    """Dirty by day, clean from one to five in the morning; never twice exactly the same."""
    return (80.0 if 1 <= hour.hour < 5 else 420.0) + _grain(hour)


def swedish(hour: datetime) -> float:
    return 30.0 + _grain(hour)


def _grain(hour: datetime) -> float:
    """A little of everything: a series that repeats itself exactly would be taken for a frozen one."""
    return (hour.toordinal() * 7 + hour.hour * 3) % 11 / 10


GRID: dict[str, Intensity] = {"DE": german, "SE": swedish}
HEIDELBERG: dict[str, Any] = {
    "name": "heidelberg",
    "zone": "DE",
    "pue": 1.5,
    "admits": frozenset({"patient-data", "derived-from-patient-data"}),
}
UMEA: dict[str, Any] = {"name": "umea", "zone": "SE", "pue": 1.1, "admits": frozenset({"derived-from-patient-data"})}


@lru_cache
def _model() -> EnergyModel:
    return EnergyModel(profile_for("generic-cpu"))


def as_estimated(workload: TrainingWorkload | SynthesisWorkload) -> float:
    """Seconds per step just as the daemon expects them."""
    return _model().estimate(workload).step_seconds


@lru_cache
def _empty_database() -> bytes:
    """A migrated database without a row: migrating one for every test would take longer than most tests."""
    with TemporaryDirectory() as folder:
        Store.open(f"sqlite:///{folder}/lowtide.db").close()
        return Path(folder, "lowtide.db").read_bytes()


@dataclass
class World:
    """One daemon with what surrounds it; everything a test does goes through here."""

    settings: Settings
    nodes: Mapping[str, ScriptedNode]
    now: datetime = NOON
    grid: Mapping[str, Intensity] = field(default_factory=lambda: GRID)
    recorded_until: datetime = NOON - HISTORY
    daemon: Daemon = field(init=False)

    @property
    def home(self) -> ScriptedNode:
        return self.nodes["heidelberg"]

    def record(self) -> None:
        """Write down the hours that have ended."""
        until = floor_to(self.now, HOUR)
        hours = [self.recorded_until + HOUR * index for index in range(int((until - self.recorded_until) / HOUR))]
        readings = [
            Reading(zone, Interval(hour, hour + HOUR), intensity(hour), LIFECYCLE_AVERAGE, "recorded", hour + HOUR)
            for zone, intensity in self.grid.items()
            for hour in hours
        ]
        if readings:
            RecordedIntensity(self.daemon.store.database).put_readings(readings, self.now)
            self.recorded_until = until

    def tick(self) -> TickReport:
        self.record()
        return self.daemon.tick.run()

    def later(self, hours: float) -> TickReport:
        """One tick, that much later."""
        self.now += timedelta(hours=hours)
        return self.tick()

    def pass_time(self, hours: float) -> None:
        """Tick now and every half hour until then."""
        until = self.now + timedelta(hours=hours)
        self.tick()
        while self.now < until:
            self.now = min(until, self.now + HALF_HOUR)
            self.tick()

    def until(self, job_id: str, *states: JobState, within_hours: float = 48) -> Job:
        """Let time pass until the job is in one of the states."""
        give_up = self.now + timedelta(hours=within_hours)
        self.tick()
        while self.job(job_id).state not in states:
            assert self.now < give_up, f"{self.job(job_id)} after {within_hours} h"
            self.now += HALF_HOUR
            self.tick()
        return self.job(job_id)

    def submit(self, workload: dict[str, Any], project: str = "default", priority: int = 0, **constraints: Any) -> str:
        request = JobRequest.model_validate({"workload": workload, "constraints": constraints, "project": project, "priority": priority})
        answer, _ = self.daemon.service.submit(request, None, sha256(request.model_dump_json().encode()).hexdigest())
        return answer.job.id

    def job(self, job_id: str) -> Job:
        with self.daemon.store.read() as reader:
            return reader.job(job_id)

    def runs(self, job_id: str) -> list[Run]:
        with self.daemon.store.read() as reader:
            return reader.runs(job_id)

    def attempts(self, job_id: str) -> list[Attempt]:
        with self.daemon.store.read() as reader:
            return reader.attempts(job_id)

    def attempt_states(self, job_id: str) -> list[AttemptState]:
        return [attempt.state for attempt in self.attempts(job_id)]

    def events(self, job_id: str) -> list[Event]:
        with self.daemon.store.read() as reader:
            return reader.events(job_id, limit=1000)

    def ledger(self, job_id: str) -> list[LedgerEntry]:
        with self.daemon.store.read() as reader:
            return reader.ledger(job_id)

    def deadline(self, hours: float) -> datetime:
        return self.now + timedelta(hours=hours)


@contextmanager
def open_world(
    folder: Path,
    *sites: dict[str, Any],
    grid: Mapping[str, Intensity] = GRID,
    after_step: Callable[[str], None] = nothing,
    now: datetime = NOON,
    nodes: Mapping[str, ScriptedNode] | None = None,
    hindrance: Hindrance = unhindered,
    **settings: Any,
) -> Iterator[World]:
    """A world in that folder; opened again with the same nodes, it is the daemon after a restart."""
    places = [{"run_root": str(folder / site["name"]), "data_root": str(folder / "data"), **site} for site in sites or (HEIDELBERG,)]
    chosen = Settings(**{"database": f"sqlite:///{folder / 'lowtide.db'}", "sites": places, **settings})
    known = nodes or {}
    if not (folder / "lowtide.db").exists():
        (folder / "lowtide.db").write_bytes(_empty_database())
    world = World(chosen, {}, now, grid)
    world.nodes = {place["name"]: known.get(place["name"]) or ScriptedNode(lambda: world.now, as_estimated) for place in places}
    for node in world.nodes.values():
        node.now = lambda: world.now
    clock = Clock(NOON, NOON, real=lambda: world.now)
    with build_daemon(chosen, after_step, Surroundings(clock, world.nodes), hindrance) as daemon:
        world.daemon = daemon
        world.record()
        yield world


def training(hours: float, **changes: Any) -> dict[str, Any]:
    """A training job of about that many hours on the built-in phantoms."""
    workload: dict[str, Any] = {
        "kind": "training",
        "model": MODEL_3D,
        "data": {"phantom": {"patients": 4}},
        "iterations": 1000,
        "autoencoder_iterations": 10,
    } | changes
    seconds = as_estimated(TrainingWorkload.model_validate(workload))
    return workload | {"iterations": max(1, round(hours * 3600 / seconds) - 10)}


def synthesis(samples: int, weights: dict[str, str], **changes: Any) -> dict[str, Any]:
    """A synthesis at about two minutes a sample."""
    return {"kind": "synthesis", "model": MODEL_2D, "weights": weights, "samples": samples, "inference_steps": 200} | changes
