"""The work our engine saves: `python -m tests.bench.engine [--case 2d|3d ...] [--option compiled ...] [--turns 9]`.

Side by side on this machine, one thread: the straightforward loop of the MONAI tutorials (LatentDiffusionInferer encodes the
image at every step, batch 1, float32, torch's default Adam; `inferer.sample` draws one sample at a time) and ours, one change
after the other. CPU time, in turns, so that a disturbance meets all, and ratios within a turn. Joules are estimated: seconds
times what the bundled profile `generic-cpu` gives one busy thread. Their loop is timed in a process of its own, as ours
changes how its process treats memory.

That the output is as good is shown in numbers. Training: the greatest relative difference of the losses of the first steps from
those of float32 at the same batch size, and the loss on patients never seen after equally many images. Synthesis: root mean
square of what samples of equal seeds differ from ours of float32 at batch 1, relative to these. The MONAI loop visits other
levels where it takes fewer steps than the training has, so its sample is compared at all of them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from jobs.energy.hardware import bundled_profiles
from jobs.spec import TRAIN_TIMESTEPS, ModelSpec
from tests.bench.engine_loops import Case, MonaiLoop, Option, OurSynthesis, OurTraining, TheirProcess, cpu_seconds, judged_loss, teach

CASES = {
    "2d": ModelSpec(dimensions=2, size="tiny", image_shape=(64, 64)),
    "3d": ModelSpec(dimensions=3, size="tiny", image_shape=(32, 32, 32)),
}
EPOCHS = 100  # over which our one encoding of each image is shared out; the paper trains 1,250
SAMPLING_STEPS = 10  # each costs the same
BATCH = 4
FIRST_STEPS = 10  # whose losses are compared; later ones part even where only the last bits differ
TRAINED_IMAGES, SAMPLES = 120, 4
OPTIONS = {
    "batch-1": Option("ours, batch 1"),
    "batch-4": Option("batch 4", BATCH),
    "channels-last": Option("batch 4, channels-last", BATCH, {"channels_last": True}),
    "bfloat16": Option("batch 4, bfloat16", BATCH, {"precision": "bfloat16"}),
    "compiled": Option("batch 4, compiled", BATCH, {"compile": True}),
}
_ALWAYS = ("batch-1", "batch-4")  # what the others are compared with


@dataclass(frozen=True)
class Cost:
    """Of one image and step, or of one sample: CPU seconds, and these over the other loop's."""

    seconds: float
    ratio: float

    def __str__(self) -> str:
        joules = self.seconds * bundled_profiles()["generic-cpu"].busy_watts(1)
        return f"{1000 * self.seconds:.3g} ms, {joules:.2g} J ({self.ratio:.2f})"


def costs(measure: Sequence[Callable[[], float]], surcharge_seconds: float, turns: int) -> list[Cost]:
    """Medians over the turns, after one to warm up; the first is theirs, to which the surcharge does not apply."""
    for each in measure:
        each()
    table = [
        [seconds + surcharge_seconds * (number > 0) for number, seconds in enumerate(each() for each in measure)] for _ in range(turns)
    ]
    columns = list(zip(*table, strict=True))
    return [
        Cost(statistics.median(column), statistics.median(ours / theirs for ours, theirs in zip(column, columns[0], strict=True)))
        for column in columns
    ]


def training_costs(case: Case, theirs: TheirProcess, options: Sequence[Option], turns: int) -> list[Cost]:
    def per_image(loop: OurTraining, batch_size: int) -> float:
        return cpu_seconds(loop.train_step) / batch_size

    measure = [partial(theirs.cpu_seconds, "train_step")]
    measure += [partial(per_image, OurTraining(case, option), option.batch_size) for option in options]
    return costs(measure, case.encoding_seconds / EPOCHS, turns)


def sampling_costs(case: Case, theirs: TheirProcess, options: Sequence[Option], turns: int) -> list[Cost]:
    def per_sample(loop: OurSynthesis, batch_size: int) -> float:
        return cpu_seconds(lambda: loop.sample(0, SAMPLING_STEPS)) / batch_size

    measure = [partial(theirs.cpu_seconds, "sample", 0, SAMPLING_STEPS)]
    measure += [partial(per_sample, OurSynthesis(case, option), option.batch_size) for option in options]
    return costs(measure, 0.0, turns)


@dataclass(frozen=True)
class Course:
    """Of a training: the losses of its steps, and the finished network's on patients never seen."""

    batch_size: int
    losses: list[float]
    judged: float

    def beside(self, others: Sequence[Course]) -> str:
        """Beside the first of the others, ours of float32, with equal batches."""
        plain = next(other for other in others if other.batch_size == self.batch_size)
        pairs = list(zip(self.losses, plain.losses, strict=True))[:FIRST_STEPS]
        return f"{max(abs(mine - its) / its for mine, its in pairs):.0e}; {self.judged:.3f}"


def courses(case: Case, options: Sequence[Option]) -> list[Course]:
    """Of both loops over as many images; theirs first."""
    ours = [(option.batch_size, OurTraining(case, option)) for option in options]
    loops: list[tuple[int, MonaiLoop | OurTraining]] = [(1, MonaiLoop(case)), *ours]
    made = []
    for batch_size, loop in loops:
        losses = [loop.train_step() for _ in range(TRAINED_IMAGES // batch_size)]
        made.append(Course(batch_size, losses, judged_loss(loop.unet, case)))
    return made


def sample_deviations(case: Case, options: Sequence[Option]) -> list[float]:
    """Of both loops' samples from ours of float32 at batch 1; theirs first, at all steps."""
    plain = OurSynthesis(case, OPTIONS["batch-1"])
    deviations = [relative_rms(MonaiLoop(case).sample(0, TRAIN_TIMESTEPS), plain.sample(0, TRAIN_TIMESTEPS))]
    expected = torch.cat([plain.sample(first, SAMPLING_STEPS) for first in range(SAMPLES)])
    for option in options:
        loop = OurSynthesis(case, option)
        made = torch.cat([loop.sample(first, SAMPLING_STEPS) for first in range(0, SAMPLES, option.batch_size)])
        deviations.append(relative_rms(made, expected))
    return deviations


def relative_rms(made: Tensor, expected: Tensor) -> float:
    return float((made - expected).square().mean().sqrt() / expected.square().mean().sqrt())


def compare(name: str, model: ModelSpec, chosen: Sequence[str], turns: int) -> None:
    """Print the table of one case, in Markdown."""
    case = teach(model)
    options = [OPTIONS[key] for key in OPTIONS if key in chosen or key in _ALWAYS]
    theirs = TheirProcess(case)
    trained = courses(case, options)
    rows = zip(
        ("MONAI loop", *(option.name for option in options)),
        training_costs(case, theirs, options, turns),
        [course.beside(trained[1:]) for course in trained],
        sampling_costs(case, theirs, options, max(3, turns // 3)),
        sample_deviations(case, options),
        strict=True,
    )
    image = " x ".join(map(str, model.image_shape))
    print(f"\n| {name}, tiny, {image} | training, an image and step | first losses off by; loss after {TRAINED_IMAGES} images ", end="")
    print(f"| {SAMPLING_STEPS} denoise steps and decoding, a sample | its deviation |\n| --- | --- | --- | --- | --- |")
    for label, training, course, sampling, deviation in rows:
        print(f"| {label} | {training} | {course} | {sampling} | {deviation:.0e} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, action="append", help="2d (64 x 64), 3d (32 x 32 x 32); default: both")
    parser.add_argument(
        "--option", choices=[key for key in OPTIONS if key not in _ALWAYS], action="append", help="default: all but compiled"
    )
    parser.add_argument("--turns", type=int, default=9)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in arguments.case or CASES:
        compare(name, CASES[name], arguments.option or ("channels-last", "bfloat16"), arguments.turns)
    return 0


if __name__ == "__main__":
    sys.exit(main())
