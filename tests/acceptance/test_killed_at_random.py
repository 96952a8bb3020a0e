"""Real torch work killed with SIGKILL at random moments: every sample once, every byte the same, every joule in the ledger."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobs.rundir import AttemptFile, RunDirectory
from jobs.spec import MeteringSpec, RunSpec, SampleRange, SynthesisWorkload, TrainingWorkload
from tests.processes import RunningDaemon, daemon_process, wait_for

pytestmark = pytest.mark.slow

CONFIG = """
[planner]
retries = 30
[ticker]
tick_seconds = 0.2
settle_minutes = 0.02
[[sites]]
name = "here"
zone = "DE"
meter = "simulated"
simulated_watts = 50
meter_interval_seconds = 0.1
admits = ["derived-from-patient-data"]
"""
SEED = 20260711
SAMPLES, BATCH = 200, 4
MODEL = {"dimensions": 2, "size": "tiny", "image_shape": [32, 32]}
TRAINING: dict[str, Any] = {
    "kind": "training", "model": MODEL, "data": {"phantom": {"patients": 4}}, "iterations": 6, "autoencoder_iterations": 4,
}  # fmt: skip
SYNTHESIS: dict[str, Any] = {
    "kind": "synthesis", "model": MODEL, "samples": SAMPLES, "inference_steps": 50, "batch_size": BATCH, "seed": 11,
}  # fmt: skip
PATIENCE_SECONDS = 300.0


@dataclass
class House:
    """A folder with a daemon that can be killed and started again."""

    folder: Path
    daemon: RunningDaemon | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        self._stack = ExitStack()
        self.daemon = self._stack.enter_context(daemon_process(self.folder))

    def close(self) -> None:
        self._stack.close()

    def kill_daemon(self) -> None:
        assert self.daemon is not None
        self.daemon.process.kill()
        self.daemon.process.wait()
        self.close()

    def kill_worker(self) -> bool:
        """SIGKILL to the process that works now; False if there is none."""
        for file in self.folder.glob("runs/*/*/process.json"):
            record = json.loads(file.read_text())
            if not (file.parent / "exit.json").exists() and Path(f"/proc/{record['pid']}").exists():
                os.kill(record["pid"], signal.SIGKILL)
                return True
        return False

    def ask(self, path: str) -> Any:
        assert self.daemon is not None
        return httpx.get(self.daemon.url + path, timeout=30).raise_for_status().json()

    def submit(self, workload: dict[str, Any], **constraints: Any) -> str:
        assert self.daemon is not None
        answer = httpx.post(self.daemon.url + "/v1/jobs", json={"workload": workload, "constraints": constraints}, timeout=30)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["job"]["id"])

    def succeeded(self, job_id: str) -> None:
        def ended() -> str | None:
            job = self.ask(f"/v1/jobs/{job_id}")
            assert job["state"] not in ("failed", "cancelled", "expired"), job["reason"]
            return "yes" if job["state"] == "succeeded" else None

        wait_for(ended, PATIENCE_SECONDS)

    def made(self, job_id: str) -> int:
        """Samples on disk, whether kept or not."""
        return sum(file.read_bytes().count(b"\n") for file in self.folder.glob(f"runs/{job_id}/*/artifacts/samples.jsonl"))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("house"))
    (house.folder / "lowtide.toml").write_text(CONFIG)
    house.start()
    yield house
    house.close()


@pytest.fixture(scope="module")
def weights_job(house: House) -> str:
    job_id = house.submit(TRAINING)
    house.succeeded(job_id)
    return job_id


@pytest.fixture(scope="module")
def killed(house: House, weights_job: str) -> str:
    """The synthesis, and ten kills on its way: the worker, the daemon, both, in turns."""
    job_id = house.submit(SYNTHESIS | {"weights": {"job": weights_job}})
    dice = random.Random(SEED)
    for number, moment in enumerate(sorted(dice.sample(range(1, SAMPLES - 2 * BATCH), 10))):
        wait_for(lambda: house.made(job_id) >= moment or None, PATIENCE_SECONDS)  # noqa: B023  # asked at once
        time.sleep(dice.uniform(0, 0.3))  # somewhere within a micro-batch, a write or a tick
        if number % 3 != 1:
            house.kill_worker()
        if number % 3 != 0:
            house.kill_daemon()
            house.start()
    house.succeeded(job_id)
    return job_id


def digests(file: Path) -> dict[int, str]:
    """By index; an index that comes twice would be a sample made and kept twice."""
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(records) == len({record["index"] for record in records})
    return {record["index"]: record["sha256"] for record in records}


def gathered(house: House, job_id: str) -> dict[int, str]:
    return digests(wait_for(lambda: next(iter(house.folder.glob(f"runs/{job_id}/samples.jsonl")), None), PATIENCE_SECONDS))


def run_by_hand(path: Path, spec: RunSpec) -> RunDirectory:
    """One uninterrupted attempt without any daemon."""
    directory = prepared(path, spec)
    subprocess.run([sys.executable, "-m", "jobs", "run", str(path)], check=True, cwd=Path(__file__).parents[2])
    return directory


def prepared(path: Path, spec: RunSpec) -> RunDirectory:
    directory = RunDirectory(path)
    directory.prepare(spec)
    directory.write_attempt(AttemptFile(attempt_id="by-hand", run_id=spec.run_id, job_id=spec.job_id, number=1))
    return directory


def chunk(house: House, weights_job: str, first: int, count: int) -> RunSpec:
    (weights,) = house.folder.glob(f"runs/{weights_job}/*/artifacts/weights.pt")
    workload = SynthesisWorkload.model_validate(SYNTHESIS | {"weights": {"job": weights_job}})
    samples = SampleRange(first=first, count=count)
    return RunSpec(
        job_id="by-hand", run_id=f"from-{first}", workload=workload, samples=samples, weights_path=str(weights), metering=SIMULATED
    )


SIMULATED = MeteringSpec(meter="simulated", simulated_watts=50.0)


def test_ten_kills_later_there_are_exactly_the_samples_asked_for(house: House, killed: str) -> None:
    assert sorted(gathered(house, killed)) == list(range(SAMPLES))
    assert len(list(house.folder.glob(f"runs/{killed}/samples/*"))) == SAMPLES
    attempts = house.ask(f"/v1/jobs/{killed}")["attempts"]
    assert [attempt["state"] for attempt in attempts].count("completed") == 1
    assert [attempt["state"] for attempt in attempts].count("preempted") >= 3


def test_they_are_byte_for_byte_those_of_an_uninterrupted_run(house: House, weights_job: str, killed: str, tmp_path: Path) -> None:
    whole = run_by_hand(tmp_path / "whole", chunk(house, weights_job, 0, SAMPLES))
    assert digests(whole.samples_file) == gathered(house, killed)


def test_and_those_of_one_cut_into_other_chunks(house: House, weights_job: str, killed: str, tmp_path: Path) -> None:
    pieces: dict[int, str] = {}
    for first, count in ((120, 80), (0, 36), (36, 84)):
        pieces |= digests(run_by_hand(tmp_path / f"from-{first}", chunk(house, weights_job, first, count)).samples_file)
    assert pieces == gathered(house, killed)


def test_the_energy_of_the_killed_parts_is_in_the_ledger_as_waste(house: House, killed: str) -> None:
    entry = wait_for(lambda: (house.ask(f"/v1/jobs/{killed}/ledger")["entries"] or [None])[-1], PATIENCE_SECONDS)
    assert entry["waste_kwh"] > 0
    assert entry["overhead_kwh"] > 0
    assert entry["energy_kwh"] == pytest.approx(entry["useful_kwh"] + entry["waste_kwh"] + entry["overhead_kwh"])
    metered = sum(
        sum(json.loads(line)["joules"].values())
        for file in house.folder.glob(f"runs/{killed}/*/energy.jsonl")
        for line in file.read_text().splitlines()
    )
    assert entry["energy_kwh"] * 3.6e6 >= metered * (1 - 1e-9)


def test_a_training_killed_on_its_way_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path) -> None:
    import torch

    workload = TrainingWorkload.model_validate(TRAINING | {"iterations": 30, "autoencoder_iterations": 10})
    spec = RunSpec(job_id="j", run_id="r", workload=workload, checkpoint_every_seconds=0.01, metering=SIMULATED)
    killed = prepared(tmp_path / "killed", spec)
    dice = random.Random(SEED)
    for step in (4, 14, 27):
        process = subprocess.Popen([sys.executable, "-m", "jobs", "run", str(killed.path)], cwd=Path(__file__).parents[2])
        wait_for(lambda: _reached(killed, step), PATIENCE_SECONDS)  # noqa: B023  # asked at once
        time.sleep(dice.uniform(0, 0.05))
        process.kill()
        process.wait()
    subprocess.run([sys.executable, "-m", "jobs", "run", str(killed.path)], check=True, cwd=Path(__file__).parents[2])
    whole = run_by_hand(tmp_path / "whole", spec)
    mine, theirs = (torch.load(directory.weights_file, weights_only=True) for directory in (killed, whole))
    assert len(_tensors(mine)) > 50  # all layers of both networks
    assert _tensors(mine) == _tensors(theirs)


def _reached(directory: RunDirectory, step: int) -> bool | None:
    """Whether the energy records, which know every step, have come so far."""
    return any(record.step_to >= step for record in directory.energy()) or None


def _tensors(tree: Any, name: str = "") -> dict[str, bytes]:
    """Every tensor of a weights file as bytes, by its place."""
    if hasattr(tree, "numpy"):
        return {name: tree.contiguous().numpy().tobytes()}
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list | tuple) else ()
    return {key: value for part, branch in items for key, value in _tensors(branch, f"{name}/{part}").items()}
