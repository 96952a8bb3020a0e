"""A stop asked for while images are encoded or validated, between and after the steps, is served at the next image."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.data.amounts import prepared_counts
from jobs.errors import StopRequested
from jobs.ldm.training import train
from jobs.rundir import AttemptFile, Phase, RunDirectory
from jobs.session import Session
from jobs.spec import TrainingWorkload
from tests.jobs.processes import prepare, training
from tests.jobs.test_training_resume import assert_same_weights

WORKLOAD = training(data={"phantom": {"patients": 8}, "validation_share": 0.34})
STEPS = 4 + 8


class StopInPhase:
    """A meter that keeps what was booked, and the wish to stop once `phase` has been booked for the `count`th time."""

    def __init__(self, phase: Phase | None = None, count: int = 1) -> None:
        self.marks: list[tuple[Phase, int]] = []
        self._phase, self._left, self.asked = phase, count, 0

    def mark(self, phase: Phase, step: int) -> None:
        self.marks.append((phase, step))
        self._left -= phase == self._phase

    @property
    def requested(self) -> bool:
        stopping = self._phase is not None and self._left <= 0
        self.asked += stopping
        return stopping


def attempt(directory: RunDirectory, meter: StopInPhase) -> None:
    spec = directory.read_spec()
    assert isinstance(spec.workload, TrainingWorkload)
    session = Session(directory, spec, AttemptFile(attempt_id="a", run_id="run", job_id="job", number=1), meter, meter)
    train(session, spec.workload)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, StopInPhase]:
    directory, meter = prepare(tmp_path_factory.mktemp("whole") / "run", WORKLOAD), StopInPhase()
    attempt(directory, meter)
    return directory, meter


@pytest.mark.parametrize(("phase", "count", "step"), [("encoding", 2, 4), ("validation", 1, STEPS)])
def test_a_stop_between_images_is_served_at_once_and_costs_no_step(
    tmp_path: Path, uninterrupted: tuple[RunDirectory, StopInPhase], phase: Phase, count: int, step: int
) -> None:
    directory, stopped, resumed = prepare(tmp_path / "run", WORKLOAD), StopInPhase(phase, count), StopInPhase()
    with pytest.raises(StopRequested):
        attempt(directory, stopped)
    attempt(directory, resumed)

    assert stopped.asked == 1, "the first look after the wish ends the attempt"
    assert stopped.marks[-1] == (phase, step)
    assert min(mark for what, mark in resumed.marks if what == "work") == step
    assert_same_weights(directory, uninterrupted[0])


def test_preparing_encoding_and_validation_are_booked_as_what_they_are(uninterrupted: tuple[RunDirectory, StopInPhase]) -> None:
    directory, meter = uninterrupted
    counts = prepared_counts(directory.cache)

    assert counts is not None
    assert [phase for phase, _ in meter.marks[: counts.training + counts.validation + 1]] == [
        *["preparing"] * (counts.training + counts.validation),
        "startup",
    ], "each image once, and what follows is start-up again"
    assert [step for phase, step in meter.marks if phase == "encoding"] == [4] * 5, "each training image once"
    assert meter.marks[-1] == ("validation", STEPS)
