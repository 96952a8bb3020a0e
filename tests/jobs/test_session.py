"""What a session writes, and when, on a clock of our own."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from jobs.errors import StopRequested
from jobs.rundir import AttemptFile, Phase, RunDirectory
from jobs.session import Session
from jobs.stopping import StopRequest
from tests.jobs.processes import prepare, training


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 11, 20, tzinfo=UTC) + timedelta(seconds=self.seconds)


class Book:
    """A meter that only remembers what it was told."""

    def __init__(self) -> None:
        self.marks: list[tuple[Phase, int]] = []

    def mark(self, phase: Phase, step: int) -> None:
        self.marks.append((phase, step))


class Scene:
    def __init__(self, path: Path, iterations: int = 10_000, checkpoint_every_seconds: float = 30.0) -> None:
        self.clock, self.book, self.stop = Clock(), Book(), StopRequest()
        self.directory: RunDirectory = prepare(
            path, training(iterations=iterations, autoencoder_iterations=1), checkpoint_every_seconds=checkpoint_every_seconds
        )
        attempt = AttemptFile(attempt_id="a", run_id="run", job_id="job", number=1)
        self.session = Session(
            self.directory, self.directory.read_spec(), attempt, self.book, self.stop, self.clock.monotonic, self.clock.now
        )


def test_progress_is_written_at_most_twice_a_second(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "run")
    scene.session.begin(0, "begins")
    for step in range(1, 101):
        scene.clock.seconds += 0.1
        scene.session.advance(step, "works")
    records = scene.directory.progress()
    assert len(records) <= 21
    assert records[-1].seconds_per_step == pytest.approx(0.1)
    assert len(scene.book.marks) == 101, "the meter hears of every step"


def test_a_run_of_weeks_writes_thousands_of_lines_not_millions(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "run")
    scene.session.begin(0, "begins")
    scene.clock.seconds += 200_000.0
    for step in range(1, 61):
        scene.clock.seconds += 10.0
        scene.session.advance(step, "works")
    assert len(scene.directory.progress()) == pytest.approx(2 + 60 / 3, abs=1), "a line every 30 seconds"


def test_the_last_step_is_always_reported(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "run", iterations=4)
    scene.session.begin(0, "begins")
    for step in range(1, 6):
        scene.session.advance(step, "works")
    assert [(record.step, record.of) for record in scene.directory.progress()] == [(0, 5), (5, 5)]


def test_checkpoints_come_when_due_and_are_booked_as_such(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "run", checkpoint_every_seconds=3.0)
    scene.session.begin(0, "begins")
    saved = []
    for step in range(1, 11):
        scene.clock.seconds += 1.0
        scene.session.advance(step, "works")
        scene.session.checkpoint_if_due(lambda: saved.append(scene.session.step))
    assert saved == [3, 6, 9]
    assert ("checkpoint", 3) in scene.book.marks
    assert scene.book.marks[-1] == ("work", 10)


def test_a_stop_is_served_after_saving_and_never_after_the_last_step(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "run")
    scene.session.begin(0, "begins")
    saved: list[int] = []
    scene.session.leave_if_asked()
    scene.stop.requested = True
    with pytest.raises(StopRequested):
        scene.session.checkpoint_if_due(lambda: saved.append(1))
    scene.session.checkpoint_if_due(lambda: saved.append(2), last_step=True)
    assert saved == [1, 2]
    with pytest.raises(StopRequested):
        scene.session.leave_if_asked()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_signals_are_noted_inside_the_block_and_given_back_after_it(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopRequest() as stop:
        seen = [stop.requested]
        os.kill(os.getpid(), number)
        seen.append(stop.requested)
    assert seen == [False, True]
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(("every", "saving", "pause"), [(30.0, 10.0, 200.0), (3.0, 1.0, 3.0), (3.0, 10.0, 200.0), (600.0, 10.0, 600.0)])
def test_where_saving_takes_long_the_next_checkpoint_waits_the_longer(tmp_path: Path, every: float, saving: float, pause: float) -> None:
    scene = Scene(tmp_path / "run", checkpoint_every_seconds=every)
    scene.session.begin(0, "begins")
    saved_at: list[float] = []

    def save() -> None:
        scene.clock.seconds += saving
        saved_at.append(scene.clock.seconds)

    while len(saved_at) < 4:
        scene.clock.seconds += 1.0
        scene.session.checkpoint_if_due(save)

    assert saved_at[0] == 100.0 + every + saving, "nobody knew how long it takes"
    assert [later - earlier for earlier, later in pairwise(saved_at)] == [pause + saving] * 3
