"""The operator's choices that the service needs, taken from the settings by compose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from daemon.domain.execution import Executor
from daemon.domain.site import Site
from forecast.intensity import LIFECYCLE_AVERAGE, IntensityKind
from jobs.spec import MeteringSpec


@dataclass(frozen=True, slots=True)
class Policy:
    """How the service plans, retries and settles. Durations are grid time, except where a node's own pace counts."""

    default_home: str
    slot: timedelta = timedelta(minutes=30)
    horizon: timedelta = timedelta(hours=96)
    longest_horizon: timedelta = timedelta(days=14)
    maximum_delay: timedelta = timedelta(hours=72)
    retries: int = 3
    max_parallel: int = 4  # runs of one synthesis side by side at most; each costs a start-up, and the planner time
    stop_grace: timedelta = timedelta(minutes=10)  # real time: after that a stopping attempt is killed
    launch_patience: timedelta = timedelta(minutes=10)  # real time: after that an attempt that cannot be started is given up
    final_after: timedelta = timedelta(hours=72)  # an hour older than this and no longer estimated is final
    adjust_for: timedelta = timedelta(days=30)  # how long after its end a job's hours are watched for restatements
    kind: IntensityKind = LIFECYCLE_AVERAGE
    checkpoint_every_seconds: float = 30.0
    homebound_projects: frozenset[str] = frozenset()  # projects whose weights stay where patient data is admitted


@dataclass(frozen=True, slots=True)
class Workplace:
    """A site with what is needed to work there: its executor, where run directories live, where data may lie."""

    site: Site
    executor: Executor
    run_root: Path
    metering: MeteringSpec
    data_root: Path


Workplaces = Mapping[str, Workplace]
