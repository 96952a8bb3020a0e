"""Chunks of a synthesis: whatever is killed, suspended or moved, they never overlap and together cover every sample once."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.domain.job import Run, StopWish
from daemon.domain.states import AttemptState, JobState
from daemon.service.gathering import kept_samples
from daemon.service.work import JobWork, lasting_samples, unclaimed_ranges
from jobs.rundir import RunDirectory
from jobs.spec import SampleRange
from tests.daemon.service.world import HEIDELBERG, NOON, UMEA, World, open_world, synthesis

SAMPLES, BATCH = 37, 4
MINUTE = timedelta(minutes=1)


@st.composite
def claims(draw: st.DrawFn) -> tuple[int, list[Run]]:
    """Runs as a job may have them: each claims a gap of what those before left, closed ones keep a part of theirs."""
    samples = draw(st.integers(min_value=1, max_value=60))
    runs: list[Run] = []
    for number in range(draw(st.integers(min_value=0, max_value=6))):
        gaps = unclaimed_ranges(samples, runs)
        if not gaps:
            break
        gap = draw(st.sampled_from(gaps))
        run = Run(f"r{number}", "j", "home", "/nowhere", gap, NOON)
        made = draw(st.integers(min_value=0, max_value=gap.count))
        is_open = draw(st.booleans())
        kept = made if is_open else lasting_samples(run, BATCH, made)
        runs.append(Run(run.id, "j", "home", "/nowhere", gap, NOON, None if is_open else NOON, kept))
    return samples, runs


@given(claims())
def test_claims_and_gaps_partition_the_samples(case: tuple[int, list[Run]]) -> None:
    samples, runs = case
    covered = [index for gap in unclaimed_ranges(samples, runs) for index in range(gap.first, gap.stop)]
    for run in runs:
        assert run.samples is not None
        count = run.samples.count if run.closed_at is None else run.steps_done
        covered += range(run.samples.first, run.samples.first + count)
    assert sorted(covered) == list(range(samples))


@given(claims())
def test_every_gap_begins_on_a_whole_micro_batch(case: tuple[int, list[Run]]) -> None:
    samples, runs = case
    assert all(gap.first % BATCH == 0 for gap in unclaimed_ranges(samples, runs))


def test_what_a_closing_run_keeps_is_whole_micro_batches_unless_it_is_all() -> None:
    run = Run("r", "j", "home", "/nowhere", SampleRange(first=8, count=10), NOON)
    assert [lasting_samples(run, BATCH, made) for made in (0, 3, 4, 9, 10)] == [0, 0, 4, 8, 10]


disturbances = st.lists(
    st.tuples(st.sampled_from(["kill", "suspend", "forget", "wait"]), st.integers(min_value=1, max_value=40)), max_size=8
)


@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(disturbances)
def test_any_history_of_kills_suspensions_and_restarts_makes_each_sample_exactly_once(history: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _make_all(Path(folder), history)


def _make_all(folder: Path, history: list[tuple[str, int]]) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "w.pt").write_bytes(b"weights")
    with open_world(folder, HEIDELBERG, UMEA, planner={"retries": 100}) as world:
        workload = synthesis(SAMPLES, {"path": "w.pt"}, batch_size=BATCH)
        job_id = world.submit(workload, deadline=world.deadline(40), sites=["heidelberg", "umea"])
        for what, minutes in history:
            world.tick()
            world.now += MINUTE * minutes
            _disturb(world, job_id, what)
            _check_disjoint(world, job_id)
        nodes, now = world.nodes, world.now
    with open_world(folder, HEIDELBERG, UMEA, planner={"retries": 100}, nodes=nodes, now=now) as world:  # the daemon, started again
        world.until(job_id, JobState.SUCCEEDED)
        _check_complete(world, job_id)


def _disturb(world: World, job_id: str, what: str) -> None:
    live = [attempt for attempt in world.attempts(job_id) if not attempt.state.is_final]
    if what == "kill":
        for node in world.nodes.values():
            node.kill_all()
    elif what == "forget" and live and live[0].native_id:
        world.nodes[live[0].site].forget(live[0].id)
    elif what == "suspend" and live and live[0].native_id:
        _ask_to_pause(world, job_id)


def _ask_to_pause(world: World, job_id: str) -> None:
    """As a plan does that has found a cleaner window."""
    with world.daemon.store.write() as writer:
        attempt = next(each for each in writer.attempts(job_id) if not each.state.is_final)
        if attempt.state in (AttemptState.PENDING, AttemptState.ACTIVE):
            writer.change_attempt(replace(attempt, state=AttemptState.STOPPING, stop_wish=StopWish.SUSPEND, stop_wished_at=world.now))


def _check_disjoint(world: World, job_id: str) -> None:
    claimed: list[int] = []
    for run in world.runs(job_id):
        assert run.samples is not None
        claimed += range(run.samples.first, run.samples.first + (run.samples.count if run.closed_at is None else run.steps_done))
    assert len(claimed) == len(set(claimed))


def _check_complete(world: World, job_id: str) -> None:
    work = JobWork(world.job(job_id), tuple(world.runs(job_id)), tuple(world.attempts(job_id)))
    kept = [record.index for record, _ in kept_samples(work)]
    assert kept == list(range(SAMPLES))
    assert work.steps_done == SAMPLES
    for run in work.runs:
        spec = RunDirectory(run.directory).read_spec()
        assert spec.samples is not None
        assert spec.samples.first % BATCH == 0
    launched = [attempt for node in world.nodes.values() for attempt, times in node.launches.items() if times > 1]
    assert launched == []
