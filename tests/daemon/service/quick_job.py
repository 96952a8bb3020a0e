"""A job for tests of the daemon: keeps the contract of run directories in a few milliseconds, with the standard library alone.

`quick_job.py FOLDER DIRECTORY`: says in FOLDER/starts.log that it was started and in FOLDER/made.log what it made, line by line.
A synthesis with seed 7 that begins at sample 0 waits after two samples until it is asked to stop; one with seed 8 waits there,
wherever it begins, until there is a file FOLDER/go.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER, DIRECTORY = Path(sys.argv[1]), Path(sys.argv[2])
ATTEMPT_ID = json.loads((DIRECTORY / "attempt.json").read_text())["attempt_id"]
SPEC = json.loads((DIRECTORY / "spec.json").read_text())
PATIENT_SEED, OBEDIENT_SEED = 7, 8


def note(name: str, line: str) -> None:
    with (FOLDER / name).open("a") as file:
        file.write(line + "\n")


def append(name: str, record: dict[str, Any]) -> None:
    with (DIRECTORY / name).open("a") as file:
        file.write(json.dumps({"attempt_id": ATTEMPT_ID} | record) + "\n")


class Meter:
    """Ten watts, from the last call to this one."""

    def __init__(self) -> None:
        self._since = datetime.now(UTC)

    def book(self, phase: str, first: int, last: int) -> None:
        since, self._since = self._since, datetime.now(UTC)
        joules = 10 * (self._since - since).total_seconds()
        span = {"start": since.isoformat(), "end": self._since.isoformat(), "step_from": first, "step_to": last, "phase": phase}
        append("energy.jsonl", span | {"joules": {"cpu": joules}, "provenance": {"cpu": "simulated"}})
        append("progress.jsonl", {"step": last, "of": total(), "when": self._since.isoformat()})


def total() -> int:
    workload = SPEC["workload"]
    return int(SPEC["samples"]["count"] if SPEC["samples"] else workload["iterations"] + workload["autoencoder_iterations"])


def end(kind: str, code: int, steps: int) -> None:
    outcome = {"attempt_id": ATTEMPT_ID, "kind": kind, "ended_at": datetime.now(UTC).isoformat(), "steps_done": steps}
    aside = DIRECTORY / "outcome.aside"
    aside.write_text(json.dumps(outcome))
    os.replace(aside, DIRECTORY / "outcome.json")
    os._exit(code)


def make_sample(index: int) -> None:
    name = f"samples/{index:06d}.png"
    (DIRECTORY / "artifacts" / name).write_bytes(b"sample %d" % index)
    note("made.log", f"{SPEC['job_id']} {index}")
    append("artifacts/samples.jsonl", {"index": index, "file": name, "sha256": "0" * 64, "fingerprint": "quick"})


def main() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # asked for between samples, so that none is cut
    note("starts.log", ATTEMPT_ID)
    note("devices.log", f"{ATTEMPT_ID} {os.environ.get('CUDA_VISIBLE_DEVICES', '')}")
    meter = Meter()
    meter.book("startup", 0, 0)
    first = SPEC["samples"]["first"] if SPEC["samples"] else 0
    for step in range(total()):
        if SPEC["samples"]:
            make_sample(first + step)
        meter.book("work", step, step + 1)
        if SPEC["workload"]["seed"] == PATIENT_SEED and first == 0 and step == 1:
            signal.sigwait({signal.SIGTERM})
            end("checkpointed", 75, step + 1)
        while SPEC["workload"]["seed"] == OBEDIENT_SEED and step == 1 and not (FOLDER / "go").exists():
            if signal.sigtimedwait({signal.SIGTERM}, 0.01) is not None:
                end("checkpointed", 75, step + 1)
        if signal.SIGTERM in signal.sigpending():
            end("checkpointed", 75, step + 1)
    if not SPEC["samples"]:
        (DIRECTORY / "artifacts" / "weights.pt").write_bytes(b"weights" * 1000)
    end("completed", 0, total())


main()
