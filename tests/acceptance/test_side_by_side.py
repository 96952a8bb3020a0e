"""Real torch work side by side: two runs of one synthesis at one site, one killed with SIGKILL, the same bytes as one run makes alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.spec import RunSpec, SampleRange, SynthesisWorkload, TrainingWorkload
from tests.acceptance.test_killed_at_random import (
    BATCH,
    CONFIG,
    PATIENCE_SECONDS,
    SAMPLES,
    SIMULATED,
    SYNTHESIS,
    TRAINING,
    House,
    digests,
    gathered,
    run_by_hand,
)
from tests.processes import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("wide house"))
    (house.folder / "lowtide.toml").write_text(CONFIG + "gpus = 2\n")
    house.start()
    yield house
    house.close()


@pytest.fixture(scope="module")
def weights(house: House) -> Path:
    """Trained without the daemon, which would learn from it how long a busy machine takes to start."""
    workload = TrainingWorkload.model_validate(TRAINING)
    trained = run_by_hand(house.folder / "trained", RunSpec(job_id="by-hand", run_id="training", workload=workload, metering=SIMULATED))
    lasting = house.folder / "data" / "weights.pt"
    lasting.parent.mkdir(exist_ok=True)
    lasting.write_bytes(trained.weights_file.read_bytes())
    return lasting


def only_for_two(house: House, workload: dict[str, Any]) -> str:
    """A deadline that is too short for one run, by the estimate."""
    assert house.daemon is not None
    answer = house.daemon.http.post("/v1/estimates", json={"workload": workload}).raise_for_status().json()
    return (datetime.now(UTC) + timedelta(hours=0.85 * answer["estimate"]["duration_hours"]["mid"])).isoformat()


def at_work(house: House, job_id: str) -> int:
    return [attempt["state"] for attempt in house.ask(f"/v1/jobs/{job_id}")["attempts"]].count("active")


def test_two_runs_side_by_side_one_killed_make_the_bytes_of_one_run_alone(house: House, weights: Path, tmp_path: Path) -> None:
    workload = SYNTHESIS | {"weights": {"path": weights.name}, "inference_steps": 20}
    job_id = house.submit(workload, deadline=only_for_two(house, workload))
    wait_for(lambda: at_work(house, job_id) == 2 or None, PATIENCE_SECONDS)
    wait_for(lambda: house.made(job_id) >= 2 * BATCH or None, PATIENCE_SECONDS)
    assert house.kill_worker()
    house.succeeded(job_id)
    states = [attempt["state"] for attempt in house.ask(f"/v1/jobs/{job_id}")["attempts"]]
    assert states.count("preempted") == 1
    assert states.count("completed") >= 2
    mine = gathered(house, job_id)
    assert sorted(mine) == list(range(SAMPLES))
    alone = RunSpec(
        job_id="by-hand",
        run_id="alone",
        workload=SynthesisWorkload.model_validate(workload),
        samples=SampleRange(first=0, count=SAMPLES),
        weights_path=str(weights),
        metering=SIMULATED,
    )
    assert digests(run_by_hand(tmp_path / "alone", alone).samples_file) == mine
