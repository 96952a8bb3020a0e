"""How well the energy model predicts configurations it has never seen: `python -m tests.bench.energy_model [FILE ...]`.

Leave one configuration out: for each model and batch size, everything is fitted to all others and the steps of the one left
out are predicted, through the same fit and the same model as the product uses. Beside it two plain baselines on the same
cases: seconds proportional to FLOPs, and a power law in FLOPs with a flag for 3D, one for each operation. FILEs are those of
`tests.bench.energy_timing`; without any, the measured ones that are kept here. Exits with 1 where the model misses its bounds.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import statistics
import time
import timeit
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from jobs.energy.calibration import Z80
from jobs.energy.fitting import fit_coefficients
from jobs.energy.flops import OPERATIONS, Operation, sample_flops
from jobs.energy.hardware import HardwareProfile, MeasuredStep, Overhead, bundled_profiles
from jobs.energy.model import EnergyModel
from tests.bench.energy_configurations import configurations
from tests.jobs.energy.builders import training

KEPT = Path(__file__).parent / "data" / "energy_steps.jsonl"
MOST_MEAN_ERROR = 0.12  # of steps of configurations never seen
COVERAGE = (0.75, 0.87)  # shares of them that 80 % intervals may hold
CHECKPOINT, PREPARATION = (
    Overhead(seconds_each=0.02, seconds_per_gb=7.0),
    Overhead(seconds_each=0.028, seconds_per_gb=32.0),
)  # a profiling's
OTHER_CPU_SIGMA = 0.35  # of log seconds between server CPUs of the last ten years, per thread; a judgement

Case = MeasuredStep
Predictor = Callable[[Sequence[Case], Case], tuple[float, float]]  # (others, one left out) -> seconds, sigma of their log


def read_cases(paths: Iterable[Path]) -> list[Case]:
    """One case for each configuration that was timed: the median step over all rounds, in seconds of an undisturbed reference.

    Undisturbed is what the fastest tenth of the reference's steps took.
    """
    entries = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    undisturbed = float(np.quantile([seconds for entry in entries for seconds in entry["reference_seconds"]], 0.1))
    ratios: dict[str, list[float]] = {}
    for entry in entries:
        pairs = zip(entry["seconds"], entry["reference_seconds"], strict=True)
        ratios.setdefault(entry["case"], []).extend(step / reference for step, reference in pairs)
    known = {str(configuration): configuration for configuration in configurations()}
    return [
        MeasuredStep(
            configuration=known[name],
            seconds=undisturbed * statistics.median(values),
            spread=0.0,
            steps=len(values),
        )
        for name, values in ratios.items()
    ]


def flops(case: Case) -> float:
    return float(sample_flops(case.configuration.model, operation(case)) * case.configuration.batch_size)


def operation(case: Case) -> Operation:
    work = case.configuration.work
    assert work != "synthesis"
    return work


def proportional(others: Sequence[Case], left_out: Case) -> tuple[float, float]:
    """Seconds per FLOP of the operation, the median of the others."""
    rates = [case.seconds / flops(case) for case in others if operation(case) == operation(left_out)]
    return flops(left_out) * statistics.median(rates), math.nan


def power_law(others: Sequence[Case], left_out: Case) -> tuple[float, float]:
    """log seconds linear in log FLOPs and a 3D flag, by least squares over the operation's others."""

    def row(case: Case) -> list[float]:
        return [1.0, math.log(flops(case)), float(case.configuration.model.dimensions == 3)]

    same = [case for case in others if operation(case) == operation(left_out)]
    fitted = np.linalg.lstsq(np.array([row(case) for case in same]), np.log([case.seconds for case in same]), rcond=None)[0]
    return float(math.exp(np.dot(fitted, row(left_out)))), math.nan


class OurModel:
    """The product's fit and its model. One fit serves all operations of the configuration that is left out."""

    def __init__(self) -> None:
        self._models: dict[tuple[object, int], EnergyModel] = {}

    def __call__(self, others: Sequence[Case], left_out: Case) -> tuple[float, float]:
        key = (left_out.configuration.model, left_out.configuration.batch_size)
        if key not in self._models:
            self._models[key] = EnergyModel(profile_of(others))
        cost = self._models[key].cost(left_out.configuration)
        return cost.seconds, cost.sigma


def profile_of(cases: Sequence[Case]) -> HardwareProfile:
    """A profile of the machine that the cases were timed on."""
    return HardwareProfile(
        key="bench",
        kind="cpu",
        devices=("bench",),
        idle_watts=10,
        tdp_watts=65,
        host_cpus=1,
        startup_seconds=0,
        coefficients=fit_coefficients(cases, "cpu"),
        measured=tuple(cases),
        provenance={},
        made_on=dt.date(2026, 1, 1),
    )


def generic_profile(cases: Sequence[Case], today: dt.date) -> HardwareProfile:
    """The bundled `generic-cpu`: fitted to this machine, and as wide as one CPU may differ from another."""
    fitted = profile_of(cases)
    widened = [each.model_copy(update={"spread": round(math.hypot(each.spread, OTHER_CPU_SIGMA), 3)}) for each in fitted.coefficients]
    configurations_timed = len({(case.configuration.model, case.configuration.batch_size) for case in cases})
    return fitted.model_copy(
        update={
            "key": "generic-cpu",
            "devices": ("AMD EPYC (AVX2), virtual machine of 2 CPUs, one thread",),
            "host_cpus": 2,
            "startup_seconds": 5.0,
            "checkpoint": CHECKPOINT,
            "preparation": PREPARATION,
            "coefficients": tuple(widened),
            "measured": (),
            "provenance": {
                "seconds": f"measured: CPU time of one thread, {configurations_timed} configurations in {len(cases)} operations, "
                "float32, on a busy machine, counted in steps of a reference timed just before and after",
                "spread": f"assumed: that of the fit, and a standard deviation of {OTHER_CPU_SIGMA} for a CPU being another one",
                "joules": "estimated: seconds times idle + (TDP - idle) x busy CPUs; no energy counter is readable there",
                "idle_watts, tdp_watts": "assumed: a small server's share; give a site its own",
                "startup_seconds": "measured: import of torch and monai",
                "checkpoint": "measured: files of 4 KiB and 128 MiB, written, flushed and checked, on a busy machine",
                "preparation": "measured: compressed NIfTI volumes of 16 and 128 voxels a side, read, fitted and cached, on a busy machine",
            },
            "libraries": {"torch": "2.13.0", "monai": "1.6.0", "monai-generative": "0.2.3"},
            "made_on": today,
        }
    )


def left_out_logs(cases: Sequence[Case], predict: Predictor) -> dict[Case, tuple[float, float]]:
    """log(measured / predicted) of each case, predicted from all other configurations, and the predicted sigma."""
    results = {}
    for left_out in cases:
        mine = (left_out.configuration.model, left_out.configuration.batch_size)
        others = [case for case in cases if (case.configuration.model, case.configuration.batch_size) != mine]
        seconds, sigma = predict(others, left_out)
        results[left_out] = math.log(left_out.seconds / seconds), sigma
    return results


def relative_errors(logs: Iterable[float]) -> list[float]:
    """|predicted / measured - 1|."""
    return [abs(math.expm1(-log)) for log in logs]


def coverage(results: dict[Case, tuple[float, float]]) -> float:
    """The share of cases that their 80 % intervals hold."""
    return statistics.mean(abs(log) <= Z80 * sigma for log, sigma in results.values())


def missed_bounds(results: dict[Case, tuple[float, float]]) -> list[str]:
    """A sentence for each bound that the predictions do not keep."""
    mean, inside = statistics.mean(relative_errors(log for log, _ in results.values())), coverage(results)
    low, high = COVERAGE
    missed = [f"the mean error is {mean:.1%}, more than {MOST_MEAN_ERROR:.0%}"] if mean > MOST_MEAN_ERROR else []
    return missed + ([] if low <= inside <= high else [f"80 % intervals hold {inside:.1%} of the cases, not {low:.0%} to {high:.0%}"])


def summary(results: dict[Case, tuple[float, float]]) -> str:
    errors = relative_errors(log for log, _ in results.values())
    return f"mean {statistics.mean(errors):6.1%}  median {statistics.median(errors):6.1%}  max {max(errors):5.0%}"


def estimate_microseconds() -> float:
    """The best of 50 rounds, so that a busy machine does not count."""
    model, job = EnergyModel(bundled_profiles()["generic-cpu"]), training()
    return min(timeit.repeat(lambda: model.estimate(job), timer=time.process_time, number=20, repeat=50)) / 20 * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="*", default=[KEPT])
    parser.add_argument("--worst", type=int, default=0, help="list that many of the worst cases")
    parser.add_argument("--write-profile", type=Path, metavar="FILE", help="write the bundled generic-cpu profile and end")
    arguments = parser.parse_args()
    cases = read_cases(arguments.files)
    if arguments.write_profile is not None:
        profile = generic_profile(cases, dt.datetime.now(dt.UTC).date())
        arguments.write_profile.write_text(profile.model_dump_json(indent=1, exclude_none=True, exclude={"counter_checks"}) + "\n")
        return
    ours = left_out_logs(cases, OurModel())
    print(f"{len({(c.configuration.model, c.configuration.batch_size) for c in cases})} configurations, {len(cases)} held-out cases")
    print(f"FLOPs-proportional           {summary(left_out_logs(cases, proportional))}")
    print(f"power law in FLOPs, 3D flag  {summary(left_out_logs(cases, power_law))}")
    print(f"energy model                 {summary(ours)}")
    print(f"80 % intervals cover {coverage(ours):.0%} of the held-out cases")
    for name in OPERATIONS:
        print(f"  {name:8s} {summary({case: result for case, result in ours.items() if operation(case) == name})}")
    for case, (log, sigma) in sorted(ours.items(), key=lambda item: -abs(item[1][0]))[: arguments.worst]:
        print(f"  {case.configuration!s:62s} {case.seconds:8.4f} s  x{math.exp(log):5.2f}  sigma {sigma:.2f}")
    print(f"one warm estimate of a training takes {estimate_microseconds():.0f} us of processor time")
    if missed := missed_bounds(ours):
        raise SystemExit("; ".join(missed))


if __name__ == "__main__":
    main()
