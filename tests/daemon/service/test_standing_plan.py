"""Most ticks of a daemon at work make no plan as a whole: the last one stands while jobs run as it says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.compose import whole as composed
from daemon.domain.plan import Plan, Snapshot
from daemon.domain.states import JobState
from daemon.planner import plan_fairly
from forecast.timeline import HOUR, floor_to
from tests.daemon.service.world import HEIDELBERG, open_world, training

TICK = timedelta(minutes=4)


def test_whole_plans_are_made_when_the_outlook_changes_and_when_a_job_has_ended_but_not_while_jobs_just_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Snapshot] = []

    def counted(snapshot: Snapshot, plan: object) -> Plan:
        made.append(snapshot)
        return plan_fairly(snapshot, plan)  # type: ignore[arg-type]  # what compose gives it

    monkeypatch.setattr(composed, "plan_fairly", counted)
    ended = []
    with open_world(tmp_path, {**HEIDELBERG, "gpus": 3}) as world:
        jobs = [
            world.submit(training(0.5 + 0.7 * number, seed=number), deadline=world.deadline(4 + 2 * number), interruptible=number != 1)
            for number in range(4)
        ]
        ticks = 0
        while any(not world.job(job).state.is_final for job in jobs):
            report = world.tick()
            ended += [floor_to(world.now, TICK) for _ in report.ended]
            world.daemon.settler.settle_new(attempt.job_id for attempt in report.ended)
            running = [attempt for job in jobs for attempt in world.attempts(job) if not attempt.state.is_final]
            assert sum(attempt.gpus for attempt in running) <= 3
            world.now += TICK
            ticks += 1
        assert all(world.job(job).state is JobState.SUCCEEDED for job in jobs)
        assert all((world.job(job).ended_at or world.now) <= world.job(job).deadline for job in jobs)
    assert len(made) < ticks / 3
    for snapshot in made[1:]:
        begun_hour = snapshot.now - floor_to(snapshot.now, HOUR) < TICK
        assert begun_hour or any(timedelta(0) <= snapshot.now - end <= 2 * TICK for end in ended)
