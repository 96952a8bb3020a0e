"""Hardware profiles: what a step costs on one kind of machine, as JSON that says where each number comes from."""

from __future__ import annotations

import json
import math
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from jobs.energy.configuration import Configuration
from jobs.energy.features import Feature
from jobs.energy.flops import Operation
from jobs.spec import Precision, StrictModel

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class Coefficients(StrictModel):
    """Cost of one operation as a sum over features, seconds or joules per unit of each.

    `joules` None means seconds times the power that the profile's idle and TDP watts give. `spread` is the standard
    deviation of log(measured / predicted) for configurations left out of the fit; `flops_range` is where the fit's
    configurations lay (FLOPs of a step), and `cases` how many they were.
    """

    operation: Operation
    dimensions: Literal[2, 3]
    seconds: dict[Feature, NotNegative]
    joules: dict[Feature, NotNegative] | None = None
    spread: NotNegative
    flops_range: tuple[Positive, Positive]
    cases: Annotated[int, Field(ge=0)]
    precision: Precision = "float32"
    threads: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _costs_something(self) -> Self:
        for name, sizes in (("seconds", self.seconds), ("joules", self.joules)):
            if sizes is not None and not any(sizes.values()):
                raise ValueError(f"{name}: at least one feature must cost something")
        return self

    def distance(self, flops: float) -> float:
        """How far outside the fitted range, in factors of e; 0 inside."""
        low, high = self.flops_range
        return max(0.0, math.log(low / flops), math.log(flops / high))


class MeasuredStep(StrictModel):
    """One configuration measured on this hardware: a usual warm step.

    `spread` is the relative standard deviation of its seconds between the blocks of steps that were timed, `joules_spread`
    that of its joules, None where no counter told them block by block. `reference_seconds`: what the reference step
    (`jobs.energy.pace`) took meanwhile; None where none was timed.
    """

    configuration: Configuration
    seconds: Positive
    joules: Positive | None = None
    spread: NotNegative
    joules_spread: NotNegative | None = None
    steps: Annotated[int, Field(ge=1)]
    reference_seconds: Positive | None = None

    @property
    def widest_spread(self) -> float:
        """Of seconds and joules, that of which we are less sure."""
        return max(self.spread, self.joules_spread or 0.0)

    def at_pace(self, reference_seconds: float) -> Self:
        """The same as it would have been measured while the reference took that long. Counted joules stay what they were."""
        if self.reference_seconds is None:
            return self
        factor = reference_seconds / self.reference_seconds
        return self.model_copy(update={"seconds": self.seconds * factor, "reference_seconds": reference_seconds})


class CounterCheck(StrictModel):
    """What one GPU's energy counter told over some seconds of work, and what its power readings integrate to."""

    component: str
    seconds: Positive
    counted_joules: NotNegative
    integrated_joules: NotNegative

    @property
    def deviation(self) -> float | None:
        """Counted over integrated, less one; None where nothing was drawn."""
        return self.counted_joules / self.integrated_joules - 1 if self.integrated_joules > 0 else None


class Overhead(StrictModel):
    """What a job spends on something beside its steps: seconds for each, and for each gigabyte (1e9 bytes) in it.

    `watts`: component power meanwhile; None where no counter told.
    """

    seconds_each: NotNegative
    seconds_per_gb: NotNegative
    watts: Positive | None = None


class HardwareProfile(StrictModel):
    """Costs on one kind of machine. Watts are of all components of the host that the joules cover, without PUE.

    `pace_spread`: the standard deviation of the logarithm of the machine's pace, by the reference step beside each measured
    configuration; None where no reference was timed. `others_share` is the share of the host's CPUs that others used meanwhile,
    None where nobody looked. `checkpoint` is writing one, by the gigabytes of its file, `preparation`
    reading an image and fitting it to the model, by the gigabytes that networks then see; None where nobody measured.
    """

    format: Literal[1] = 1
    key: Annotated[str, Field(min_length=1, max_length=200)]
    kind: Literal["cpu", "gpu"]
    devices: tuple[str, ...]
    idle_watts: NotNegative
    tdp_watts: Positive
    host_cpus: Annotated[int, Field(ge=1)]
    startup_seconds: NotNegative
    startup_joules: NotNegative | None = None
    pace_spread: NotNegative | None = None
    others_share: Annotated[float, Field(ge=0, le=1)] | None = None
    checkpoint: Overhead | None = None
    preparation: Overhead | None = None
    counter_checks: tuple[CounterCheck, ...] = ()
    coefficients: tuple[Coefficients, ...]
    measured: tuple[MeasuredStep, ...] = ()
    provenance: dict[str, str] = Field(description="number or group of numbers -> how it came about, in words")
    libraries: dict[str, str] = Field(default_factory=dict)
    made_on: date

    def busy_watts(self, threads: int) -> float:
        """Power of a CPU host with that many threads at work; for a GPU host its TDP."""
        if self.kind == "gpu":
            return self.tdp_watts
        return self.idle_watts + (self.tdp_watts - self.idle_watts) * min(1.0, threads / self.host_cpus)

    @property
    def waiting_watts(self) -> float:
        """Power of the host and its device while one CPU thread works and a GPU, where there is one, waits."""
        return self.idle_watts if self.kind == "gpu" else self.busy_watts(1)

    def with_power(self, tdp_watts: float | None, idle_watts: float | None) -> Self:
        """The same machine with a site's own figures of power. Measured joules stay as they are, estimated ones follow."""
        changed = {"tdp_watts": tdp_watts, "idle_watts": idle_watts}
        return self.model_copy(update={name: watts for name, watts in changed.items() if watts is not None})


class UnreadableProfile(ValueError):
    """A profile file is not what it should be; the message names the file and the first fault."""


def read_profile(path: Path) -> HardwareProfile:
    """A profile from a JSON file. Raises UnreadableProfile."""
    try:
        return HardwareProfile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UnreadableProfile(f"{path}: {error.strerror}; name the file that `lowtide profile` wrote, or a bundled key") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise UnreadableProfile(f"{path}: {place}: {first['msg']}; measure the machine again with `lowtide profile`") from error


def bundled_profiles() -> dict[str, HardwareProfile]:
    """The profiles that come with the product, by key."""
    folder = files("jobs.energy") / "profiles"
    documents = [json.loads(entry.read_text(encoding="utf-8")) for entry in folder.iterdir() if entry.name.endswith(".json")]
    profiles = [HardwareProfile.model_validate(document) for document in documents]
    return {profile.key: profile for profile in sorted(profiles, key=lambda profile: profile.key)}


def profile_for(hardware: str) -> HardwareProfile:
    """The profile to use for a site's hardware: a file of `lowtide profile`, a bundled key, else a similar device's profile.

    A file is told by its ending `.json`, and its path then stands for the hardware as its key. A similar device (any `cpu`
    for a key that says so, else a GPU) is told by its key, which then differs from `hardware`. Raises UnreadableProfile.
    """
    if hardware.endswith(".json"):
        return read_profile(Path(hardware)).model_copy(update={"key": hardware})
    profiles = bundled_profiles()
    if hardware in profiles:
        return profiles[hardware]
    kind = "cpu" if "cpu" in hardware.lower() else "gpu"
    return next(profile for profile in profiles.values() if profile.kind == kind)
