"""Runs of one synthesis side by side: whatever grows, shrinks, fails or is killed, each sample is kept once, within the GPUs there are."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.domain.errors import Rejected
from daemon.domain.job import Attempt, PlannedSegment
from daemon.domain.plan import Placement, Plan, Snapshot
from daemon.domain.states import AttemptState, JobState
from daemon.service.gathering import kept_samples
from daemon.service.work import JobWork
from jobs.rundir import RunDirectory
from jobs.spec import SynthesisWorkload
from tests.daemon.service.world import HALF_HOUR, HEIDELBERG, UMEA, World, as_estimated, open_world, synthesis

SAMPLES, BATCH = 90, 4
GPUS = {"heidelberg": 4, "umea": 2}
PLACES = tuple(site | {"gpus": GPUS[site["name"]]} for site in (HEIDELBERG, UMEA))
MINUTE = timedelta(minutes=1)
Widths = dict[str, int]


class Whim:
    """A planner that wants as many runs at each site as it is told, for that many hours from now on."""

    def __init__(self) -> None:
        self.widths: Widths = {}
        self.hours = 2.0

    def __call__(self, snapshot: Snapshot) -> Plan:
        placements = []
        for job in snapshot.jobs:
            segments = tuple(
                PlannedSegment(site, snapshot.now, snapshot.now + timedelta(hours=self.hours), 1)
                for site, width in self.widths.items()
                for _ in range(width)
            )
            if segments:
                placements.append(Placement(job.id, segments, 1.0, 1.0, 1.0, 1.0, "on a whim"))
        return Plan(snapshot.now, tuple(placements))


@contextmanager
def whimsical(folder: Path, **more: Any) -> Iterator[tuple[World, Whim, str]]:
    """A world of two sites whose planner does as it is told, with one synthesis."""
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "w.pt").write_bytes(b"weights")
    samples = more.pop("samples", SAMPLES)
    with open_world(folder, *PLACES, planner={"retries": more.pop("retries", 3)}, **more) as world:
        whim = Whim()
        world.daemon.tick._planner = whim
        workload = synthesis(samples, {"path": "w.pt"}, batch_size=BATCH)
        yield world, whim, world.submit(workload, deadline=world.deadline(80), sites=list(GPUS))


def live(world: World, job_id: str) -> list[Attempt]:
    return [attempt for attempt in world.attempts(job_id) if not attempt.state.is_final]


def claimed(world: World, job_id: str) -> list[int]:
    indices: list[int] = []
    for run in world.runs(job_id):
        assert run.samples is not None
        indices += range(run.samples.first, run.samples.first + (run.samples.count if run.closed_at is None else run.steps_done))
    return indices


def check(world: World, job_id: str) -> None:
    """What must hold after every tick."""
    indices = claimed(world, job_id)
    assert len(indices) == len(set(indices))
    assert all(count <= GPUS[site] for site, count in Counter(attempt.site for attempt in live(world, job_id)).items())
    assert all(run.samples is not None and run.samples.first % BATCH == 0 for run in world.runs(job_id))


def finish(world: World, whim: Whim, job_id: str) -> None:
    whim.widths = {"heidelberg": 2, "umea": 1}
    job = world.until(job_id, JobState.SUCCEEDED)
    work = JobWork(job, tuple(world.runs(job_id)), tuple(world.attempts(job_id)))
    assert [record.index for record, _ in kept_samples(work)] == list(range(SAMPLES))
    assert work.steps_done == SAMPLES


widths = st.fixed_dictionaries({"heidelberg": st.integers(0, 6), "umea": st.integers(0, 3)})
happenings = st.sampled_from(["nothing", "nothing", "kill", "kill one", "forget one", "restart"])
histories = st.lists(st.tuples(widths, happenings, st.integers(1, 25)), min_size=2, max_size=9)


@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(histories)
def test_any_sequence_of_growing_shrinking_kills_and_restarts_keeps_each_sample_once(history: list[tuple[Widths, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, rest = Path(name), history
        job_id = ""
        around: dict[str, Any] = {}
        while rest:
            rest, job_id, around = live_through(folder, rest, job_id, around)
        with reopened(folder, around) as (world, whim):
            finish(world, whim, job_id)


def live_through(
    folder: Path, history: list[tuple[Widths, str, int]], job_id: str, around: dict[str, Any]
) -> tuple[list[tuple[Widths, str, int]], str, dict[str, Any]]:
    """The history up to the daemon's next restart; what is left of it, and what the next daemon finds."""
    life = whimsical(folder, retries=100) if not around else None
    with life or reopened(folder, around) as opened:
        world, whim = opened[0], opened[1]
        job_id = opened[2] if len(opened) == 3 else job_id
        for number, (wanted, what, minutes) in enumerate(history):
            whim.widths = wanted
            world.tick()
            check(world, job_id)
            world.now += MINUTE * minutes
            befall(world, job_id, what)
            if what == "restart":
                return history[number + 1 :], job_id, {"nodes": world.nodes, "now": world.now}
        return [], job_id, {"nodes": world.nodes, "now": world.now}


@contextmanager
def reopened(folder: Path, around: Mapping[str, Any]) -> Iterator[tuple[World, Whim]]:
    """The daemon, started again beside the same nodes."""
    with open_world(folder, *PLACES, planner={"retries": 100}, **around) as world:
        whim = Whim()
        world.daemon.tick._planner = whim
        yield world, whim


def befall(world: World, job_id: str, what: str) -> None:
    launched = [attempt for attempt in live(world, job_id) if attempt.native_id]
    if what == "kill":
        for node in world.nodes.values():
            node.kill_all()
    elif what == "kill one" and launched:
        world.nodes[launched[-1].site].kill_one(launched[-1].id)
    elif what == "forget one" and launched:
        world.nodes[launched[0].site].forget(launched[0].id)


@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(widths, st.integers(5, 40)), min_size=2, max_size=6))
def test_where_nothing_is_killed_each_sample_is_made_once_whatever_the_width(history: list[tuple[Widths, int]]) -> None:
    with tempfile.TemporaryDirectory() as name, whimsical(Path(name)) as (world, whim, job_id):
        for wanted, minutes in history:
            whim.widths = wanted
            world.tick()
            check(world, job_id)
            world.now += MINUTE * minutes
        finish(world, whim, job_id)
        made = sum((node.made for node in world.nodes.values()), Counter[int]())
        assert made == Counter(range(SAMPLES))


def spans(world: World, job_id: str) -> list[tuple[int, int]]:
    return [(run.samples.first, run.samples.count) for run in world.runs(job_id) if run.samples is not None]


def test_three_runs_share_the_samples_evenly(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, whim, job_id):
        whim.widths = {"heidelberg": 3}
        world.tick()
        counts = [count for _, count in spans(world, job_id)]
        assert sum(counts) == SAMPLES
        assert max(counts) <= 32  # 22.5 micro-batches, 7 or 8 each
        assert world.attempt_states(job_id) == [AttemptState.PENDING] * 3


def test_a_run_that_stops_gives_what_it_has_not_made_to_the_next(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, whim, job_id):
        whim.widths = {"heidelberg": 2}
        world.tick()
        world.later(hours=0.5)
        whim.widths, whim.hours = {"heidelberg": 1}, 0.1
        world.later(hours=0.01)
        assert sorted(world.attempt_states(job_id)) == [AttemptState.ACTIVE, AttemptState.STOPPING]
        world.later(hours=0.2)
        assert sorted(world.attempt_states(job_id)) == [AttemptState.ACTIVE, AttemptState.SUSPENDED]
        assert world.job(job_id).state is JobState.RUNNING
        finish(world, whim, job_id)


def test_a_run_with_much_left_is_stopped_and_shared_where_gpus_become_free(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, whim, job_id):
        whim.widths = {"heidelberg": 1}
        world.tick()
        world.later(hours=0.2)
        whim.widths = {"heidelberg": 2, "umea": 1}
        world.later(hours=0.05)
        assert world.attempt_states(job_id) == [AttemptState.STOPPING]
        assert "more runs shall share its samples" in world.events(job_id)[-1].message
        world.later(hours=0.2)
        assert world.attempt_states(job_id) == [AttemptState.SUSPENDED, *[AttemptState.PENDING] * 3]
        assert Counter(attempt.site for attempt in live(world, job_id)) == {"heidelberg": 2, "umea": 1}
        finish(world, whim, job_id)


def test_no_run_is_stopped_to_share_it_where_no_gpu_is_free(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, whim, job_id):
        whim.widths = {"umea": 2}
        world.tick()
        whim.widths = {"umea": 3}
        world.later(hours=0.2)
        world.later(hours=0.2)
        assert world.attempt_states(job_id) == [AttemptState.ACTIVE] * 2


def test_a_job_that_may_not_be_interrupted_is_never_stopped_to_shrink_or_share(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.pt").write_bytes(b"weights")
    with open_world(tmp_path, *PLACES) as world:
        world.daemon.tick._planner = whim = Whim()
        workload = synthesis(SAMPLES, {"path": "w.pt"}, batch_size=BATCH)
        job_id = world.submit(workload, deadline=world.deadline(80), sites=list(GPUS), interruptible=False)
        for width in (1, 3, 2):
            whim.widths = {"heidelberg": width}
            world.later(hours=0.1)
        assert world.attempt_states(job_id) == [AttemptState.ACTIVE]


def test_a_host_that_goes_down_counts_once_for_all_runs_on_it(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, whim, job_id):
        whim.widths = {"heidelberg": 4}
        world.tick()
        world.now += timedelta(seconds=5)
        world.home.kill_all()
        world.tick()
        assert world.attempt_states(job_id)[:4] == [AttemptState.PREEMPTED] * 4
        assert world.job(job_id).retries == 1
        finish(world, whim, job_id)


def test_runs_that_fail_again_and_again_side_by_side_use_up_the_retries(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, whim, job_id):
        whim.widths = {"heidelberg": 3}
        world.home.failure = ("out of memory", True)
        job = world.until(job_id, JobState.FAILED)
        assert job.reason == "failed 4 times, the last time: out of memory"
        assert len(world.attempts(job_id)) == 12


def test_one_site_that_keeps_failing_ends_the_job_and_the_runs_elsewhere(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, whim, job_id):
        whim.widths = {"heidelberg": 1, "umea": 1}
        world.tick()
        world.nodes["umea"].failure = ("the weights do not fit the model", False)
        world.later(hours=0.3)
        states = {attempt.site: attempt.state for attempt in world.attempts(job_id)}
        assert states == {"heidelberg": AttemptState.STOPPING, "umea": AttemptState.FAILED}
        world.later(hours=0.3)
        job = world.job(job_id)
        assert (job.state, job.reason) == (JobState.FAILED, "the weights do not fit the model")
        last = next(attempt for attempt in world.attempts(job_id) if attempt.site == "heidelberg")
        assert (last.state, last.reason) == (AttemptState.CANCELLED, "stopped, as another run of the job failed for good")
        world.later(hours=1)
        assert len(world.attempts(job_id)) == 2


def test_a_launch_that_waits_is_called_off_when_the_run_beside_it_fails_for_good(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, whim, job_id):
        world.home.is_full = True
        whim.widths = {"heidelberg": 1, "umea": 1}
        world.nodes["umea"].failure = ("no such sampler", False)
        world.tick()
        world.later(hours=0.1)
        called_off = next(attempt for attempt in world.attempts(job_id) if attempt.site == "heidelberg")
        assert called_off.state is AttemptState.CANCELLED
        assert called_off.reason == "called off before it was started, as another run of the job failed for good"
        assert world.job(job_id).state is JobState.FAILED
        assert not world.home.launches


def test_launches_refused_at_once_count_once(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, whim, job_id):
        world.home.refusal = "there is no python"
        whim.widths = {"heidelberg": 3}
        world.tick()
        assert world.attempt_states(job_id) == [AttemptState.FAILED] * 3
        assert world.job(job_id).retries == 1


def test_a_hold_up_of_one_launch_beside_running_ones_is_told_once(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, whim, job_id):
        whim.widths = {"heidelberg": 3}
        world.home.room = 2
        for _ in range(4):
            world.later(hours=0.01)
        assert [event.kind for event in world.events(job_id)].count("launch-postponed") == 1
        assert "held up at heidelberg" in world.job(job_id).reason
        world.home.room = None
        world.later(hours=0.01)
        world.later(hours=0.01)
        assert world.job(job_id).reason == "running at heidelberg"


def test_a_cancelled_job_stops_all_its_runs(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, whim, job_id):
        whim.widths = {"heidelberg": 2, "umea": 1}
        world.tick()
        world.later(hours=0.1)
        world.daemon.service.cancel(job_id)
        world.later(hours=0.1)
        world.later(hours=0.2)
        assert world.attempt_states(job_id) == [AttemptState.CANCELLED] * 3
        assert world.job(job_id).state is JobState.CANCELLED


def test_the_account_of_runs_side_by_side_adds_up_and_each_start_up_beyond_the_first_is_overhead(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, whim, job_id):
        whim.widths = {"heidelberg": 3}
        world.until(job_id, JobState.SUCCEEDED)
        world.later(hours=3)  # by then all its hours are recorded
        world.daemon.settler.settle()
        entry = world.ledger(job_id)[-1]
        metered = sum(record.total_joules for run in world.runs(job_id) for record in RunDirectory(run.directory).energy()) / 3.6e6
        startup_kwh = world.home.startup_seconds * 40.0 / 3.6e6
        assert entry.energy_kwh == pytest.approx(metered)
        assert entry.overhead_kwh == pytest.approx(2 * startup_kwh)
        assert entry.energy_kwh == pytest.approx(entry.useful_kwh + entry.waste_kwh + entry.overhead_kwh)
        busy = [(attempt.ended_at - attempt.created_at).total_seconds() for attempt in world.attempts(job_id) if attempt.ended_at]
        assert entry.baseline_seconds == pytest.approx(sum(busy) - 2 * world.home.startup_seconds)
        assert entry.hindsight_g is not None
        assert entry.baseline_g is not None
        assert entry.hindsight_g <= entry.baseline_g


@pytest.mark.parametrize(("wish", "widest"), [(None, 4), (2, 2), (1, 1)])
def test_the_planner_uses_idle_gpus_of_clean_hours_as_far_as_the_job_lets_it(tmp_path: Path, wish: int | None, widest: int) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.pt").write_bytes(b"weights")
    with open_world(tmp_path, HEIDELBERG | {"gpus": 8}) as world:
        weights = {"path": "w.pt"}
        one = as_estimated(SynthesisWorkload.model_validate(synthesis(1000, weights, batch_size=BATCH)))
        samples = BATCH * round(7.5 * 3600 / one / BATCH)  # more than three lanes hold in the two cleanest hours
        job_id = world.submit(synthesis(samples, weights, batch_size=BATCH), deadline=world.deadline(24), max_parallel=wish)
        most = 0
        while not world.job(job_id).state.is_final:
            world.tick()
            most = max(most, len(live(world, job_id)))
            world.now += HALF_HOUR
        assert world.job(job_id).state is JobState.SUCCEEDED
        assert most == widest
        assert sum(world.home.made.values()) == samples


def test_a_deadline_that_only_several_runs_can_keep_is_accepted_and_kept(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.pt").write_bytes(b"weights")
    with open_world(tmp_path, HEIDELBERG | {"gpus": 4}) as world:
        workload = synthesis(240, {"path": "w.pt"}, batch_size=BATCH)  # five hours of work
        with pytest.raises(Rejected, match="choose a later deadline or less work"):
            world.submit(workload, deadline=world.deadline(2), max_parallel=1)
        job_id = world.submit(workload, deadline=world.deadline(2))
        assert world.until(job_id, JobState.SUCCEEDED, within_hours=2).ended_at is not None
        assert len(world.runs(job_id)) >= 3
        assert "deadline-missed" not in {event.kind for event in world.events(job_id)}
