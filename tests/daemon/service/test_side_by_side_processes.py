"""Two real processes of one synthesis side by side at one site, one of them killed: each sample once, each run on a device of its own."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from daemon.compose import Daemon, Surroundings, build_daemon
from daemon.domain.job import Attempt, JobRequest, Run
from daemon.domain.states import AttemptState, JobState
from daemon.executors.local import LocalExecutor
from daemon.executors.supervisor import Files, job_process, read_json
from daemon.service.gathering import kept_samples
from daemon.service.work import JobWork
from forecast.clock import Clock, real_now
from tests.daemon.service.mortal_daemon import MODEL, ORIGIN, PATIENCE_SECONDS, QUICK_JOB, prepare, settings_in

SAMPLES = 40
DEVICES = ["GPU-left", "GPU-right"]  # attempts of all tests on this host are looked at
ONLY_FOR_TWO = timedelta(seconds=130)  # the planner expects 209 s of work
WORKLOAD = {
    "kind": "synthesis",
    "model": MODEL,
    "weights": {"path": "w.pt"},
    "samples": SAMPLES,
    "inference_steps": 1000,
    "seed": 8,
}


class Watched:
    """A daemon driven by hand, with the one job it has."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        constraints = {"sites": ["here"], "max_parallel": 2, "deadline": daemon.clock.now() + ONLY_FOR_TWO}
        request = JobRequest.model_validate({"workload": WORKLOAD, "constraints": constraints})
        self.job_id = daemon.service.submit(request, None, "digest")[0].job.id

    def until(self, holds: Callable[[JobWork], bool]) -> JobWork:
        """Tick until it holds; never more attempts than devices."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not holds(work := self.beat()):
            assert len(work.live) <= len(DEVICES)
            assert time.monotonic() < give_up, work
            time.sleep(0.02)
        return work

    def beat(self) -> JobWork:
        self._daemon.tick.run()
        with self._daemon.store.read() as reader:
            job = reader.job(self.job_id)
            return JobWork(job, tuple(reader.runs(job.id)), tuple(reader.attempts(job.id)))


def run_of(work: JobWork, attempt: Attempt) -> Run:
    return next(run for run in work.runs if run.id == attempt.run_id)


def both_wait(work: JobWork) -> bool:
    """Two processes work, and each has made its first two samples."""
    active = [attempt for attempt in work.live if attempt.state is AttemptState.ACTIVE]
    return len(active) == 2 and all(run_of(work, attempt).steps_done == 2 for attempt in active)


def kill(run: Run) -> None:
    record = read_json(Files.of(run.directory).process)
    assert record is not None
    os.kill(job_process(record).pid, signal.SIGKILL)


def test_two_runs_share_a_site_and_a_killed_one_is_followed_by_another_for_what_it_left(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "life", None)
    clock = Clock(ORIGIN, ORIGIN, real=real_now)
    executor = LocalExecutor([sys.executable, "-I", "-S", str(QUICK_JOB), str(folder)], devices=DEVICES)
    with build_daemon(settings_in(folder), surroundings=Surroundings(clock, dict.fromkeys(("here", "there"), executor))) as daemon:
        watched = Watched(daemon)
        try:
            work = watched.until(both_wait)
            victim = run_of(work, work.live[0])
            kill(victim)
            watched.until(lambda work: len(work.attempts) == 3 and both_wait(work))
        finally:
            (folder / "go").touch()  # nobody is left waiting for it, whatever happens
        work = watched.until(lambda work: work.job.state.is_final)
    assert work.job.state is JobState.SUCCEEDED, work.job.reason
    assert Counter(attempt.state for attempt in work.attempts)[AttemptState.PREEMPTED] == 1
    assert work.job.retries == 0
    kept = kept_samples(work)
    assert [record.index for record, _ in kept] == list(range(SAMPLES))
    assert all(file.read_bytes() == b"sample %d" % record.index for record, file in kept)
    made = Counter(int(line.split()[1]) for line in (folder / "made.log").read_text().splitlines())
    assert made == Counter(range(SAMPLES))
    check_devices(folder, work, victim)


def check_devices(folder: Path, work: JobWork, victim: Run) -> None:
    """The first two had a device each; the third took the one that the killed one had."""
    lines = (line.split() for line in (folder / "devices.log").read_text().splitlines())
    device = dict(lines)
    assert len(device) == len(work.attempts)
    killed = next(attempt for attempt in work.attempts if attempt.run_id == victim.id)
    others = [attempt for attempt in work.attempts if attempt is not killed]
    assert sorted(device[attempt.id] for attempt in others[:2]) == DEVICES
    assert device[others[-1].id] == device[killed.id]
