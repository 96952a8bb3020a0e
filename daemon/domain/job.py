"""Job, Run and Attempt: a request, one pass over (a part of) its work, one submission to an executor."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from daemon.domain.instants import NamedInstant
from daemon.domain.states import AttemptState, JobState
from jobs.spec import SampleRange, StrictModel, SynthesisWorkload, TrainingWorkload, Workload

MOST_NAMES = 100  # sites or predecessors that one job may list: each costs a look-up, each site a row in every plan
Name = Annotated[str, Field(max_length=64, pattern=r"^[\x21-\x7e]*$")]  # of a site or a job; what holds others cannot be one
DEAREST_WAIT_G_PER_HOUR = 1e6  # a tonne an hour; far beyond it, sums with grams lose their meaning and then overflow


class Constraints(StrictModel):
    """When and where a job may run. Everything is optional; what is left out comes from the settings."""

    earliest_start: NamedInstant | None = None
    deadline: NamedInstant | None = Field(
        default=None,
        description="the job must have ended by then; default: the configured maximum delay after acceptance or earliest_start",
    )
    sites: tuple[Name, ...] | None = Field(
        default=None,
        max_length=MOST_NAMES,
        description="where it may run; default: every site that admits its data, or home alone for data or weights at a path",
    )
    home: Name | None = Field(default=None, description="where it would run if nobody thought about carbon: the baseline's site")
    gpus: int = Field(default=1, ge=1, le=64)
    after: tuple[Name, ...] = Field(default=(), max_length=MOST_NAMES, description="ids of jobs that must have succeeded before")
    interruptible: bool | None = Field(default=None, description="may be stopped at a checkpoint and go on later; default: true")
    contiguous: bool = Field(default=False, description="run in one piece: no pauses, no chunks")
    max_parallel: int | None = Field(
        default=None, ge=1, le=1000, description="runs of a synthesis side by side at most; default: planner.max_parallel"
    )
    price_of_waiting_g_per_hour: float = Field(
        default=0.0, ge=0, le=DEAREST_WAIT_G_PER_HOUR, description="gCO2e that an hour of delay must earn"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.earliest_start and self.deadline and not self.earliest_start < self.deadline:
            raise ValueError("deadline must lie after earliest_start")
        if self.contiguous and self.interruptible:
            raise ValueError("contiguous and interruptible contradict each other: a contiguous job is never paused")
        if self.contiguous and (self.max_parallel or 1) > 1:
            raise ValueError("contiguous and max_parallel contradict each other: a contiguous job is never cut into chunks")
        if self.sites is not None and not self.sites:
            raise ValueError("sites must name at least one site; leave it out to allow every site")
        if self.sites is not None and len(set(self.sites)) < len(self.sites):
            raise ValueError("sites names a site twice: name each once")
        return self


class JobRequest(StrictModel):
    """The body of `POST /v1/jobs`."""

    name: str = Field(default="", max_length=200)
    workload: Workload
    constraints: Constraints = Constraints()
    project: str = Field(
        default="default",
        min_length=1,
        max_length=100,
        description="whose budget it counts in; default: the only one of the token, if bound",
    )
    priority: int = Field(default=0, ge=-100, le=100)

    @field_validator("name", "project")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("must be printable text on one line")
        return value

    @model_validator(mode="after")
    def _only_synthesis_is_cut(self) -> Self:
        if isinstance(self.workload, TrainingWorkload) and (self.constraints.max_parallel or 1) > 1:
            raise ValueError("constraints.max_parallel: only a synthesis is cut into chunks; give a training more gpus instead")
        return self


class DataTag(StrEnum):
    """What a site must admit before data or weights may be there."""

    PUBLIC = "public"
    PATIENT_DATA = "patient-data"
    DERIVED = "derived-from-patient-data"  # weights and checkpoints: diffusion models memorise


@dataclass(frozen=True, slots=True)
class Came:
    """What a job asked of the GPUs when it came; the fields are a `Job`'s."""

    id: str
    kind: str
    accepted_at: datetime
    deadline: datetime
    gpus_at_most: int
    shortest_seconds: float


@dataclass(frozen=True, slots=True)
class Job:
    """A request and where it stands. `version` counts its changes; a commit against an older version is refused.

    Times are grid time. `deadline` is the effective one. `needs` is the data class every site of the job must
    admit, fixed at acceptance like `home`.
    """

    id: str
    request: JobRequest
    state: JobState
    reason: str
    accepted_at: datetime
    home: str
    deadline: datetime
    needs: DataTag
    version: int = 1
    cancel_requested: bool = False
    retries: int = 0  # attempts that failed, were preempted or lost; a suspension costs none
    started_at: datetime | None = None
    ended_at: datetime | None = None
    planned: tuple[PlannedSegment, ...] = ()
    settled: bool = False  # a final ledger entry exists
    estimated_energy_kwh: float | None = None  # component energy as estimated at acceptance, at home
    estimated_seconds: float | None = None  # grid seconds as estimated at acceptance, at home
    owner: str | None = None  # name of the token it came with; None without tokens
    gpus_at_most: int | None = None  # that it would hold at once, in all its runs side by side, as seen at acceptance
    shortest_seconds: float | None = None  # grid seconds on so many where that is quickest, without a pause, as estimated at acceptance

    @property
    def workload(self) -> TrainingWorkload | SynthesisWorkload:
        return self.request.workload

    @property
    def share_holder(self) -> str:
        """Whose share it takes from: its owner's, else its project's."""
        return self.owner or self.request.project

    @property
    def predecessors(self) -> tuple[str, ...]:
        """Jobs that must succeed before: those named in `after`, and the one whose weights a synthesis uses."""
        weights = (self.workload.weights.job,) if isinstance(self.workload, SynthesisWorkload) and self.workload.weights.job else ()
        return tuple(dict.fromkeys((*self.request.constraints.after, *weights)))

    @property
    def is_divisible(self) -> bool:
        return isinstance(self.workload, SynthesisWorkload) and not self.request.constraints.contiguous

    @property
    def is_interruptible(self) -> bool:
        if self.request.constraints.contiguous:
            return False
        return self.request.constraints.interruptible is not False


@dataclass(frozen=True, slots=True)
class PlannedSegment:
    """A stretch of one site's slots that the last plan gave a job. Grid time, half-open."""

    site: str
    start: datetime
    end: datetime
    gpus: int


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over a job's work (training) or over a range of its samples (synthesis), in one run directory.

    `steps_done` is the progress that will survive (training: the newest outcome's or checkpoint's; synthesis: samples).
    A closed run gives its unmade samples back to the job.
    """

    id: str
    job_id: str
    site: str
    directory: str  # absolute local path of the run directory
    samples: SampleRange | None
    created_at: datetime
    closed_at: datetime | None = None
    steps_done: int = 0
    transferred_gb: float = 0.0  # data moved to this site for it


class StopWish(StrEnum):
    SUSPEND = "suspend"  # to go on later, perhaps as several runs
    ABANDON = "abandon"  # a run beside it failed for good, and the job with it
    CANCEL = "cancel"  # the user said so


@dataclass(frozen=True, slots=True)
class Attempt:
    """One submission of a run to an executor, recorded before it happens. Grid time."""

    id: str
    run_id: str
    job_id: str
    site: str
    number: int
    state: AttemptState
    created_at: datetime
    gpus: int = 1
    native_id: str | None = None
    stop_wish: StopWish | None = None
    stop_wished_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One step in a job's life, append-only. `kind` is a stable word, `detail` plain JSON values."""

    job_id: str
    at: datetime
    kind: str
    message: str
    detail: dict[str, object] = field(default_factory=dict)
    sequence: int | None = None  # given by the store
