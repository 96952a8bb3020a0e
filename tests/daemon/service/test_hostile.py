"""What no careful client sends: each gets a sentence, never an error of the daemon's own, and harms no other job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from daemon.domain.errors import Rejected
from daemon.domain.job import JobRequest
from daemon.domain.states import JobState
from jobs.rundir import RunDirectory
from tests.daemon.service.world import MODEL_2D, NOON, World, open_world, synthesis, training

ENORMOUS: dict[str, Any] = {
    "samples": 100_000_000,
    "inference_steps": 1000,
    "model": {"dimensions": 3, "size": "large", "image_shape": [1024, 1024, 1024]},
}


def test_work_beyond_all_calendars_is_refused_with_its_length(world: World) -> None:
    with pytest.raises(Rejected, match=r"constraints\.deadline: the work takes about [\d,]{12,}\.\d h"):
        world.submit(synthesis(1, {"path": "weights.pt"}) | ENORMOUS, deadline="2199-12-31T00:00:00Z")


@pytest.mark.parametrize("cursor", ["9" * 19, "9" * 64, "²"])
def test_a_cursor_that_no_list_gave_is_refused(world: World, cursor: str) -> None:
    job_id = world.submit(training(1))
    with pytest.raises(Rejected, match="not a cursor"):
        world.daemon.service.events(job_id, cursor, 10)


def test_a_job_of_the_next_century_and_a_dear_wait_keep_no_other_from_running(world: World) -> None:
    last = world.submit(training(1), earliest_start="2198-01-01T00:00:00Z", deadline="2199-12-31T23:59:59Z")
    world.submit(training(1), price_of_waiting_g_per_hour=1e6)
    other = world.submit(training(1), deadline=world.deadline(8))
    world.until(other, JobState.SUCCEEDED)
    assert world.job(last).state is JobState.WAITING
    plan = world.daemon.service.plan()
    assert plan.bound_g <= plan.cost_g < float("inf")


@pytest.mark.parametrize("joules", [-1e9, float("nan"), float("inf"), 1e300])
def test_a_node_whose_meter_tells_nonsense_spoils_neither_ledger_nor_budget_nor_estimates(tmp_path: Path, joules: float) -> None:
    with open_world(tmp_path, projects={"ct": {"budget_kg_per_month": 1.0}}) as world:
        sound, spoilt = (world.submit(training(1), project="ct", deadline=world.deadline(hours)) for hours in (3, 9))
        world.until(sound, JobState.SUCCEEDED)
        world.until(spoilt, JobState.SUCCEEDED)
        (run,) = world.runs(spoilt)
        energy_file = RunDirectory(run.directory).energy_file
        lines = [json.loads(line) for line in energy_file.read_text().splitlines()]
        for line in lines[::2]:
            line["joules"] = dict.fromkeys(line["joules"], joules)
        energy_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        world.daemon.settler.settle()
        honest, filled = (world.ledger(job_id)[-1] for job_id in (sound, spoilt))
        assert filled.energy_kwh == pytest.approx(honest.energy_kwh, rel=0.2)
        assert filled.estimated_kwh > 0
        (budget,) = world.daemon.service.budgets()
        assert honest.actual_g is not None
        assert filled.actual_g is not None
        assert budget.settled_g == pytest.approx(honest.actual_g + filled.actual_g)
        energy_kwh = world.daemon.service.estimate(JobRequest.model_validate({"workload": training(1)})).estimate.energy_kwh
        assert energy_kwh.mid == pytest.approx(honest.energy_kwh, rel=0.5)


@pytest.mark.parametrize("year", ["1970", "2044", "9999"])
def test_a_node_whose_clock_was_wrong_keeps_its_account_open_and_the_daemon_from_nothing(
    world: World, caplog: pytest.LogCaptureFixture, year: str
) -> None:
    wrong, sound = (world.submit(training(1), deadline=world.deadline(hours)) for hours in (6, 9))
    for job_id in (wrong, sound):
        world.until(job_id, JobState.SUCCEEDED)
    (run,) = world.runs(wrong)
    energy_file = RunDirectory(run.directory).energy_file
    first, *others = energy_file.read_text().splitlines()
    energy_file.write_text("\n".join([first.replace(f"{NOON.year}-", f"{year}-"), *others, ""]))
    world.daemon.settler.settle()
    assert world.ledger(wrong) == []
    assert len(world.ledger(sound)) == 1
    (told,) = [record for record in caplog.records if record.message == "settlement-postponed"]
    assert "the clock of its host was wrong" in vars(told)["reason"]
    assert f"{year}-03-04" in vars(told)["reason"]


def test_a_tick_asks_no_more_often_the_more_jobs_wait_for_one(world: World) -> None:
    statements: list[str] = []
    sqlalchemy.event.listen(
        world.daemon.store.database.read_engine, "before_cursor_execute", lambda *execution: statements.append(str(execution[2]))
    )
    trained = world.submit(training(0.5, model=MODEL_2D), deadline=world.deadline(1))
    world.until(trained, JobState.SUCCEEDED)
    asked = []
    for number in (2, 10):
        for _ in range(number):
            world.submit(synthesis(2, {"job": trained}), after=[trained], earliest_start=world.deadline(5), deadline=world.deadline(20))
        world.tick()
        statements.clear()
        world.tick()
        asked.append(len(statements))
    assert asked[0] == asked[1] > 0
