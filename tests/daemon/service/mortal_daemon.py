"""A daemon that dies at a step of our choice: real store, real local executor, real SIGKILL. Run in a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from daemon.compose import Daemon, Surroundings, build_daemon
from daemon.domain.job import JobRequest, StopWish
from daemon.domain.states import AttemptState, JobState
from daemon.executors.local import LocalExecutor
from daemon.settings.schema import Settings
from daemon.store import Store
from forecast.clock import Clock, real_now

QUICK_JOB = Path(__file__).with_name("quick_job.py")
ORIGIN = datetime(2024, 1, 1, tzinfo=UTC)
PATIENCE_SECONDS = 60.0
WIDE_SAMPLES, ONLY_FOR_TWO = 20, timedelta(seconds=70)  # which the planner expects to take 107 s
IN_A_HURRY = {"price_of_waiting_g_per_hour": 1e6}  # to start when its weights are there, not when they were expected
MODEL = {"dimensions": 2, "size": "tiny", "image_shape": [32, 32]}
TRAINING = {"kind": "training", "model": MODEL, "data": {"phantom": {"patients": 2}}, "iterations": 4, "autoencoder_iterations": 2}


@dataclass(frozen=True)
class Death:
    """SIGKILL right after the step of that name was done for the n-th time."""

    step: str
    occurrence: int


class Steps:
    """Writes every step down, and ends the process at the chosen one."""

    def __init__(self, folder: Path, death: Death | None) -> None:
        self._log, self._death = folder / "steps.log", death
        self._seen: Counter[str] = Counter()

    def __call__(self, step: str) -> None:
        self._seen[step] += 1
        with self._log.open("a") as file:
            file.write(step + "\n")
        if self._death == Death(step, self._seen[step]):
            os.kill(os.getpid(), signal.SIGKILL)


def settings_in(folder: Path) -> Settings:
    def site(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "zone": "DE",
            "gpus": 3,
            "admits": ["derived-from-patient-data"],
            "run_root": str(folder / name),
            "data_root": str(folder / "data"),
        }

    server = folder / "server"
    database = server.read_text() if server.exists() else f"sqlite:///{folder / 'lowtide.db'}"
    return Settings(database=database, sites=(site("here"), site("there")))  # type: ignore[arg-type]  # pydantic takes tables for models


def prepare(folder: Path, template: Path | None, server: str | None = None) -> Path:
    """A folder with weights and an empty, migrated database: a file in it, or that of a server."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "w.pt").write_bytes(b"weights")
    if server is not None:
        (folder / "server").write_text(server)
    if template is None:
        Store.open(settings_in(folder).database).close()
    else:
        shutil.copy(template / "lowtide.db", folder / "lowtide.db")
    return folder


def live(folder: Path, death: Death | None) -> None:
    """Drive the daemon until every job is accounted for to the end, or to its death."""
    sys.stderr = sys.stdout = (folder / "driver.log").open("a", buffering=1)
    ahead = timedelta(0)
    clock = Clock(ORIGIN, ORIGIN, real=lambda: real_now() + ahead)
    executors = {name: LocalExecutor(command=[sys.executable, "-I", "-S", str(QUICK_JOB), str(folder)]) for name in ("here", "there")}
    with build_daemon(settings_in(folder), Steps(folder, death), Surroundings(clock, executors)) as daemon:
        jobs = submit(daemon, clock.now())
        await_that(lambda: beat(daemon, jobs))
        daemon.settler.settle()
        ahead = timedelta(days=30)  # every hour is beyond reach now: the accounts become final
        daemon.settler.settle()


def submit(daemon: Daemon, now: datetime) -> dict[str, str]:
    """A training, a synthesis with its weights at the other site, one that is suspended on its way, and one whose deadline takes
    two runs side by side. Once, by their keys.
    """
    paths = {"weights": {"path": "w.pt"}}
    trained = _submit(daemon, "trained", TRAINING, {"sites": ["here"]})
    return {
        "trained": trained,
        "moved": _submit(daemon, "moved", _synthesis(3, weights={"job": trained}), {"sites": ["there"]} | IN_A_HURRY),
        "paused": _submit(daemon, "paused", _synthesis(5, seed=7, **paths), {"sites": ["here"]}),
        "wide": _submit(daemon, "wide", _synthesis(WIDE_SAMPLES, **paths) | {"inference_steps": 1000}, _only_for_two(now)),
    }


def _only_for_two(now: datetime) -> dict[str, Any]:
    return {"sites": ["there"], "max_parallel": 2, "deadline": now + ONLY_FOR_TWO}


def _synthesis(samples: int, **more: Any) -> dict[str, Any]:
    return {"kind": "synthesis", "model": MODEL, "samples": samples, "inference_steps": 2} | more


def _submit(daemon: Daemon, key: str, workload: dict[str, Any], constraints: dict[str, Any]) -> str:
    request = JobRequest.model_validate({"name": key, "workload": workload, "constraints": constraints})
    answer, _ = daemon.service.submit(request, key, key)
    return answer.job.id


def beat(daemon: Daemon, jobs: dict[str, str]) -> bool:
    """One tick with what the ticker does after it; whether all jobs have ended."""
    ended = daemon.tick.run().ended
    daemon.settler.settle_new(attempt.job_id for attempt in ended)
    pause_when_it_waits(daemon, jobs["paused"])
    with daemon.store.read() as reader:
        return all(reader.job(job_id).state.is_final for job_id in jobs.values())


def pause_when_it_waits(daemon: Daemon, job_id: str) -> None:
    """Record the wish to pause as a plan does, once two samples are there."""
    with daemon.store.write() as writer:
        runs, attempts = writer.runs(job_id), writer.attempts(job_id)
        if len(attempts) == 1 and runs[0].steps_done == 2 and attempts[0].state is AttemptState.ACTIVE:
            wished = replace(attempts[0], state=AttemptState.STOPPING, stop_wish=StopWish.SUSPEND, stop_wished_at=daemon.clock.now())
            writer.change_attempt(wished)


def await_that(condition: Callable[[], bool]) -> None:
    """Beat until it holds, as fast as the jobs' processes let us."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError("the jobs did not end")
        time.sleep(0.02)


def witness(folder: Path) -> dict[str, Any]:
    """What can be said afterwards, in words that do not depend on ids, times or the number of beats."""
    store = Store.open(settings_in(folder).database)
    try:
        with store.read() as reader:
            jobs = {job.request.name: job for job in reader.jobs(limit=100)}
            names = {job.id: name for name, job in jobs.items()}
            attempts = {name: reader.attempts(job.id) for name, job in jobs.items()}
            return {
                "states": {name: job.state for name, job in jobs.items()},
                "attempts": {name: [attempt.state for attempt in found] for name, found in attempts.items()},
                "ranges": {
                    name: [run.samples and (run.samples.first, run.steps_done) for run in reader.runs(job.id)]
                    for name, job in jobs.items()
                    if name != "wide"  # how its samples are shared depends on where the slots begin
                },
                "moved_gb": [run.transferred_gb for run in reader.runs(jobs["moved"].id)],
                "ledger": {name: [(entry.sequence, entry.kind) for entry in reader.ledger(job.id)] for name, job in jobs.items()},
                "lessons": len(reader.observations()),
                "made": sorted(f"{names[line.split()[0]]} {line.split()[1]}" for line in _lines(folder / "made.log")),
                "starts": Counter(_lines(folder / "starts.log")) == Counter(one.id for found in attempts.values() for one in found),
            }
    finally:
        store.close()


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


CLEAN = {
    "states": dict.fromkeys(("wide", "paused", "moved", "trained"), JobState.SUCCEEDED),
    "attempts": {"trained": ["completed"], "moved": ["completed"], "paused": ["suspended", "completed"], "wide": ["completed"] * 2},
    "ranges": {"trained": [None], "moved": [(0, 3)], "paused": [(0, 2), (2, 3)]},
    "moved_gb": [7000 / 1e9],
    "ledger": {name: [(1, "provisional"), (2, "final")] for name in ("wide", "paused", "moved", "trained")},
    "lessons": 5,  # two steps of the VQ-GAN and two samples are too few to learn from
    "made": [
        *(f"moved {index}" for index in range(3)),
        *(f"paused {index}" for index in range(5)),
        *sorted(f"wide {index}" for index in range(WIDE_SAMPLES)),
    ],
    "starts": True,
}
