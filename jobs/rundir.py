"""The run directory: the one place that names every file a node and the daemon exchange.

All writes are aside-then-replace or append-and-flush, so a reader never sees half a document and a
kill at any instruction loses at most the line being written. A torn last line is skipped by readers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from jobs.outcome import Outcome
from jobs.spec import RunSpec

Provenance = Literal["measured", "estimated", "simulated"]
Phase = Literal["startup", "preparing", "work", "encoding", "validation", "checkpoint", "shutdown"]
R = TypeVar("R", bound=BaseModel)

MOST_JOULES = 1e10  # a megawatt for almost three hours; a record is of seconds or minutes
_TAIL_BYTES = (2048, 65536)  # hold a dozen progress lines, and hundreds where many are torn


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class AttemptFile(_Record):
    """`attempt.json`: whose turn it is. Written by the daemon before each launch."""

    attempt_id: str
    run_id: str
    job_id: str
    number: int = Field(ge=1)


class ProgressRecord(_Record):
    """`step` of `of` done at `when` (real UTC of the node) by `attempt_id`; `stage` in words for people."""

    attempt_id: str
    step: int
    of: int
    when: AwareDatetime
    stage: str = ""
    seconds_per_step: float | None = None


class EnergyRecord(_Record):
    """Energy of the half-open interval [start, end) (real UTC of the node) in joules per component, without PUE.

    `step_from` and `step_to` are the steps done at its start and its end, so that work done twice can be told apart.
    A missing component is unknown, not zero.
    """

    attempt_id: str
    start: AwareDatetime
    end: AwareDatetime
    joules: dict[str, float]  # component ("cpu", "dram", "gpu0", ...) -> joules
    provenance: dict[str, Provenance]  # the same components
    phase: Phase = "work"
    step_from: int = 0
    step_to: int = 0

    @field_validator("joules")
    @classmethod
    def _possible(cls, value: dict[str, float]) -> dict[str, float]:
        """What no component can have used is not known: a counter that ran backwards, a sensor that broke, no number at all."""
        return {component: joules for component, joules in value.items() if 0 <= joules <= MOST_JOULES}

    @property
    def total_joules(self) -> float:
        return sum(self.joules.values())

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


class SampleRecord(_Record):
    """One finished sample in `artifacts/samples.jsonl`: its file (relative to artifacts/), digest and fingerprint."""

    index: int
    file: str
    sha256: str
    fingerprint: str
    attempt_id: str


class _Within:
    """A file or folder of a run directory. Its path is made when it is asked for: a tick looks at one or two files of each run."""

    def __init__(self, *parts: str) -> None:
        self._parts = parts

    def __get__(self, directory: RunDirectory, owner: type[RunDirectory]) -> Path:
        return directory.path.joinpath(*self._parts)


class RunDirectory:
    """Names every file of one run and reads and writes them safely. Creating the object touches nothing."""

    spec_file = _Within("spec.json")
    attempt_file = _Within("attempt.json")
    progress_file = _Within("progress.jsonl")
    energy_file = _Within("energy.jsonl")
    outcome_file = _Within("outcome.json")
    log_file = _Within("log.txt")
    carbontracker = _Within("carbontracker")  # carbontracker's own logs: mean power per stretch of work
    lock_file = _Within("lock")  # held by flock while an attempt works here: the fencing token
    process_file = _Within("process.json")  # the local executor's: pid, start time, attempt
    exit_file = _Within("exit.json")  # the local executor's: how the attempt's process ended
    supervisor_lock_file = _Within("supervisor.lock")  # the local executor's: held while a supervisor watches here
    checkpoints = _Within("checkpoints")
    cache = _Within("cache")  # prepared images and latents: of the data's own class, and can be made again
    artifacts = _Within("artifacts")
    weights_file = _Within("artifacts", "weights.pt")
    samples = _Within("artifacts", "samples")
    samples_file = _Within("artifacts", "samples.jsonl")

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def prepare(self, spec: RunSpec) -> None:
        """Make the folders and write the spec; safe to repeat."""
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        self.samples.mkdir(parents=True, exist_ok=True)
        write_aside(self.spec_file, spec.model_dump_json(indent=1, by_alias=True))

    def remove_remains(self) -> None:
        """Remove half-written files of killed attempts from the folders only the node writes to. Hold the lock."""
        for folder in (self.checkpoints, self.cache, self.artifacts, self.samples):
            for remains in folder.glob(".*.tmp"):
                remains.unlink(missing_ok=True)

    def read_spec(self) -> RunSpec:
        return RunSpec.model_validate_json(self.spec_file.read_bytes())

    def write_attempt(self, attempt: AttemptFile) -> None:
        write_aside(self.attempt_file, attempt.model_dump_json(indent=1))

    def read_attempt(self) -> AttemptFile | None:
        return AttemptFile.model_validate_json(self.attempt_file.read_bytes()) if self.attempt_file.exists() else None

    def write_outcome(self, outcome: Outcome) -> None:
        write_aside(self.outcome_file, outcome.model_dump_json(indent=1))

    def read_outcome(self, attempt_id: str) -> Outcome | None:
        """The outcome of that very attempt; None if it has not written one (an older attempt's does not count)."""
        try:
            outcome = Outcome.model_validate_json(self.outcome_file.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        return outcome if outcome.attempt_id == attempt_id else None

    def append_progress(self, record: ProgressRecord) -> None:
        append_line(self.progress_file, record.model_dump_json())

    def last_progress(self) -> ProgressRecord | None:
        """The newest progress; reads only the end of the file, as it is asked for at every tick."""
        tails = (_read_records(self.progress_file, ProgressRecord, last_bytes=size, backwards=True) for size in _TAIL_BYTES)
        return next((record for tail in tails for record in tail), None)

    def progress(self) -> list[ProgressRecord]:
        return list(_read_records(self.progress_file, ProgressRecord))

    def append_energy(self, record: EnergyRecord) -> None:
        append_line(self.energy_file, record.model_dump_json())

    def energy(self) -> list[EnergyRecord]:
        return list(_read_records(self.energy_file, EnergyRecord))

    def append_sample(self, record: SampleRecord) -> None:
        append_line(self.samples_file, record.model_dump_json())

    def sample_records(self) -> list[SampleRecord]:
        """One record per finished index, in order of index; a sample remade after damage keeps its newest record."""
        newest = {record.index: record for record in _read_records(self.samples_file, SampleRecord)}
        return [newest[index] for index in sorted(newest)]


def write_aside(path: Path, text: str | bytes) -> None:
    """Write a whole file so that readers see the old or the new content, never a part, even across a power cut."""
    data = text.encode() if isinstance(text, str) else text
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def append_line(path: Path, line: str) -> None:
    """Append one line and flush it to disk. A torn line left by a kill is closed first, so it cannot swallow this one."""
    try:
        file = path.open("ab+")
    except FileNotFoundError:  # the first line of all: the folder is not there either
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab+")
    with file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _read_records(path: Path, kind: type[R], last_bytes: int | None = None, *, backwards: bool = False) -> Iterator[R]:
    try:
        data = path.read_bytes() if last_bytes is None else _tail(path, last_bytes)
    except FileNotFoundError:
        return
    lines = data.decode("utf-8", errors="replace").splitlines()
    for line in reversed(lines) if backwards else lines:
        try:
            yield kind.model_validate_json(line)
        except ValidationError:
            continue  # a line torn by a kill, or cut by where we began to read


def _tail(path: Path, size: int) -> bytes:
    """The last bytes of a file. By its descriptor: a tick looks at every run, and a file object asks the system much it need not know."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.pread(descriptor, size, max(0, os.fstat(descriptor).st_size - size))
    finally:
        os.close(descriptor)
